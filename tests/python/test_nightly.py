# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples/python/nightly.py on a real pool, as a timer runs it."""

import datetime
import os
import subprocess
import sys

import pytest

import kvol
from conftest import MIB

SCRIPT = os.path.join(os.environ["KV_SRCDIR"], "examples", "python", "nightly.py")


@pytest.fixture
def pool(tmp_path):
    directory = os.environ.get("KVOL_GUEST_SCRATCH", str(tmp_path))
    path = directory + "/nightly.img"
    kvol.Pool.format("nightly", path, size=2 << 30)
    with kvol.Pool.open(path) as pool:
        yield pool
        for publish in list(pool.publishes()):
            pool.unpublish(publish.volume, publish.target)
        pool.deactivate()
    os.unlink(path)


def run(*args):
    done = subprocess.run([sys.executable, SCRIPT, *args], stderr=subprocess.PIPE)
    return done.returncode, done.stderr.decode()


def snapshots(pool):
    return [v.name for v in pool.list(kind=kvol.Kind.SNAPSHOT)]


def test_a_snapshot_a_night_and_none_that_is_not_ours(pool, tmp_path):
    today = datetime.date.today().isoformat()
    pool.create("data", 64 * MIB, fs_type="ext4", labels={"nightly": "yes"})
    pool.create("other", 64 * MIB)
    pool.snapshot("data", "by hand")
    for day in ("2001-01-01", "2001-01-02", "2001-01-03"):
        pool.snapshot("data", "data@" + day, labels={"made-by-nightly": day})
    assert run("nightly", "2") == (0, "")
    assert snapshots(pool) == ["by hand", "data@2001-01-03", "data@" + today]
    assert run("nightly", "2") == (0, "")
    assert run("nightly") == (0, "")
    assert snapshots(pool) == ["by hand", "data@2001-01-03", "data@" + today]

    # What somebody restores from is kept, and told of.
    pool.publish("data@2001-01-03", tmp_path)
    code, text = run("nightly", "1")
    assert code == 1 and "data@2001-01-03" in text
    pool.unpublish("data@2001-01-03", tmp_path)
    assert run("nightly", "1") == (0, "")
    assert snapshots(pool) == ["by hand", "data@" + today]


def test_wrong_arguments():
    assert run()[0] != 0 and run("a", "b")[0] != 0 and run("a", "1", "2")[0] != 0
    code, text = run("no-such-pool")
    assert code != 0 and "NotFound" in text
