# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package on the built library, as far as that goes without device-mapper."""

import errno
import os
import pickle
import subprocess
import sys

import pytest

import kvol
from kvol import _errors, _library

pytestmark = pytest.mark.usefixtures("library")


def test_every_function_is_found_in_the_library(library):
    assert sorted(_library.Library(library)._functions) == sorted(_library.FUNCTIONS)


def test_library_and_package_have_one_version():
    assert kvol.version() == kvol.__version__


def test_reasons_have_names():
    for reason in kvol.Reason:
        assert kvol.reason_str(reason) == "KVOL_R_" + reason.name
    assert kvol.reason_str(1 << 20) == "KVOL_R_UNKNOWN"


def test_the_library_has_a_name_that_can_be_chosen(library, tmp_path):
    code = "import kvol; print(kvol.version())"
    run = [sys.executable, "-c", code]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    assert subprocess.run(run, env=env, check=True, stdout=subprocess.PIPE).stdout
    env["KVOL_LIBRARY"] = str(tmp_path / "none.so")
    failed = subprocess.run(run, env=env, stderr=subprocess.PIPE)
    assert failed.returncode != 0 and b"none.so" in failed.stderr
    # Importing alone needs none.
    subprocess.run([sys.executable, "-c", "import kvol"], env=env, check=True)
    run[2] = "import kvol; kvol.load(%r); print(kvol.version())" % library
    subprocess.run(run, env=env, check=True)


def test_what_is_no_libkvol_is_refused():
    before = _library.library()
    for name in ("libm.so.6", "/nonexistent/libkvol.so"):
        with pytest.raises(OSError):
            kvol.load(name)
    assert _library.library() is before


def test_a_function_that_an_older_library_lacks_says_so(library):
    old = _library.Library(library)
    del old._functions["kvol_why"]
    with pytest.raises(kvol.Unsupported, match="kvol_why") as raised:
        old.call("kvol_why")
    assert raised.value.errno == errno.ENOSYS


def test_a_context_may_be_closed_twice(tmp_path):
    ctx = kvol.Context(run_dir=tmp_path / "run", log=lambda priority, message: None)
    assert not ctx.closed
    ctx.close()
    ctx.close()
    assert ctx.closed
    with pytest.raises(ValueError, match="the context is closed"):
        kvol.Pool.open("x", context=ctx)


def test_a_failure_carries_errno_reason_and_message(tmp_path):
    file = tmp_path / "pool"
    with pytest.raises(kvol.Invalid) as raised:
        kvol.Pool.format("-not a pool's name", file, size=1 << 30)
    error = raised.value
    assert isinstance(error, OSError)
    assert (error.errno, error.reason) == (errno.EINVAL, kvol.Reason.INVALID)
    assert error.strerror in str(error)
    assert not file.exists()


def test_exceptions_survive_pickling():
    error = _errors.error(errno.EBUSY, "the message", kvol.Reason.BUSY_OPEN, 3)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kvol.BusyOpen and isinstance(copy, kvol.Busy)
    assert (copy.errno, copy.strerror, copy.reason, copy.index) == (
        errno.EBUSY, "the message", kvol.Reason.BUSY_OPEN, 3)


def test_a_pool_that_is_not_there_is_not_opened(tmp_path):
    with kvol.Context(run_dir=tmp_path / "run") as ctx, pytest.raises(kvol.Error) as raised:
        kvol.Pool.open(tmp_path / "pool", context=ctx)
    # Without privileges or device-mapper the library does not get as far as looking.
    assert raised.value.errno in (errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP)


def test_a_host_id_is_checked():
    kvol.Context(host_id="node-7").close()
    with pytest.raises(kvol.Invalid):
        kvol.Context(host_id="two words")
