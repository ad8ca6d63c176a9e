# SPDX-License-Identifier: LGPL-2.1-or-later
"""Container volumes over device-mapper thin pools, by libkvol.

    import kvol

    with kvol.Context() as ctx, ctx.open("/dev/disk/by-id/...") as pool:
        pool.create("db", 10 << 30, fs_type="ext4")
        pool.publish("db", "/srv/db")

Each method is one function of <kvol/kvol.h>, which is the reference manual: the contracts on
idempotency, durability and errors hold here too. A failure raises kvol.Error. ctypes releases the
GIL for the length of a call.
"""

import ctypes
import os
from typing import Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from . import _structs
from ._constants import *  # noqa: F401,F403
from ._constants import (CREATE_MODE, CREATE_OWNER, LABEL_VALUE_MAX, LIST_SNAPSHOTS, LIST_VOLUMES, SET_MAX_PUBLISHED,
                         SET_MAX_VOLUMES, SET_OVERCOMMIT, SET_PUBLISH_FLAGS)
from ._functions import load

__version__ = "0.1.0"


class Error(OSError):
    """A call failed. `errno` and `strerror` are the library's, `reason` is one of kvol.R_*."""

    def __init__(self, error: _structs.kvol_error):
        super().__init__(-error.code, error.msg.decode("utf-8", "replace"))
        self.reason = error.reason
        self.index = error.index


class Info(NamedTuple):
    """A volume or a snapshot: struct kvol_info."""

    name: str
    kind: int
    bytes: int
    allocated: int
    created: int
    n_targets: int
    source: str
    fs_type: str
    uuid: str
    device: str
    flags: int
    access: int


class PoolInfo(NamedTuple):
    """A pool: struct kvol_pool_info."""

    name: str
    uuid: str
    device: str
    flags: int
    data_bytes: int
    data_used: int
    metadata_bytes: int
    metadata_used: int
    block_bytes: int
    n_volumes: int
    n_snapshots: int
    max_volumes: int
    snapshots_left: int
    host: str
    provisioned: int
    capacity: int
    largest_volume: int
    max_published: int
    overcommit: int
    publish_flags: int
    n_published: int


class Holder(NamedTuple):
    """Who or what holds a volume: struct kvol_why_info."""

    kind: int
    how: int
    pid: int
    uid: int
    mount_namespace: int
    what: str
    target: str
    flags: int


class RepairInfo(NamedTuple):
    """What a repair came to: struct kvol_repair_info."""

    found: int
    mended: int
    n_lost: int
    n_short: int
    n_strays: int
    backup: str
    flags: int


class VolumeStats(NamedTuple):
    """How full and how well a volume is: struct kvol_volume_stats."""

    condition: int
    message: str
    fs_bytes: int
    fs_used: int
    fs_available: int
    fs_inodes: int
    fs_inodes_used: int
    fs_inodes_available: int
    allocated: int
    flags: int


class PublishInfo(NamedTuple):
    """One publish: struct kvol_publish_info."""

    volume: str
    target: str
    mount_namespace: str
    labels: Dict[str, str]
    flags: int


_lib = None


def _library() -> ctypes.CDLL:
    """The library, loaded at the first call: importing the package needs no libkvol."""
    global _lib
    if _lib is None:
        _lib = load(os.environ.get("KVOL_LIBRARY", "libkvol.so.0"))
    return _lib


def _encode(text: Optional[str]) -> Optional[bytes]:
    """A C string; os.fsencode, so that any path that Python knows goes through unchanged."""
    if text is None:
        return None
    raw = os.fsencode(text)
    if b"\0" in raw:
        raise ValueError("embedded null character")
    return raw


def _sized(struct):
    value = struct()
    value.size = ctypes.sizeof(struct)
    return value


def _to_tuple(kind, struct):
    """The named tuple of a filled info struct."""
    values = (getattr(struct, field) for field in kind._fields)
    return kind(*(os.fsdecode(v) if isinstance(v, bytes) else v for v in values))


def _labels(labels: Optional[Mapping[str, Optional[str]]]):
    """An array of struct kvol_label; a value of None is NULL."""
    array = (_structs.kvol_label * len(labels or ()))()
    for item, (key, value) in zip(array, (labels or {}).items()):
        item.key = _encode(key)
        item.value = _encode(value)
    return array


