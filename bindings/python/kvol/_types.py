# SPDX-License-Identifier: LGPL-2.1-or-later
"""What calls tell: the info structs of <kvol/kvol.h> as frozen dataclasses.

A field has the C field's name; only `bytes` is called size here, and whatever a type of its own
says better (an enumeration, a datetime) has that. A new field of the header is one line here.
"""

import ctypes
import datetime
import enum
import os
from dataclasses import dataclass, fields
from typing import Any, Dict, Optional, Tuple, Type, TypeVar, get_type_hints

from . import _enums as e

T = TypeVar("T")


@dataclass(frozen=True)
class PoolInfo:
    """A pool: its sizes in bytes, its counts, its policy (0: no limit)."""

    name: str
    uuid: str
    device: str  #: the block device or file that the pool was activated from
    host: str  #: the name of this host's claim to it; "": it has none
    flags: e.PoolFlags
    data_bytes: int
    data_used: int  #: bytes
    metadata_bytes: int
    metadata_used: int  #: bytes
    block_bytes: int
    n_volumes: int
    n_snapshots: int
    snapshots_left: int  #: snapshots and clones that can still be taken in the pool's life
    provisioned: int  #: bytes: the sum of the volumes' sizes
    capacity: int  #: bytes that new volumes can have; 0: nothing new is made
    largest_volume: int  #: bytes that one volume could have now
    max_volumes: int
    max_published: int
    overcommit: int  #: percent of the data space
    publish_flags: e.Policy
    n_published: int  #: volumes that are published on this host


@dataclass(frozen=True)
class RepairInfo:
    """What a repair came to. What is found and not mended is left."""

    found: e.Faults
    mended: e.Faults
    n_lost: int  #: volumes and snapshots that the metadata does not hold
    n_short: int  #: those that lost blocks when it was repaired
    n_strays: int  #: thin ids that nothing in the catalogue explains
    backup: str  #: the file with the metadata as it was; "": it was not written
    flags: int


@dataclass(frozen=True)
class Volume:
    """A volume, a snapshot, or (of Pool.templates()) a template."""

    name: str
    kind: e.Kind
    size: int  #: bytes
    allocated: int  #: bytes of pool space mapped, shared blocks included
    created: datetime.datetime  #: in UTC, whole seconds
    source: str  #: what it was snapshotted or cloned from, else ""
    fs_type: str  #: "ext4", "xfs", "btrfs"; "": raw
    uuid: str
    device: str  #: the block device while it is active, else ""
    n_targets: int  #: targets that it is published at on this host
    access: e.Access  #: of its publishes, if they have one in common
    dev_major: int  #: of the block device while it is active, else 0
    dev_minor: int
    flags: e.VolumeFlags

    @property
    def is_snapshot(self) -> bool:
        """Whether it is a snapshot."""
        return self.kind == e.Kind.SNAPSHOT

    @property
    def encrypted(self) -> bool:
        """Whether it needs a secret to be published."""
        return bool(self.flags & e.VolumeFlags.ENCRYPTED)

    @property
    def thick(self) -> bool:
        """Whether all of its space is allocated."""
        return bool(self.flags & e.VolumeFlags.THICK)

    @property
    def ephemeral(self) -> bool:
        """Whether it goes with its last publish."""
        return bool(self.flags & e.VolumeFlags.EPHEMERAL)


@dataclass(frozen=True)
class VolumeStats:
    """How full and how well a volume is; the fs_ figures are there with StatsFlags.FS only."""

    condition: e.Condition
    message: str  #: one line about it; "": it is OK
    fs_bytes: int
    fs_used: int  #: bytes
    fs_available: int  #: bytes
    fs_inodes: int  #: 0: the file system does not count them
    fs_inodes_used: int
    fs_inodes_available: int
    allocated: int  #: bytes, as in Volume
    flags: e.StatsFlags


@dataclass(frozen=True)
class Usage:
    """What a volume alone has in the pool, and what it shares."""

    exclusive: int  #: bytes of the pool that deleting it would give back
    shared: int  #: bytes that snapshots, clones or its source have as well
    flags: int


@dataclass(frozen=True)
class Holder:
    """Who or what holds a volume."""

    kind: e.HolderKind
    how: e.HeldBy  #: of a process
    pid: int  #: of the process, or of one in the namespace; else 0
    uid: int  #: of the process
    mount_namespace: int  #: its inode number, as in /proc/PID/ns/mnt; 0: unknown
    what: str  #: the process's or device's name; the namespace's path
    target: str  #: where it is mounted, what is open, the device's node
    flags: e.HolderFlags


@dataclass(frozen=True)
class Publish:
    """One publish of a volume on this host."""

    volume: str
    target: str  #: "": its record is damaged, and tells no more
    mount_namespace: str  #: as it was given; "": the caller's own
    labels: Dict[str, str]
    dev_major: int  #: of the block device that appears there; 0: it is not to be seen
    dev_minor: int
    flags: e.PublishFlags


@dataclass(frozen=True)
class Ephemeral:
    """What a volume is made of that lives as long as it is published."""

    size: int = 0  #: bytes; 0: the source's
    fs_type: Optional[str] = None  #: as in create()
    source: Optional[str] = None  #: the volume or snapshot that it is a clone of; None: none


# PYTHON NAME: C NAME, where they differ.
RENAMED = {"size": "bytes"}

_LAST_SECOND = 253402300799  # of the year 9999, the last that datetime knows
_PATHS = {"device", "backup", "target", "mount_namespace"}

_hints: Dict[type, Tuple[Tuple[str, Any], ...]] = {}


def _fields(cls: type) -> Tuple[Tuple[str, Any], ...]:
    """((name, type), ...) of a dataclass; looked up once."""
    if cls not in _hints:
        types = get_type_hints(cls)
        _hints[cls] = tuple((f.name, types[f.name]) for f in fields(cls))
    return _hints[cls]


def text(raw: bytes) -> str:
    """A name or a message: UTF-8, and whatever else goes through unchanged."""
    return raw.decode("utf-8", "surrogateescape")


def _convert(name: str, kind: Any, value: Any) -> Any:
    if kind is str:
        return os.fsdecode(value) if name in _PATHS else text(value)
    if kind is datetime.datetime:
        return datetime.datetime.fromtimestamp(min(value, _LAST_SECOND), datetime.timezone.utc)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    return value


def from_struct(cls: Type[T], struct: ctypes.Structure, **given: object) -> T:
    """The dataclass of a filled info struct; `given` are fields that the caller has converted."""
    values = {name: given[name] if name in given
              else _convert(name, kind, getattr(struct, RENAMED.get(name, name)))
              for name, kind in _fields(cls)}
    return cls(**values)
