# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package as a package: what pip gets, and what type checkers see."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

import kvol

SOURCE = os.path.join(os.environ["KV_SRCDIR"], "bindings", "python")
MODULES = sorted(f for f in os.listdir(os.path.join(SOURCE, "kvol"))
                 if f.endswith(".py") or f == "py.typed")
NAME = "kvol-%s" % kvol.__version__


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A directory with the wheel and the source distribution, built without a network."""
    pytest.importorskip("setuptools", minversion="61")
    try:
        import setuptools.command.bdist_wheel  # noqa: F401 # pylint: disable=unused-import
    except ImportError:
        pytest.importorskip("wheel", reason="python3-wheel is not installed")
    copy = tmp_path_factory.mktemp("source") / "python"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.mk"))
    dist = tmp_path_factory.mktemp("dist")
    hooks = ("import setuptools.build_meta as b; b.build_wheel(%r); b.build_sdist(%r)"
             % (str(dist), str(dist)))
    subprocess.run([sys.executable, "-c", hooks], cwd=copy, check=True, stdout=sys.stderr)
    return dist


def test_the_wheel_is_pure_and_whole(built, tmp_path):
    with zipfile.ZipFile(built / (NAME + "-py3-none-any.whl")) as wheel:
        names = wheel.namelist()
        wheel.extractall(tmp_path)
    assert sorted(n[5:] for n in names if n.startswith("kvol/")) == MODULES
    run = subprocess.run([sys.executable, "-c", "import kvol; print(kvol.__file__)"], check=True,
                         cwd="/", env=dict(os.environ, PYTHONPATH=str(tmp_path)),
                         stdout=subprocess.PIPE)
    assert run.stdout.decode().startswith(str(tmp_path))


def test_the_source_distribution_is_whole(built):
    with tarfile.open(built / (NAME + ".tar.gz")) as sdist:
        names = sdist.getnames()
    for name in ["pyproject.toml", "README.md"] + ["kvol/" + m for m in MODULES]:
        assert "%s/%s" % (NAME, name) in names


def test_make_dist_takes_every_module():
    with open(os.path.join(SOURCE, "local.mk"), encoding="utf-8") as f:
        listed = f.read()
    for module in MODULES:
        assert "bindings/python/kvol/%s" % module in listed


def test_the_readme_names_what_there_is():
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
        text = f.read()
    for name in re.findall(r"\bkvol\.(\w+)\b", text):
        assert name == "h" or hasattr(kvol, name), name
    methods = {n for n in vars(kvol.Pool) if not n.startswith("_")}
    for name in methods:
        assert "`%s`" % name in text, name
    for name in re.findall(r"\bpool\.(\w+)\(", text):
        assert name in methods, name


def test_types_are_strict(tmp_path):
    mypy = shutil.which("mypy")
    if not mypy:
        pytest.skip("mypy is not installed")
    user = tmp_path / "user.py"
    user.write_text(USER)
    env = dict(os.environ, MYPYPATH=SOURCE)
    env.pop("LD_PRELOAD", None)
    run = [mypy, "--strict", "--cache-dir", str(tmp_path / "cache")]
    found = subprocess.run(run + [os.path.join(SOURCE, "kvol"), str(user)], env=env,
                           stdout=subprocess.PIPE)
    assert found.returncode == 0, found.stdout.decode()
    user.write_text(USER + "number: str = volume.size\n")
    found = subprocess.run(run + [str(user)], env=env, stdout=subprocess.PIPE)
    assert b"Incompatible types" in found.stdout


USER = """\
import datetime
import kvol

with kvol.Pool.open("x", context=kvol.Context(log=lambda priority, line: None)) as pool:
    for volume in pool.list(kind=kvol.Kind.VOLUME):
        age: datetime.timedelta = datetime.datetime.now(datetime.timezone.utc) - volume.created
    try:
        pool.create("x", 1 << 30, secret=bytearray(b"x"), labels={"a": "b"})
    except kvol.LimitReached as error:
        reason: kvol.Reason = error.reason
    holder: kvol.Holder
    for holder in pool.why("x"):
        print(holder.how & kvol.HeldBy.FILE)
"""
