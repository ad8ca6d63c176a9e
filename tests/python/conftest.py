# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the Python package share.

`library` is the built library, as it is; `model` the same on a machine in memory (tests/model).
"""

import ctypes
import gc
import os

import pytest

import kvol

MIB = 1 << 20


@pytest.fixture
def library():
    """The built library, in use."""
    path = os.environ.get("KVOL_LIBRARY")
    if not path:
        pytest.skip("this build's library cannot be loaded by Python")
    kvol.load(path)
    return path


class Model:
    """The machine in memory: where a pool can be, and what may be a target."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.c.test_model_file.argtypes = [ctypes.c_char_p, ctypes.c_bool]
        self.c.test_model_dir.restype = ctypes.c_char_p
        self.c.test_model_disaster.restype = ctypes.c_char_p
        self.c.test_model_start()
        self.dir = os.fsdecode(self.c.test_model_dir())
        self.path = os.path.join(self.dir, "pool.img")
        self.log = []
        self.context = kvol.Context(run_dir=os.path.join(self.dir, "run"),
                                    log=lambda priority, line: self.log.append((priority, line)))

    def file(self, path, directory=True):
        """Makes a target."""
        self.c.test_model_file(os.fsencode(path), directory)
        return path

    def format(self, **options):
        kvol.Pool.format("tank", self.path, size=1 << 30, max_volumes=600, context=self.context,
                         **options)

    def open(self):
        return kvol.Pool.open(self.path, context=self.context)

    def n_mounts(self):
        return self.c.test_model_n_mounts()

    def n_fds(self):
        return len(os.listdir("/proc/self/fd"))

    def end(self):
        disaster = self.c.test_model_disaster()
        self.c.test_model_end()
        assert disaster == b""


@pytest.fixture
def model():
    """A machine without a pool."""
    path = os.environ.get("KVOL_MODEL_LIBRARY")
    if not path:
        pytest.skip("the model is not built, or cannot be loaded by Python")
    kvol.load(path)
    machine = Model(path)
    yield machine
    gc.collect()  # whatever a test has dropped, while there is still something below it
    machine.context.close()
    machine.end()


@pytest.fixture
def pool(model):
    """An open pool on it."""
    model.format()
    with model.open() as pool:
        yield pool


def in_child(function):
    """What function() comes to in a forked child: None, or a text about its exception."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = function() or ""
        except BaseException as exception:  # pylint: disable=broad-except
            text = "%s: %s" % (type(exception).__name__, exception)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as f:
        text = f.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    return text
