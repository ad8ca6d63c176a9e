# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every method of the Python package on a real pool in a file; run by tests/system/python.sh.

The same on a machine in memory, with all that it may be used wrongly in, is test_model.
"""

import errno
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

import kvol
from conftest import MIB, in_child

GIB = 1 << 30
SIZE = 512 * MIB


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """(context, path) of a pool that the tests share."""
    kvol.load()
    scratch = os.environ.get("KVOL_GUEST_SCRATCH")
    directory = scratch + "/python" if scratch else str(tmp_path_factory.mktemp("python"))
    os.makedirs(directory)
    context = kvol.Context(run_dir=directory + "/run")
    path = directory + "/pool.img"
    kvol.Pool.format("python", path, size=4 * GIB, context=context)
    yield context, path
    with kvol.Pool.open(path, context=context) as pool:
        pool.deactivate()
    os.unlink(path)


@pytest.fixture
def pool(machine):
    """An open pool without volumes; nothing of a test stays in it."""
    context, path = machine
    with kvol.Pool.open(path, context=context) as pool:
        yield pool
        for publish in list(pool.publishes()):
            pool.unpublish(publish.volume, publish.target)
        for volume in list(pool.list()):
            pool.delete(volume.name)


def make(directory, name, text=None):
    """A target: a directory, or with text a file."""
    path = directory / name
    if text is None:
        path.mkdir()
    else:
        path.write_text(text)
    return path


def test_a_pool_tells_what_was_formatted(pool, machine):
    info = pool.stat()
    assert (info.name, info.n_volumes, info.n_snapshots, info.flags) == ("python", 0, 0, 0)
    assert os.path.samefile(info.device, machine[1])
    assert 0 < info.data_bytes < 4 * GIB and info.host


def test_a_volume_s_life(pool, tmp_path):
    pool.create("db", SIZE, fs_type="ext4")
    db = make(tmp_path, "db")
    pool.publish("db", db)
    (db / "file").write_text("kept")
    pool.snapshot("db", "monday")
    monday = pool.volume("monday")
    assert (monday.kind, monday.source, monday.fs_type, monday.size) == (
        kvol.Kind.SNAPSHOT, "db", "ext4", SIZE)
    assert abs(monday.created.timestamp() - time.time()) < 3600

    pool.clone("monday", "copy", size=2 * SIZE)
    pool.expand("db", 2 * SIZE)
    assert os.statvfs(db).f_blocks * os.statvfs(db).f_frsize > 3 * SIZE // 2
    assert [(v.name, v.size) for v in pool.list()] == [
        ("copy", 2 * SIZE), ("db", 2 * SIZE), ("monday", SIZE)]

    copy = make(tmp_path, "copy")
    pool.publish("copy", copy, readonly=True, mount_options="noatime",
                 access=kvol.Access.READER)
    assert (copy / "file").read_text() == "kept"
    with pytest.raises(OSError) as raised:
        (copy / "file").write_text("changed")
    assert raised.value.errno == errno.EROFS
    assert pool.volume("copy").access == kvol.Access.READER
    stats = pool.volume_stat("copy")
    assert stats.condition == kvol.Condition.OK and kvol.StatsFlags.FS in stats.flags
    assert 0 < stats.fs_used < stats.fs_bytes and stats.fs_inodes_used > 0


def test_templates(pool):
    pool.delete_templates()
    pool.make_template("ext4", SIZE)
    pool.create("db", SIZE, fs_type="ext4")
    assert [(v.fs_type, v.size) for v in pool.templates()] == [("ext4", SIZE)]
    assert [v.name for v in pool.list()] == ["db"]
    pool.delete_templates("ext4", SIZE)
    assert list(pool.templates()) == []
    assert pool.volume("db").source == ""


def test_a_device_is_published_as_a_file(pool, tmp_path):
    pool.create("raw", SIZE)
    target = make(tmp_path, "raw", "")
    pool.publish("raw", target, block=True, labels={"pod": "db-0"})
    assert stat.S_ISBLK(os.stat(target).st_mode)
    (publish,) = pool.publishes()
    assert (publish.volume, publish.target, publish.labels, publish.flags) == (
        "raw", str(target), {"pod": "db-0"}, kvol.PublishFlags.BLOCK)
    assert os.stat(target).st_rdev == os.makedev(publish.dev_major, publish.dev_minor)
    pool.unpublish("raw", target)
    assert target.read_text() == ""


def test_an_owner_and_an_ephemeral_volume(pool, tmp_path):
    pool.create("db", SIZE, fs_type="ext4", owner=(1000, 4711), mode=0o2750)
    db = make(tmp_path, "db")
    pool.publish("db", db)
    found = os.stat(db)
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1000, 4711, 0o2750)
    scratch = make(tmp_path, "scratch")
    pool.publish("scratch", scratch, ephemeral=kvol.Ephemeral(size=SIZE, fs_type="ext4"))
    (scratch / "file").write_text("gone")
    assert pool.volume("scratch").ephemeral
    pool.unpublish("scratch", scratch)
    assert [v.name for v in pool.list()] == ["db"]


def test_why_names_the_process(pool, tmp_path):
    pool.create("db", SIZE, fs_type="ext4")
    db = make(tmp_path, "db")
    pool.publish("db", db)
    with open(db / "file", "w", encoding="ascii"):
        with pytest.raises(kvol.BusyOpen):
            pool.unpublish("db", db)
        with pytest.raises(kvol.BusyPublished):
            pool.delete("db")
        me = [h for h in pool.why("db") if h.kind == kvol.HolderKind.PROCESS]
        assert [(h.pid, h.how) for h in me] == [(os.getpid(), kvol.HeldBy.FILE)]
        mounts = [h for h in pool.why("db") if h.kind == kvol.HolderKind.MOUNT]
        assert [(h.target, h.flags) for h in mounts] == [(str(db), kvol.HolderFlags.PUBLISHED)]


def test_ids_namespaces_and_groups(pool, tmp_path):
    pool.create("db", SIZE, fs_type="ext4")
    db = make(tmp_path, "db")
    pool.publish("db", db, uid_map="0 100000 65536", group=4711,
                 propagation=kvol.Propagation.PRIVATE)
    assert os.stat(db).st_uid == 100000
    pool.unpublish("db", db)
    child = subprocess.Popen(["unshare", "-m", "sleep", "60"])
    try:
        namespace = "/proc/%d/ns/mnt" % child.pid
        deadline = time.monotonic() + 60
        while os.readlink(namespace) == os.readlink("/proc/self/ns/mnt"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pool.publish("db", db, mount_namespace=namespace)
        assert not os.path.ismount(db)
        assert [p.mount_namespace for p in pool.publishes("db")] == [namespace]
        pool.unpublish("db", db, mount_namespace=namespace)
    finally:
        child.kill()
        child.wait()
    assert list(pool.publishes("db")) == []


def test_a_secret_unlocks(pool, tmp_path):
    first, second = bytearray(b"first secret"), b"second"
    try:
        pool.create("db", SIZE, fs_type="ext4", secret=first)
    except kvol.Unsupported:
        pytest.skip("built without libcryptsetup")
    db = make(tmp_path, "db")
    with pytest.raises(kvol.NeedsSecret):
        pool.publish("db", db)
    pool.change_secret("db", first, second)
    with pytest.raises(kvol.WrongSecret):
        pool.publish("db", db, secret=first)
    pool.publish("db", db, secret=memoryview(second))
    assert pool.volume("db").encrypted and os.path.ismount(db)


def test_io_is_limited_in_a_cgroup(pool, tmp_path):
    cgroup = "/sys/fs/cgroup/kvol-python"
    try:
        with open("/sys/fs/cgroup/cgroup.subtree_control", "w", encoding="ascii") as f:
            f.write("+io")
    except OSError as e:
        pytest.skip("no io controller here: %s" % e)
    pool.create("db", SIZE, fs_type="ext4")
    pool.publish("db", make(tmp_path, "db"))
    os.mkdir(cgroup)
    try:
        pool.limit_io("db", cgroup, write_bps=10 * MIB, read_iops=100)
        with open(cgroup + "/io.max", encoding="ascii") as f:
            assert "wbps=%d riops=100" % (10 * MIB) in f.read()
        pool.limit_io("db", cgroup)
        with open(cgroup + "/io.max", encoding="ascii") as f:
            assert f.read() == ""
        with pytest.raises(kvol.NotFound):
            pool.limit_io("db", cgroup + "/none", read_bps=1)
    finally:
        os.rmdir(cgroup)


def test_a_policy_and_labels(pool):
    pool.set(overcommit=100, publish_flags=kvol.Policy.NODEV)
    try:
        with pytest.raises(kvol.LimitReached):
            pool.create("db", 5 * GIB)
        assert pool.stat().publish_flags == kvol.Policy.NODEV
    finally:
        pool.set(overcommit=0, publish_flags=kvol.Policy(0))
    pool.create("db", SIZE, labels={"tier": "gold"})
    pool.set_labels("db", {"kvol.io/owner": "Zoë", "tier": None})
    assert pool.labels("db") == {"kvol.io/owner": "Zoë"}
    assert [v.name for v in pool.list(label="kvol.io/owner", value="Zoë")] == ["db"]


def test_refusals_have_classes(pool):
    pool.create("db", SIZE)
    with pytest.raises(kvol.ExistsDifferent, match="db") as raised:
        pool.create("db", 2 * SIZE)
    assert (raised.value.errno, raised.value.reason) == (
        errno.EEXIST, kvol.Reason.EXISTS_DIFFERENT)
    with pytest.raises(kvol.NotFound):
        pool.expand("none", SIZE)
    with pytest.raises(kvol.NotFound):
        list(pool.why("none"))
    with pytest.raises(kvol.Unsupported):
        pool.publish("db", "/mnt")


def test_opening_and_formatting_refuse(machine, pool):
    context, path = machine
    with pytest.raises(kvol.BusyOpen):
        kvol.Pool.format("other", path, force=True, context=context)
    with pytest.raises(kvol.BusyOpen):
        kvol.Pool.repair(path, check=True, context=context)
    with pytest.raises(kvol.NotFound):
        kvol.Pool.open(path + "x", context=context)
    with pytest.raises(kvol.NotAPool):
        kvol.Pool.open(sys.executable, context=context)
    with kvol.Pool.open("python", context=context) as second, pytest.raises(kvol.BusyOpen):
        second.deactivate()


def test_a_deactivated_pool_can_be_checked(machine):
    context, path = machine
    with kvol.Pool.open(path, context=context) as pool:
        pool.deactivate()
    info = kvol.Pool.repair(path, check=True, context=context)
    assert (info.found, info.mended) == (kvol.Faults(0), kvol.Faults(0))


def test_threads_share_a_pool(pool, tmp_path):
    raised = []

    def work(number):
        try:
            target = make(tmp_path, str(number))
            for i in range(3):
                name = "t%d-%d" % (number, i)
                pool.create(name, SIZE, fs_type="ext4")
                pool.publish(name, target)
                (target / "file").write_text(name)
                pool.snapshot(name, name + "-s")
                pool.unpublish(name, target)
                pool.delete(name)
        except BaseException as exception:  # pylint: disable=broad-except
            raised.append(exception)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not raised
    assert sorted(v.name for v in pool.list()) == sorted(
        "t%d-%d-s" % (n, i) for n in range(4) for i in range(3))


def test_a_child_neither_uses_nor_hurts_what_it_inherits(pool, machine):
    context, path = machine
    pool.create("a", SIZE)
    pool.create("b", SIZE)
    listing = pool.list()
    assert next(listing).name == "a"
    assert in_child(pool.stat).startswith("InheritedHandle")
    assert in_child(lambda: next(listing)).startswith("InheritedHandle")

    def replace():
        listing.close()
        pool.close()
        with kvol.Pool.open(path, context=context) as mine:
            mine.create("c", SIZE)

    assert in_child(replace) == ""
    assert [v.name for v in listing] == ["b"]
    assert [v.name for v in pool.list()] == ["a", "b", "c"]


def test_garbage_holds_no_pool(machine):
    """Handles that are dropped without closing, listings after pools: the pool can be taken down."""
    context, path = machine
    for _ in range(5):
        listing = kvol.Pool.open(path, context=context).list()
        assert list(listing) == []
        del listing
    with kvol.Pool.open(path, context=context) as pool:
        pool.deactivate()
