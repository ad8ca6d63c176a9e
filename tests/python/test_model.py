# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every method of the Python package on a machine in memory, by the library's own code.

What it may be used wrongly in: closed and inherited handles, wrong types, numbers that ctypes would
cut off, threads, and the garbage collector.
"""

import datetime
import errno
import gc
import itertools
import sys
import threading
import time
import weakref

import pytest

import kvol
from kvol import _arguments, _structs
from conftest import MIB, in_child

SIZE = 512 * MIB


# --- The verbs ---


def test_a_pool_tells_what_it_was_formatted_with(pool, model):
    info = pool.stat()
    assert (info.name, info.n_volumes, info.n_snapshots, info.flags) == ("tank", 0, 0, 0)
    assert info.device == model.path
    assert info.max_volumes == 600
    assert isinstance(info.flags, kvol.PoolFlags) and isinstance(info.publish_flags, kvol.Policy)


def test_formatting_again_is_the_same_pool_or_refused(model):
    model.format()
    model.format()
    with pytest.raises(kvol.ExistsDifferent):
        kvol.Pool.format("other", model.path, context=model.context)
    kvol.Pool.format("other", model.path, force=True, context=model.context)
    with model.open() as pool:
        assert pool.stat().name == "other"


def test_a_volume_s_life(pool, model):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    pool.create("db", SIZE, fs_type="ext4", labels={"tier": "gold"})
    pool.snapshot("db", "monday", labels={"by": "cron"})
    pool.clone("monday", "copy", size=2 * SIZE, fs_type="ext4")
    pool.expand("db", 2 * SIZE)
    volume = pool.volume("db")
    assert (volume.name, volume.kind, volume.size, volume.fs_type, volume.source) == (
        "db", kvol.Kind.VOLUME, 2 * SIZE, "ext4", "")
    assert volume.created > before and volume.created.tzinfo is not None
    assert not volume.is_snapshot and not volume.encrypted
    assert pool.volume("monday").is_snapshot
    assert [(v.name, v.size) for v in pool.list()] == [
        ("copy", 2 * SIZE), ("db", 2 * SIZE), ("monday", SIZE)]
    assert [v.name for v in pool.list(kind=kvol.Kind.SNAPSHOT)] == ["monday"]
    assert [v.name for v in pool.list(kind=kvol.Kind.SNAPSHOT, label="by")] == ["monday"]
    assert [v.name for v in pool.list(kind=kvol.Kind.VOLUME)] == ["copy", "db"]
    assert [v.name for v in pool.list(source="monday")] == ["copy"]
    assert [v.name for v in pool.list(after="copy", limit=1)] == ["db"]
    assert [v.name for v in pool.list(label="tier")] == ["db"]
    assert [v.name for v in pool.list(label="tier", value="tin")] == []
    pool.delete("copy")
    pool.delete("copy")
    with pytest.raises(kvol.NotFound, match="copy"):
        pool.volume("copy")


def test_templates(pool, model):
    assert list(pool.templates()) == []
    pool.create("db", SIZE, fs_type="ext4")
    pool.make_template("xfs", 2 * SIZE)
    pool.make_template("xfs", SIZE)
    pool.make_template("xfs", SIZE)
    assert sorted((v.kind, v.fs_type, v.size) for v in pool.templates()) == [
        (kvol.Kind.TEMPLATE, "ext4", SIZE), (kvol.Kind.TEMPLATE, "xfs", SIZE),
        (kvol.Kind.TEMPLATE, "xfs", 2 * SIZE)]
    assert [v.name for v in pool.list()] == ["db"]
    assert pool.stat().n_volumes == 1
    pool.delete_templates("xfs", SIZE)
    assert sorted((v.fs_type, v.size) for v in pool.templates()) == [
        ("ext4", SIZE), ("xfs", 2 * SIZE)]
    pool.delete_templates("xfs")
    pool.delete_templates(size=2 * SIZE)
    assert [v.fs_type for v in pool.list(kind=kvol.Kind.TEMPLATE)] == ["ext4"]
    pool.delete_templates()
    pool.delete_templates()
    assert list(pool.templates()) == []
    for call in (pool.make_template, pool.delete_templates):
        with pytest.raises(kvol.Unsupported):
            call("ntfs", SIZE)
        with pytest.raises(ValueError, match="must be 0 to"):
            call("ext4", -1)
        with pytest.raises(TypeError):
            call(b"ext4", SIZE)
    for fs_type, size in (("", SIZE), ("ext4", 0), ("ext4", 4096)):
        with pytest.raises(kvol.Invalid):
            pool.make_template(fs_type, size)


def test_publishing(pool, model):
    target, device = model.file("/t"), model.file("/f", directory=False)
    pool.create("db", SIZE, fs_type="ext4")
    pool.publish("db", target, mount_options="noatime", labels={"pod": "db-0"},
                 access=kvol.Access.SINGLE_WRITER, propagation=kvol.Propagation.PRIVATE)
    (publish,) = pool.publishes("db")
    assert (publish.volume, publish.target, publish.mount_namespace, publish.labels,
            publish.flags) == ("db", target, "", {"pod": "db-0"}, kvol.PublishFlags(0))
    volume = pool.volume("db")
    assert volume.dev_major and (publish.dev_major, publish.dev_minor) == (
        volume.dev_major, volume.dev_minor)
    assert (pool.volume("db").n_targets, pool.volume("db").access) == (
        1, kvol.Access.SINGLE_WRITER)
    stats = pool.volume_stat("db")
    assert (stats.condition, stats.message) == (kvol.Condition.OK, "")
    assert stats.flags == kvol.StatsFlags.ACTIVE | kvol.StatsFlags.FS and stats.fs_used > 0
    holders = list(pool.why("db"))
    assert holders and all(isinstance(h.kind, kvol.HolderKind) for h in holders)
    with pytest.raises(kvol.AccessConflict):
        pool.publish("db", device, block=True)
    with pytest.raises(kvol.BusyPublished):
        pool.delete("db")
    pool.unpublish("db", target)
    pool.unpublish("db", target)
    pool.publish("db", device, block=True, readonly=True)
    assert [p.flags for p in pool.publishes()] == [
        kvol.PublishFlags.READONLY | kvol.PublishFlags.BLOCK]
    pool.unpublish("db", device)
    pool.publish("db", target, group=4711)
    assert [p.flags for p in pool.publishes()] == [kvol.PublishFlags.GROUP]
    pool.unpublish("db", target)
    assert list(pool.publishes()) == [] and model.n_mounts() == 0


def test_an_ephemeral_volume_goes_with_its_last_publish(pool, model):
    targets = model.file("/t"), model.file("/u")
    wanted = kvol.Ephemeral(size=SIZE, fs_type="ext4")
    for target in targets:
        pool.publish("scratch", target, ephemeral=wanted)
    assert pool.volume("scratch").ephemeral and pool.volume("scratch").size == SIZE
    pool.snapshot("scratch", "kept")
    pool.unpublish("scratch", targets[0])
    pool.unpublish("scratch", targets[1])
    with pytest.raises(kvol.NotFound):
        pool.volume("scratch")
    pool.publish("copy", targets[0], ephemeral=kvol.Ephemeral(source="kept"))
    assert pool.volume("copy").source == "kept"
    pool.unpublish("copy", targets[0])
    assert [v.name for v in pool.list()] == ["kept"]


def test_an_owner_is_two_numbers(pool):
    pool.create("db", SIZE, fs_type="ext4", owner=(0, 2**32 - 2), mode=0o2770)
    with pytest.raises(kvol.Invalid):
        pool.create("raw", SIZE, owner=(1, 1))
    for wrong in ((-1, 0), (0, 2**32)):
        with pytest.raises(ValueError, match="must be 0 to"):
            pool.create("x", SIZE, fs_type="ext4", owner=wrong)
    for wrong in ((1,), (1, 2, 3)):
        with pytest.raises(ValueError):
            pool.create("x", SIZE, fs_type="ext4", owner=wrong)


def test_a_limit_of_what_is_not_there(pool):
    pool.create("db", SIZE)
    with pytest.raises(kvol.Error) as raised:
        pool.limit_io("db", "/sys/fs/cgroup/none", read_bps=1, write_iops=2**32 - 1)
    assert raised.value.errno in (errno.ENOENT, errno.EINVAL)


def test_labels(pool):
    pool.create("db", SIZE)
    pool.set_labels("db", {"kvol.io/owner": "Zoë", "none": None, "tier": "gold"})
    pool.set_labels(None, {"zone": "b"})
    pool.set_labels("db", {})
    assert pool.labels("db") == {"kvol.io/owner": "Zoë", "tier": "gold"}
    assert pool.labels() == {"zone": "b"}
    assert pool.get_label("db", "tier") == "gold" and pool.get_label(None, "zone") == "b"
    with pytest.raises(kvol.NotFound):
        pool.get_label("db", "none")
    with pytest.raises(kvol.Invalid) as raised:
        pool.set_labels("db", {"good": "1", "not good": "2"})
    assert raised.value.index == 1
    pool.set_labels("db", {"long": "x" * kvol.LABEL_VALUE_MAX})
    assert len(pool.get_label("db", "long")) == kvol.LABEL_VALUE_MAX


def test_a_policy_is_kept(pool):
    pool.set(overcommit=100, publish_flags=kvol.Policy.NODEV)
    pool.set(max_published=2, max_volumes=7)
    info = pool.stat()
    assert (info.overcommit, info.max_published, info.max_volumes, info.publish_flags) == (
        100, 2, 7, kvol.Policy.NODEV)
    with pytest.raises(kvol.LimitReached):
        pool.create("db", 5 << 40)
    pool.set(overcommit=0)
    assert (pool.stat().overcommit, pool.stat().max_volumes) == (0, 7)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_secrets_of_each_kind(pool, model, kind):
    target = model.file("/t")
    first, second = kind(b"first"), kind(b"second")
    try:
        pool.create("db", SIZE, fs_type="ext4", secret=first)
    except kvol.Unsupported:
        pytest.skip("built without libcryptsetup")
    assert pool.volume("db").encrypted
    with pytest.raises(kvol.NeedsSecret):
        pool.publish("db", target)
    with pytest.raises(kvol.WrongSecret):
        pool.publish("db", target, secret=second)
    pool.publish("db", target, secret=first)
    pool.unpublish("db", target)
    pool.change_secret("db", first, second)
    pool.publish("db", target, secret=second)
    pool.unpublish("db", target)
    assert bytes(first) == b"first" and bytes(second) == b"second"
    for empty in (b"", bytearray(), memoryview(b"")):
        with pytest.raises(kvol.Invalid):
            pool.change_secret("db", second, empty)
        with pytest.raises(kvol.Invalid):
            pool.create("other", SIZE, secret=empty)


def test_a_repair_finds_nothing(model):
    model.format()
    info = kvol.Pool.repair(model.path, check=True, context=model.context)
    assert (info.found, info.mended, info.n_lost, info.backup) == (kvol.Faults(0), 0, 0, "")
    with model.open(), pytest.raises(kvol.BusyOpen):
        kvol.Pool.repair(model.path, context=model.context)


def test_a_deactivated_pool_is_good_for_closing(model):
    model.format()
    pool = model.open()
    pool.deactivate()
    pool.deactivate()
    with pytest.raises(kvol.Invalid) as raised:
        pool.stat()
    assert raised.value.errno == errno.ESHUTDOWN
    pool.close()


def test_names_are_unicode_and_go_through_unchanged(pool):
    pool.create("Bücher №1 🗃", SIZE)
    assert [v.name for v in pool.list()] == ["Bücher №1 🗃"]
    with pytest.raises(kvol.Invalid):
        pool.create("\udcff", SIZE)  # no UTF-8: it is the library who says so


def test_the_log_is_heard_and_kept_as_long_as_a_pool_lives(model):
    model.format()
    lines = []
    context = kvol.Context(run_dir=model.dir + "/run", log=lambda p, line: lines.append((p, line)))
    pool = kvol.Pool.open(model.path, context=context)
    assert (7, "pool 'tank': open") in [(p, line[:17]) for p, line in lines]
    function = weakref.ref(context._log)
    context.close()
    del context
    gc.collect()
    assert function() is not None  # C may call it
    pool.close()
    del pool
    gc.collect()
    assert function() is None


def test_a_log_that_raises_hurts_nobody(model, monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)

    def log(priority, line):
        raise RuntimeError(line)

    context = kvol.Context(run_dir=model.dir + "/run", log=log)
    kvol.Pool.format("tank", model.path, size=1 << 30, context=context)
    kvol.Pool.repair(model.path, context=context)
    with kvol.Pool.open(model.path, context=context) as pool:
        pool.create("db", SIZE)
    assert all(isinstance(h.exc_value, RuntimeError) for h in heard)


# --- Misuse ---


def test_a_closed_pool_says_so(model):
    model.format()
    with model.open() as pool:
        assert not pool.closed
        pool.create("db", SIZE)
    assert pool.closed
    for call in (pool.stat, pool.list, pool.labels, lambda: pool.create("x", SIZE),
                 lambda: pool.volume("db"), pool.deactivate, lambda: pool.why("db")):
        with pytest.raises(ValueError, match="the pool is closed"):
            call()
    pool.close()


@pytest.mark.parametrize("size", [-1, 2**64, -2**63])
def test_a_number_is_not_cut_off(pool, size):
    with pytest.raises(ValueError, match="must be 0 to"):
        pool.create("x", size)
    with pytest.raises(ValueError, match="must be 0 to"):
        pool.expand("x", size)
    with pytest.raises(ValueError, match="must be 0 to"):
        pool.list(limit=size)
    with pytest.raises(ValueError, match="overcommit must be 0 to"):
        pool.set(overcommit=size)
    with pytest.raises(ValueError, match="must be 0 to"):
        pool.publish("x", "/t", group=size)
    assert list(pool.list()) == []


def test_wrong_types_are_refused(pool):
    for call in (lambda: pool.create("x", 1.5), lambda: pool.create("x", "1"),
                 lambda: pool.create(b"x", SIZE), lambda: pool.create(None, SIZE),
                 lambda: pool.create("x", SIZE, labels={"key": 1}),
                 lambda: pool.create("x", SIZE, fs_type=1),
                 lambda: pool.create("x", SIZE, secret="text"),
                 lambda: pool.create("x", SIZE, secret=memoryview(bytearray(8))[::2]),
                 lambda: pool.change_secret("x", "text", b"bytes"),
                 lambda: pool.publish("x", 1), lambda: pool.create("x", SIZE, flags=1)):
        with pytest.raises(TypeError):
            call()
    for call in (lambda: pool.create("a\0b", SIZE), lambda: pool.publish("x", "/t\0"),
                 lambda: pool.publish("x", "/t", mount_options="ro\0"),
                 lambda: pool.create("x", SIZE, labels={"key": "a\0b"})):
        with pytest.raises(ValueError, match="null character"):
            call()
    assert list(pool.list()) == []


def test_a_copied_secret_is_wiped_and_a_writable_one_not_copied():
    with _arguments.Secret(memoryview(b"read-only")) as (address, n_bytes):
        assert n_bytes == 9
        copy = _arguments.ctypes.string_at(address, n_bytes)
        assert copy == b"read-only"
        secret = _arguments.Secret(memoryview(b"another"))
    with secret as (address, n_bytes):
        buffer = secret._buffer
        assert buffer.raw == b"another"
    assert buffer.raw == bytes(7)
    own = bytearray(b"writable")
    with _arguments.Secret(own) as (address, n_bytes):
        assert address == _arguments.ctypes.addressof(
            _arguments.ctypes.c_char.from_buffer(own))
        with pytest.raises(BufferError):
            own.extend(b"it must stay where it is")
    own.extend(b"!")


def test_options_structs_say_their_size():
    opts = _arguments.options(_structs.kvol_create_opts, 0, fs_type=None, bytes=7)
    assert (opts.size, opts.bytes, opts.fs_type) == (
        _arguments.ctypes.sizeof(_structs.kvol_create_opts), 7, None)


# --- Listings ---


def fill(pool, n):
    for i in range(n):
        pool.create("v%02d" % i, 4096)


def test_a_listing_streams_and_stays_as_it_began(pool):
    fill(pool, 5)
    listing = pool.list()
    assert next(listing).name == "v00"
    pool.create("v99", 4096)
    assert [v.name for v in listing] == ["v01", "v02", "v03", "v04"]
    assert listing.closed and list(listing) == []
    with pytest.raises(StopIteration):
        next(listing)


def test_a_listing_is_closed_with_its_pool(model):
    model.format()
    before = model.n_fds()
    pool = model.open()
    fill(pool, 3)
    listing = pool.list()
    next(listing)
    pool.close()
    with pytest.raises(ValueError, match="the listing is closed"):
        next(listing)
    assert model.n_fds() == before
    listing.close()


def test_a_listing_that_was_left_holds_nobody_up(pool):
    fill(pool, 3)
    for _ in range(200):
        next(pool.list())
        with pool.list() as listing:
            next(listing)
    pool.deactivate()


def test_a_listing_keeps_its_pool(model):
    model.format()
    pool = model.open()
    fill(pool, 3)
    gone = weakref.ref(pool)
    listing = pool.list()
    why = pool.why("v00")
    del pool
    gc.collect()
    assert [v.name for v in listing] == ["v00", "v01", "v02"]
    assert list(why) == []
    del listing, why
    gc.collect()
    assert gone() is None


def test_dropped_handles_leave_no_file_open(model):
    model.format()
    before = model.n_fds()
    pool = model.open()
    fill(pool, 3)
    assert model.n_fds() > before
    del pool
    gc.collect()
    assert model.n_fds() == before


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_cycle_is_collected_in_any_order(model, order):
    """A pool, a listing, a context and what holds them in one cycle of garbage."""
    model.format()
    before = model.n_fds()
    context = kvol.Context(run_dir=model.dir + "/run", log=lambda p, line: None)
    pool = kvol.Pool.open(model.path, context=context)
    fill(pool, 3)
    listing = pool.list()
    next(listing)
    cycle = [pool, listing, context, None]
    cycle[3] = cycle
    shuffled = [cycle[i] for i in order]
    for thing in (pool, listing, context):
        thing.cycle = shuffled
    del context, pool, listing, cycle, shuffled, thing
    gc.collect()
    assert model.n_fds() == before


def test_a_finalizer_in_the_middle_of_a_call(pool):
    """Garbage that owns listings, collected while calls of the same pool are made."""
    fill(pool, 3)

    class Cycle:
        def __init__(self):
            self.listing = pool.list()
            next(self.listing)
            self.me = self

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(100):
            Cycle()
            pool.volume("v00")
            list(pool.list())
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    pool.deactivate()


# --- Threads ---


def run(functions):
    """Runs them at once; what they raise is raised."""
    raised = []
    barrier = threading.Barrier(len(functions))

    def thread(function):
        barrier.wait()
        try:
            function()
        except BaseException as exception:  # pylint: disable=broad-except
            raised.append(exception)

    threads = [threading.Thread(target=thread, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if raised:
        raise raised[0]


def test_threads_share_a_pool(pool):
    def work(number):
        for i in range(5):
            name = "t%d-%d" % (number, i)
            pool.create(name, SIZE, fs_type="ext4", labels={"thread": str(number)})
            pool.snapshot(name, name + "-s")
            assert [v.name for v in pool.list(label="thread", value=str(number))]
            pool.delete(name)

    run([lambda n=n: work(n) for n in range(6)])
    assert sorted(v.name for v in pool.list()) == sorted(
        "t%d-%d-s" % (n, i) for n in range(6) for i in range(5))


def test_closing_while_others_call(model):
    """Each call is done, or refused by ValueError; the handle is released once, by the last one."""
    model.format()
    before = model.n_fds()
    for _ in range(10):
        pool = model.open()
        pool.create("db", 4096)

        def call():
            try:
                for _ in range(1000):
                    pool.volume("db")
                    for _ in pool.list():
                        pass
            except ValueError as refused:
                assert "is closed" in str(refused)

        def close():
            time.sleep(0.005)
            pool.close()

        run([call, call, close, close])
        assert model.n_fds() == before


def test_a_listing_belongs_to_one_thread_at_a_time(pool):
    fill(pool, 20)
    listing = pool.list()
    seen = []

    def read():
        while True:
            try:
                seen.append(next(listing).name)
            except StopIteration:
                return
            except ValueError as refused:
                assert "another thread" in str(refused) or "closed" in str(refused)
                if listing.closed:
                    return

    run([read, read, read])
    assert sorted(seen) == ["v%02d" % i for i in range(20)]


# --- Fork ---


def test_inherited_handles_are_refused_clearly(pool):
    fill(pool, 3)
    listing = pool.list()
    next(listing)
    for call in (pool.stat, pool.list, lambda: pool.create("x", 4096),
                 lambda: pool.delete("v00"), lambda: next(listing), pool.deactivate):
        text = in_child(call)
        assert text.startswith("InheritedHandle: [Errno %d]" % errno.ECHILD), text
    assert [v.name for v in listing] == ["v01", "v02"]


def test_a_child_s_finalizers_hurt_nobody(pool, model):
    fill(pool, 3)
    listing = pool.list()
    next(listing)

    def drop():
        listing.close()
        pool.close()
        model.context.close()
        gc.collect()

    assert in_child(drop) == ""
    assert [v.name for v in listing] == ["v01", "v02"]
    pool.create("after", 4096)
    assert pool.volume("after").size == 4096


def test_a_child_that_ends_as_python_does_hurts_nobody(model):
    """Its finalizers run at exit."""
    model.format()
    pool = model.open()
    fill(pool, 3)

    def leave():
        kvol._handle.weakref.finalize._exitfunc()

    assert in_child(leave) == ""
    pool.create("after", 4096)
    pool.close()


def test_a_child_opens_its_own(pool, model):
    def own():
        with kvol.Pool.open("tank", context=model.context) as mine:
            mine.create("of the child", 4096)

    assert in_child(own) == ""
    assert pool.volume("of the child").size == 4096


def test_a_fork_in_the_middle_of_other_threads_calls(pool):
    fill(pool, 3)
    stop = threading.Event()

    def call():
        while not stop.is_set():
            pool.volume("v00")
            list(pool.list())

    def fork():
        try:
            for _ in range(10):
                assert in_child(pool.stat).startswith("InheritedHandle")
        finally:
            stop.set()

    run([call, call, fork])


def test_a_thick_volume_is_all_there(pool):
    pool.create("db", SIZE, thick=True)
    assert pool.volume("db").thick and pool.volume("db").allocated >= SIZE
    with pytest.raises(kvol.ExistsDifferent, match="thick"):
        pool.create("db", SIZE)


def test_a_volume_s_usage(pool):
    pool.create("db", SIZE)
    assert pool.usage("db") == kvol.Usage(exclusive=0, shared=0, flags=0)
    with pytest.raises(kvol.NotFound):
        pool.usage("nothing")