def _put_labels(opts, labels: Optional[Mapping[str, str]]) -> None:
    opts.labels = _labels(labels)
    opts.n_labels = len(labels or ())


def _call(name: str, *args) -> None:
    """Calls a function that takes a struct kvol_error last, and raises what it says."""
    error = _structs.kvol_error()
    r = getattr(_library(), name)(*args, ctypes.byref(error))
    if r < 0:
        raise Error(error)


def version() -> str:
    """The version of the library in use."""
    return _library().kvol_version().decode()


def reason_str(reason: int) -> str:
    """The name of a reason, such as "KVOL_R_BUSY_OPEN"."""
    return _library().kvol_reason_str(reason).decode()


class _Handle:
    """An owned C handle: released once, by close(), the end of a with block, or the collector."""

    _release = ""

    def __init__(self, handle: ctypes.c_void_p):
        self._handle = handle

    def close(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            getattr(_library(), self._release)(handle)

    def __enter__(self):
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Context(_Handle):
    """Settings and logging. `log(priority, message)` is called from the thread of the call."""

    _release = "kvol_free"

    def __init__(self, run_dir: Optional[str] = None, log=None, host_id: Optional[str] = None):
        opts = _sized(_structs.kvol_ctx_opts)
        opts.run_dir = _encode(run_dir)
        opts.host_id = _encode(host_id)
        # Kept here and by each pool: the library calls it for as long as one of them lives.
        self._log = _structs.log_fn(
            (lambda _arg, priority, msg: log(priority, msg.decode("utf-8", "replace")))
            if log else 0)
        opts.log = self._log
        handle = ctypes.c_void_p()
        _call("kvol_new", ctypes.byref(opts), ctypes.byref(handle))
        super().__init__(handle)

    def format(self, name: str, path: str, *, flags: int = 0, file_bytes: int = 0,
               block_bytes: int = 0, max_volumes: int = 0) -> None:
        opts = _sized(_structs.kvol_format_opts)
        opts.flags = flags
        opts.file_bytes = file_bytes
        opts.block_bytes = block_bytes
        opts.max_volumes = max_volumes
        _call("kvol_pool_format", self._handle, _encode(name), _encode(path), ctypes.byref(opts))

    def repair(self, path: str, *, flags: int = 0,
               backup_dir: Optional[str] = None) -> RepairInfo:
        opts = _sized(_structs.kvol_repair_opts)
        opts.flags = flags
        opts.backup_dir = _encode(backup_dir)
        info = _sized(_structs.kvol_repair_info)
        _call("kvol_pool_repair", self._handle, _encode(path), ctypes.byref(opts),
              ctypes.byref(info))
        return _to_tuple(RepairInfo, info)

    def open(self, path: str, *, flags: int = 0) -> "Pool":
        opts = _sized(_structs.kvol_open_opts)
        opts.flags = flags
        handle = ctypes.c_void_p()
        _call("kvol_pool_open", self._handle, _encode(path), ctypes.byref(opts),
              ctypes.byref(handle))
        return Pool(handle, self._log)


def _set_secret(opts, secret: Optional[bytes]) -> None:
    """Borrows the caller's bytes; opts must not outlive them."""
    if secret is not None:
        opts.secret = ctypes.cast(ctypes.c_char_p(secret), ctypes.c_void_p)
        opts.secret_bytes = len(secret)


class Pool(_Handle):
    """One open pool; made by Context.open(). May be shared by threads."""

    _release = "kvol_pool_close"

    def __init__(self, handle: ctypes.c_void_p, log):
        super().__init__(handle)
        self._log = log

    def deactivate(self) -> None:
        _call("kvol_pool_deactivate", self._handle)

    def info(self) -> PoolInfo:
        info = _sized(_structs.kvol_pool_info)
        _call("kvol_pool_stat", self._handle, ctypes.byref(info))
        return _to_tuple(PoolInfo, info)

    def set(self, *, max_volumes: Optional[int] = None, max_published: Optional[int] = None,
            overcommit: Optional[int] = None, publish_flags: Optional[int] = None) -> None:
        """Sets the pool's policy; what is None stays as it is."""
        opts = _sized(_structs.kvol_policy_opts)
        for field, flag, value in (("max_volumes", SET_MAX_VOLUMES, max_volumes),
                                   ("max_published", SET_MAX_PUBLISHED, max_published),
                                   ("overcommit", SET_OVERCOMMIT, overcommit),
                                   ("publish_flags", SET_PUBLISH_FLAGS, publish_flags)):
            if value is not None:
                setattr(opts, field, value)
                opts.flags |= flag
        _call("kvol_pool_set", self._handle, ctypes.byref(opts))

    def create(self, name: str, size: int, *, fs_type: Optional[str] = None,
               labels: Optional[Mapping[str, str]] = None,
               secret: Optional[bytes] = None, owner: Optional[Tuple[int, int]] = None,
               mode: Optional[int] = None) -> None:
        """owner (uid and gid) and mode are the root directory's."""
        opts = _sized(_structs.kvol_create_opts)
        _put_labels(opts, labels)
        if owner is not None:
            opts.flags |= CREATE_OWNER
            opts.uid, opts.gid = owner
        if mode is not None:
            opts.flags |= CREATE_MODE
            opts.mode = mode
        opts.fs_type = _encode(fs_type)
        _set_secret(opts, secret)
        _call("kvol_create", self._handle, _encode(name), size, ctypes.byref(opts))

    def snapshot(self, volume: str, snapshot: str, *,
                 labels: Optional[Mapping[str, str]] = None) -> None:
        opts = _sized(_structs.kvol_snapshot_opts)
        _put_labels(opts, labels)
        _call("kvol_snapshot", self._handle, _encode(volume), _encode(snapshot),
              ctypes.byref(opts))

    def clone(self, source: str, name: str, *, size: int = 0,
              labels: Optional[Mapping[str, str]] = None) -> None:
        opts = _sized(_structs.kvol_create_opts)
        _put_labels(opts, labels)
        opts.bytes = size
        _call("kvol_clone", self._handle, _encode(source), _encode(name), ctypes.byref(opts))

    def expand(self, name: str, size: int) -> None:
        _call("kvol_expand", self._handle, _encode(name), size, 0)

    def change_secret(self, name: str, old: bytes, new: bytes) -> None:
        _call("kvol_change_secret", self._handle, _encode(name), old, len(old), new, len(new), 0)

    def delete(self, name: str) -> None:
        _call("kvol_delete", self._handle, _encode(name), 0)

    def stat(self, name: str) -> Info:
        info = _sized(_structs.kvol_info)
        _call("kvol_stat", self._handle, _encode(name), ctypes.byref(info))
        return _to_tuple(Info, info)

    def volume_stat(self, name: str) -> VolumeStats:
        stats = _sized(_structs.kvol_volume_stats)
        _call("kvol_volume_stat", self._handle, _encode(name), ctypes.byref(stats))
        return _to_tuple(VolumeStats, stats)

    def list(self, flags: int = LIST_VOLUMES | LIST_SNAPSHOTS, *,
             label: Optional[str] = None, value: Optional[str] = None,
             source: Optional[str] = None, after: Optional[str] = None,
             limit: int = 0) -> Iterator[Info]:
        """Lists what the catalogue held at the call: kvol_list_filtered."""
        opts = _sized(_structs.kvol_list_opts)
        opts.flags = flags
        opts.label_key = _encode(label)
        opts.label_value = _encode(value)
        opts.source = _encode(source)
        opts.after = _encode(after)
        opts.limit = limit
        iterator = ctypes.c_void_p()
        _call("kvol_list_filtered", self._handle, ctypes.byref(opts), ctypes.byref(iterator))
        items = []
        try:
            info = _sized(_structs.kvol_info)
            while (r := _library().kvol_iter_next(iterator, ctypes.byref(info))) > 0:
                items.append(_to_tuple(Info, info))
                info.size = ctypes.sizeof(info)
        finally:
            _library().kvol_iter_free(iterator)
        if r < 0:
            raise OSError(-r, os.strerror(-r))
        return iter(items)

    def why(self, name: str) -> Iterator[Holder]:
        """Who holds a volume. Raises OSError where the list is not whole."""
        iterator = ctypes.c_void_p()
        _call("kvol_why", self._handle, _encode(name), 0, ctypes.byref(iterator))
        items = []
        try:
            info = _sized(_structs.kvol_why_info)
            while (r := _library().kvol_why_next(iterator, ctypes.byref(info))) > 0:
                items.append(_to_tuple(Holder, info))
                info.size = ctypes.sizeof(info)
        finally:
            _library().kvol_why_free(iterator)
        if r < 0:
            raise OSError(-r, os.strerror(-r))
        return iter(items)

    def set_labels(self, name: Optional[str], labels: Mapping[str, Optional[str]]) -> None:
        """Sets labels of a volume, or (None) of the pool; a value of None removes one."""
        _call("kvol_label_set", self._handle, _encode(name), _labels(labels), len(labels))

    def get_label(self, name: Optional[str], key: str) -> str:
        value = ctypes.create_string_buffer(LABEL_VALUE_MAX + 1)
        _call("kvol_label_get", self._handle, _encode(name), _encode(key), value, len(value))
        return os.fsdecode(value.value)

    def labels(self, name: Optional[str] = None) -> Dict[str, str]:
        iterator = ctypes.c_void_p()
        _call("kvol_label_list", self._handle, _encode(name), ctypes.byref(iterator))
        found, label = {}, _structs.kvol_label()
        try:
            while _library().kvol_label_iter_next(iterator, ctypes.byref(label)) > 0:
                found[os.fsdecode(label.key)] = os.fsdecode(label.value)
        finally:
            _library().kvol_label_iter_free(iterator)
        return found

    def publishes(self, name: Optional[str] = None) -> Iterator[PublishInfo]:
        iterator = ctypes.c_void_p()
        _call("kvol_publish_list", self._handle, _encode(name), ctypes.byref(iterator))
        found, info = [], _sized(_structs.kvol_publish_info)
        try:
            while _library().kvol_publish_iter_next(iterator, ctypes.byref(info)) > 0:
                labels = {os.fsdecode(x.key): os.fsdecode(x.value)
                          for x in info.labels[:info.n_labels]}
                found.append(PublishInfo(os.fsdecode(info.volume), os.fsdecode(info.target),
                                         os.fsdecode(info.mount_namespace), labels, info.flags))
                info.size = ctypes.sizeof(info)
        finally:
            _library().kvol_publish_iter_free(iterator)
        return iter(found)

    def _publish_opts(self, **fields):
        opts = _sized(_structs.kvol_publish_opts)
        for name, value in fields.items():
            setattr(opts, name, value if isinstance(value, int) else _encode(value))
        return opts

    def publish(self, name: str, target: str, *, flags: int = 0,
                mount_options: Optional[str] = None,
                mount_namespace: Optional[str] = None, access: int = 0,
                propagation: int = 0, user_namespace: Optional[str] = None,
                uid_map: Optional[str] = None, gid_map: Optional[str] = None,
                group: int = 0, labels: Optional[Mapping[str, str]] = None,
                secret: Optional[bytes] = None) -> None:
        opts = self._publish_opts(flags=flags, mount_options=mount_options,
                                  mount_namespace=mount_namespace, access=access,
                                  propagation=propagation, user_namespace=user_namespace,
                                  uid_map=uid_map, gid_map=gid_map, group=group)
        _put_labels(opts, labels)
        _set_secret(opts, secret)
        _call("kvol_publish", self._handle, _encode(name), _encode(target), ctypes.byref(opts))

    def unpublish(self, name: str, target: str, *,
                  mount_namespace: Optional[str] = None) -> None:
        opts = self._publish_opts(mount_namespace=mount_namespace)
        _call("kvol_unpublish", self._handle, _encode(name), _encode(target), ctypes.byref(opts))

    def limit_io(self, name: str, cgroup: str, *, read_bps: int = 0, write_bps: int = 0,
                 read_iops: int = 0, write_iops: int = 0) -> None:
        limits = _sized(_structs.kvol_io_limits)
        limits.read_bps = read_bps
        limits.write_bps = write_bps
        limits.read_iops = read_iops
        limits.write_iops = write_iops
        _call("kvol_limit_io", self._handle, _encode(name), _encode(cgroup),
              ctypes.byref(limits))
