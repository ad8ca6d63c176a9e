# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pool, and all that can be done with it: each method is one function of <kvol/kvol.h>.

A new function is one method here. A new field of an options struct is one keyword of its method,
by the field's name, and one line where the struct is filled.
"""

import ctypes
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Type, TypeVar

from . import _arguments as a
from . import _constants as c
from . import _enums as e
from . import _structs as s
from . import _types as t
from ._context import Context
from ._handle import Closing, Handle, Listing

T = TypeVar("T")


def _flags(*chosen: Tuple[int, bool]) -> int:
    """The bits whose second half is true."""
    return sum(bit for bit, wanted in chosen if wanted)


class Pool(Closing):
    """One open pool, made by Pool.open(). Any number of threads may share it.

    Sizes are bytes. Each change is durable when its method returns, or nothing changed and it
    raises an Error; doing the same again is fine. Any method may raise Invalid, SystemFailed,
    IOFailed, Corrupt, TimedOut, NoKernelSupport and, on what was inherited through fork,
    InheritedHandle; and what changes something PoolReadOnly and NoSpace. Others are named below.
    A closed pool raises ValueError. The GIL is released while the library works.
    """

    def __init__(self, context: Context, pointer: ctypes.c_void_p) -> None:
        """Not for callers: Pool.open()."""
        self._library = context._library
        super().__init__(Handle("pool", pointer, self._library.function("kvol_pool_close"),
                                keep=context._log))

    # --- Pools ---

    @staticmethod
    def format(name: str, path: a.StrPath, *, size: int = 0, block_size: int = 0,
               max_volumes: int = 0, force: bool = False,
               context: Optional[Context] = None) -> None:
        """Makes a pool called `name` on `path`, a block device or a file. What is on it is lost.

        size         make `path` a sparse file of so many bytes; 0: it exists
        block_size   bytes, a multiple of 65536; 0: chosen by size
        max_volumes  what the pool's metadata is sized for; 0: chosen by size
        force        overwrite whatever is there

        Raises HasSignature, ExistsDifferent, BusyOpen, NotFound.
        """
        context = context or Context()
        opts = a.options(s.kvol_format_opts, _flags((c.FORMAT_FORCE, force)), file_bytes=size,
                         block_bytes=block_size, max_volumes=max_volumes)
        with context._handle.use() as ctx:
            context._library.call("kvol_pool_format", ctx, a.name(name), a.path(path),
                                  ctypes.byref(opts))

    @classmethod
    def open(cls, path: a.StrPath, *, takeover: bool = False,
             context: Optional[Context] = None) -> "Pool":
        """Opens a pool: by the path of its device or file, or (without a "/") by an active one's
        name. An inactive pool is activated, and what a crash left half-done is finished or undone.

        takeover  end another host's claim; right only when that host is known to be down

        Raises NotFound, NotAPool, ForeignHost, ExistsDifferent, BusyOpen.
        """
        context = context or Context()
        opts = a.options(s.kvol_open_opts, _flags((c.OPEN_TAKEOVER, takeover)))
        pointer = ctypes.c_void_p()
        with context._handle.use() as ctx:
            context._library.call("kvol_pool_open", ctx, a.path(path), ctypes.byref(opts),
                                  ctypes.byref(pointer))
        return cls(context, pointer)

    @staticmethod
    def repair(path: a.StrPath, *, check: bool = False, force: bool = False, accept: bool = False,
               takeover: bool = False, backup_dir: Optional[a.StrPath] = None,
               context: Optional[Context] = None) -> t.RepairInfo:
        """Checks an inactive pool and mends what can be; each step is told to the context's log.

        check       look and tell, change nothing
        force       the catalogue's file system: at any price
        accept      what is left of the volumes is taken as it is
        takeover    as in open()
        backup_dir  an existing directory where what is overwritten is kept

        Raises BusyOpen, ForeignHost, Unsupported (a program is missing), NotFound, NotAPool.
        """
        context = context or Context()
        opts = a.options(s.kvol_repair_opts,
                         _flags((c.REPAIR_CHECK, check), (c.REPAIR_FORCE, force),
                                (c.REPAIR_ACCEPT, accept), (c.REPAIR_TAKEOVER, takeover)),
                         backup_dir=a.optional_path(backup_dir))
        info = a.info(s.kvol_repair_info)
        with context._handle.use() as ctx:
            context._library.call("kvol_pool_repair", ctx, a.path(path), ctypes.byref(opts),
                                  ctypes.byref(info))
        return t.from_struct(t.RepairInfo, info)

    def deactivate(self) -> None:
        """Takes the pool out of use, so that its disk can move; then only close() is left.

        Waits at most 30 seconds for other threads' calls, and for listings that were not read to
        their end: close those first. Raises BusyPublished, BusyOpen.
        """
        self._call("kvol_pool_deactivate")

    def stat(self) -> t.PoolInfo:
        """Tells about the pool."""
        return self._info("kvol_pool_stat", t.PoolInfo, s.kvol_pool_info)

    def set(self, *, max_volumes: Optional[int] = None, max_published: Optional[int] = None,
            overcommit: Optional[int] = None, publish_flags: Optional[e.Policy] = None) -> None:
        """Sets the pool's policy: all that is given, or nothing. None leaves a limit, 0 lifts it.

        max_volumes    volumes and snapshots
        max_published  volumes that are published on one host at a time
        overcommit     the sum of the volumes' sizes, in percent of the data space
        publish_flags  mount flags of all that is published from now on
        """
        opts = a.options(s.kvol_policy_opts,
                         _flags((c.SET_MAX_VOLUMES, max_volumes is not None),
                                (c.SET_MAX_PUBLISHED, max_published is not None),
                                (c.SET_OVERCOMMIT, overcommit is not None),
                                (c.SET_PUBLISH_FLAGS, publish_flags is not None)),
                         max_volumes=max_volumes, max_published=max_published,
                         overcommit=overcommit, publish_flags=publish_flags)
        self._call("kvol_pool_set", ctypes.byref(opts))

    # --- Volumes and snapshots ---

    def create(self, name: str, size: int, *, fs_type: Optional[str] = None,
               owner: Optional[Tuple[int, int]] = None, mode: Optional[int] = None,
               thick: bool = False,
               labels: Optional[a.Labels] = None, secret: Optional[a.SecretBytes] = None) -> None:
        """Makes a volume: blank, or with an empty file system.

        size     bytes, rounded up to 4096
        fs_type  "ext4", "xfs", "btrfs"; None: a raw block volume
        owner    (uid, gid) of the file system's root directory; None: (0, 0)
        mode     of that, such as 0o2770; None: what its mkfs gives
        thick    all of its space is allocated: writes to it never meet a full pool
        labels   come with it, in the same change
        secret   encrypts it: 1 to 4096 bytes

        Raises ExistsDifferent, Unsupported, LimitReached.
        """
        uid, gid = (None, None) if owner is None else owner
        with a.Secret(secret) as (address, n_bytes):
            opts = a.options(s.kvol_create_opts,
                             _flags((c.CREATE_OWNER, owner is not None),
                                    (c.CREATE_MODE, mode is not None),
                                    (c.CREATE_THICK, thick)),
                             fs_type=a.optional_name(fs_type), uid=uid, gid=gid, mode=mode,
                             secret=address, secret_bytes=n_bytes, **self._labels(labels))
            self._call("kvol_create", a.name(name), a.number(size), ctypes.byref(opts))

    def snapshot(self, volume: str, snapshot: str, *,
                 labels: Optional[a.Labels] = None) -> None:
        """Takes a read-only snapshot of a volume or a snapshot; it outlives its source.

        Raises NotFound, ExistsDifferent, LimitReached.
        """
        opts = a.options(s.kvol_snapshot_opts, **self._labels(labels))
        self._call("kvol_snapshot", a.name(volume), a.name(snapshot), ctypes.byref(opts))

    def clone(self, source: str, name: str, *, size: int = 0, fs_type: Optional[str] = None,
              labels: Optional[a.Labels] = None) -> None:
        """Makes a writable volume with the contents of a volume or a snapshot.

        size     bytes, at least the source's; 0: the source's
        fs_type  what the source has, or None

        Raises NotFound, ExistsDifferent, LimitReached.
        """
        opts = a.options(s.kvol_create_opts, bytes=size, fs_type=a.optional_name(fs_type),
                         **self._labels(labels))
        self._call("kvol_clone", a.name(source), a.name(name), ctypes.byref(opts))

    def expand(self, name: str, size: int) -> None:
        """Makes a volume at least so many bytes large, device and file system; never shrinks.

        Raises NotFound, Unsupported (a snapshot), NeedsSecret, LimitReached.
        """
        self._call("kvol_expand", a.name(name), a.number(size), 0)

    def delete(self, name: str) -> None:
        """Deletes a volume or a snapshot for good; what was copied from it stays whole.

        Raises BusyPublished, BusyOpen.
        """
        self._call("kvol_delete", a.name(name), 0)

    def change_secret(self, name: str, old: a.SecretBytes, new: a.SecretBytes) -> None:
        """Replaces the secret of an encrypted volume or snapshot; its data stays.

        Raises NotFound, WrongSecret, BusyPublished, Unsupported.
        """
        with a.Secret(old) as before, a.Secret(new) as after:
            self._call("kvol_change_secret", a.name(name), *before, *after, 0)

    def volume(self, name: str) -> t.Volume:
        """Tells about one volume or snapshot. Raises NotFound."""
        return self._info("kvol_stat", t.Volume, s.kvol_info, a.name(name))

    def volume_stat(self, name: str) -> t.VolumeStats:
        """Tells how full and how well a volume is. Raises NotFound."""
        return self._info("kvol_volume_stat", t.VolumeStats, s.kvol_volume_stats, a.name(name))

    def usage(self, name: str) -> t.Usage:
        """Tells what a volume alone has in the pool, and what it shares; reads the pool's metadata.

        Raises NotFound, PoolReadOnly, NoMetadataSpace.
        """
        return self._info("kvol_usage", t.Usage, s.kvol_usage_info, a.name(name))

    def list(self, *, kind: Optional[e.Kind] = None, label: Optional[str] = None,
             value: Optional[str] = None, source: Optional[str] = None,
             after: Optional[str] = None, limit: int = 0) -> Listing[t.Volume]:
        """Lists volumes and snapshots by name, as they stood at the call.

        kind    only volumes, or only snapshots; or templates, as templates() does
        label   only what has this label; with `value`: only with this value
        source  only what was copied from this name
        after   only names behind this one
        limit   no more items than this; 0: all
        """
        opts = a.options(s.kvol_list_opts,
                         _flags((c.LIST_VOLUMES, kind == e.Kind.VOLUME),
                                (c.LIST_SNAPSHOTS, kind == e.Kind.SNAPSHOT),
                                (c.LIST_TEMPLATES, kind == e.Kind.TEMPLATE)),
                         label_key=a.optional_name(label), label_value=a.optional_name(value),
                         source=a.optional_name(source), after=a.optional_name(after),
                         limit=limit)
        return self._listing("kvol_list_filtered", "kvol_iter_next", "kvol_iter_free",
                             s.kvol_info, lambda info: t.from_struct(t.Volume, info),
                             ctypes.byref(opts))

    # --- Templates ---

    def make_template(self, fs_type: str, size: int) -> None:
        """Makes ready what volumes of so many bytes with this file system are cloned of. Without
        it the first create() of one does so.

        Raises Unsupported.
        """
        self._call("kvol_template_make", a.name(fs_type), a.number(size))

    def delete_templates(self, fs_type: Optional[str] = None, size: Optional[int] = None) -> None:
        """Deletes the templates with this file system (None: any) for volumes of this size (None:
        any). Volumes that were cloned of them stay whole.

        Raises Unsupported (an unknown file system).
        """
        self._call("kvol_template_delete", a.optional_name(fs_type),
                   0 if size is None else a.number(size))

    def templates(self) -> Listing[t.Volume]:
        """Lists the pool's templates, as they stood at the call."""
        return self.list(kind=e.Kind.TEMPLATE)

    # --- Labels ---

    def set_labels(self, name: Optional[str], labels: Mapping[str, Optional[str]]) -> None:
        """Sets labels of a volume or snapshot, or (None) of the pool, and removes those whose value
        is None: all of them or none.

        Raises NotFound, LimitReached; `index` of the error is the label at fault.
        """
        self._call("kvol_label_set", a.optional_name(name), a.labels(labels), len(labels))

    def get_label(self, name: Optional[str], key: str) -> str:
        """The value of one label; of the pool if `name` is None. Raises NotFound."""
        value = ctypes.create_string_buffer(c.LABEL_VALUE_MAX + 1)
        self._call("kvol_label_get", a.optional_name(name), a.name(key), value, len(value))
        return t.text(value.value)

    def labels(self, name: Optional[str] = None) -> Dict[str, str]:
        """All labels of a volume or snapshot, or (None) of the pool. Raises NotFound."""
        found: Listing[Tuple[str, str]] = self._listing(
            "kvol_label_list", "kvol_label_iter_next", "kvol_label_iter_free", s.kvol_label,
            _label, a.optional_name(name))
        with found:
            return dict(found)

    # --- Publishing ---

    def publish(self, name: str, target: a.StrPath, *, readonly: bool = False, block: bool = False,
                mount_options: Optional[str] = None, mount_namespace: Optional[a.StrPath] = None,
                access: e.Access = e.Access.ANY,
                propagation: e.Propagation = e.Propagation.DEFAULT,
                user_namespace: Optional[a.StrPath] = None, uid_map: Optional[str] = None,
                gid_map: Optional[str] = None, group: Optional[int] = None,
                labels: Optional[a.Labels] = None, secret: Optional[a.SecretBytes] = None,
                ephemeral: Optional[t.Ephemeral] = None) -> None:
        """Makes a volume appear at `target`, an existing directory; or, with `block`, its device
        at an existing file. It ends with unpublish(), or with the boot.

        readonly         it takes no writes through this target
        block            the device, not the file system
        mount_options    as mount(8) -o takes them, separated by commas
        mount_namespace  a path such as /proc/123/ns/mnt; None: the caller's
        access           which other publishes of the volume it goes with
        propagation      where mounts below it show up as well
        user_namespace   the path of one whose ids the files get, such as /proc/123/ns/user; or
        uid_map, gid_map such as "0 100000 65536": INSIDE OUTSIDE COUNT
        group            all in it is given to this group before it appears
        labels           are kept with the publish: see publishes()
        secret           of an encrypted volume
        ephemeral        the volume is made if it is not there, and deleted with its last publish

        Raises NotFound, NeedsSecret, WrongSecret, ExistsDifferent, BusyOpen, BusyPublished,
        AccessConflict, LimitReached, Unsupported.
        """
        with a.Secret(secret) as (address, n_bytes):
            opts = a.options(s.kvol_publish_opts,
                             _flags((c.PUBLISH_READONLY, readonly), (c.PUBLISH_BLOCK, block),
                                    (c.PUBLISH_GROUP, group is not None)),
                             mount_options=a.optional_name(mount_options),
                             mount_namespace=a.optional_path(mount_namespace),
                             access=access, propagation=propagation,
                             user_namespace=a.optional_path(user_namespace),
                             uid_map=a.optional_name(uid_map), gid_map=a.optional_name(gid_map),
                             group=group, secret=address, secret_bytes=n_bytes,
                             ephemeral=_ephemeral(ephemeral), **self._labels(labels))
            self._call("kvol_publish", a.name(name), a.path(target), ctypes.byref(opts))

    def unpublish(self, name: str, target: a.StrPath, *,
                  mount_namespace: Optional[a.StrPath] = None) -> None:
        """Takes a volume away from a target. Raises BusyOpen."""
        opts = a.options(s.kvol_publish_opts, mount_namespace=a.optional_path(mount_namespace))
        self._call("kvol_unpublish", a.name(name), a.path(target), ctypes.byref(opts))

    def publishes(self, name: Optional[str] = None) -> Listing[t.Publish]:
        """The publishes of a volume, or (None) of the whole pool, on this host. Raises NotFound."""
        return self._listing("kvol_publish_list", "kvol_publish_iter_next",
                             "kvol_publish_iter_free", s.kvol_publish_info, _publish,
                             a.optional_name(name))

    def why(self, name: str) -> Listing[t.Holder]:
        """Tells who holds a volume: why it cannot be unpublished, deactivated or deleted.

        Raises NotFound; and, where the list ends before it is whole, TimedOut or LimitReached.
        """
        return self._listing("kvol_why", "kvol_why_next", "kvol_why_free", s.kvol_why_info,
                             lambda info: t.from_struct(t.Holder, info), a.name(name), 0)

    def limit_io(self, name: str, cgroup: a.StrPath, *, read_bps: int = 0, write_bps: int = 0,
                 read_iops: int = 0, write_iops: int = 0) -> None:
        """Limits what the processes of a cgroup (version 2, an absolute path) read from and write
        to a published volume: bytes and operations a second, 0: no limit.

        Raises NotFound, NoKernelSupport.
        """
        limits = a.options(s.kvol_io_limits, read_bps=read_bps, write_bps=write_bps,
                           read_iops=read_iops, write_iops=write_iops)
        self._call("kvol_limit_io", a.name(name), a.path(cgroup), ctypes.byref(limits))

    # --- How it is done ---

    def _call(self, function: str, *args: object) -> None:
        with self._handle.use() as pool:
            self._library.call(function, pool, *args)

    def _info(self, function: str, kind: Type[T], struct: Any, *args: object) -> T:
        """What a function tells in an info struct, its last argument."""
        info = a.info(struct)
        self._call(function, *args, ctypes.byref(info))
        return t.from_struct(kind, info)

    def _listing(self, begin: str, step: str, free: str, struct: Any,
                 convert: Callable[[Any], Any], *args: object) -> Listing[Any]:
        """A listing made by `begin`; `step` fills the struct, from which convert() makes an item."""
        pointer = ctypes.c_void_p()
        next_item = self._library.function(step)
        info: Any = struct()

        def item(pointer: Any) -> Any:
            if hasattr(struct, "size"):
                info.size = ctypes.sizeof(struct)
            result = next_item(pointer, ctypes.byref(info))
            return convert(info) if result > 0 else result

        with self._handle.use() as pool:
            self._library.call(begin, pool, *args, ctypes.byref(pointer))
            handle = Handle("listing", pointer, self._library.function(free), self._handle)
        return Listing(self, handle, item, begin)

    @staticmethod
    def _labels(labels: Optional[a.Labels]) -> Dict[str, Any]:
        """The fields of an options struct that has labels."""
        return {} if labels is None else {"labels": a.labels(labels), "n_labels": len(labels)}


def _ephemeral(wanted: Optional[t.Ephemeral]) -> Any:
    """A pointer to what an ephemeral volume is made of, or NULL."""
    if wanted is None:
        return None
    return ctypes.pointer(a.options(s.kvol_ephemeral_opts, bytes=wanted.size,
                                    fs_type=a.optional_name(wanted.fs_type),
                                    source=a.optional_name(wanted.source)))


def _label(label: Any) -> Tuple[str, str]:
    return t.text(label.key), t.text(label.value)


def _publish(info: Any) -> t.Publish:
    return t.from_struct(t.Publish, info, labels=dict(map(_label, info.labels[:info.n_labels])))
