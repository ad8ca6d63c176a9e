# SPDX-License-Identifier: LGPL-2.1-or-later
"""The constants of <kvol/kvol.h> as enumerations.

A new constant of the header is one line here, or a keyword of the method that takes it.
tests/python/test_reach.py names those that are neither.
"""

from enum import IntEnum, IntFlag

from . import _constants as c


class _Enum(IntEnum):
    """A newer library may know more members than this package: they are UNKNOWN_<number>."""

    @classmethod
    def _missing_(cls, value: object) -> "_Enum":
        if not isinstance(value, int):
            raise ValueError("%r is no valid %s" % (value, cls.__name__))
        member = int.__new__(cls, value)
        member._name_ = "UNKNOWN_%d" % value
        member._value_ = value
        return member


class Reason(_Enum):
    """Why a call failed."""

    NONE = c.R_NONE
    INVALID = c.R_INVALID
    NOT_FOUND = c.R_NOT_FOUND
    EXISTS_DIFFERENT = c.R_EXISTS_DIFFERENT
    BUSY_OPEN = c.R_BUSY_OPEN
    BUSY_PUBLISHED = c.R_BUSY_PUBLISHED
    HAS_SIGNATURE = c.R_HAS_SIGNATURE
    NOT_A_POOL = c.R_NOT_A_POOL
    POOL_READ_ONLY = c.R_POOL_READ_ONLY
    POOL_NEEDS_CHECK = c.R_POOL_NEEDS_CHECK
    NO_DATA_SPACE = c.R_NO_DATA_SPACE
    NO_METADATA_SPACE = c.R_NO_METADATA_SPACE
    LIMIT = c.R_LIMIT
    FOREIGN_HOST = c.R_FOREIGN_HOST
    UNSUPPORTED = c.R_UNSUPPORTED
    NO_KERNEL_SUPPORT = c.R_NO_KERNEL_SUPPORT
    IO = c.R_IO
    CORRUPT = c.R_CORRUPT
    SYSTEM = c.R_SYSTEM
    TIMEOUT = c.R_TIMEOUT
    ACCESS_CONFLICT = c.R_ACCESS_CONFLICT
    NEEDS_SECRET = c.R_NEEDS_SECRET
    WRONG_SECRET = c.R_WRONG_SECRET


class Kind(_Enum):
    """What a name of the pool stands for."""

    VOLUME = c.KIND_VOLUME
    SNAPSHOT = c.KIND_SNAPSHOT
    TEMPLATE = c.KIND_TEMPLATE


class Access(_Enum):
    """Which other publishes of a volume on this host one goes with."""

    ANY = c.ACCESS_ANY  #: all but a single writer's
    SINGLE_WRITER = c.ACCESS_SINGLE_WRITER  #: none: it is the only one
    MULTI_WRITER = c.ACCESS_MULTI_WRITER  #: all but a single writer's
    READER = c.ACCESS_READER  #: the same, and is read-only itself


class Propagation(_Enum):
    """Where mounts that somebody makes below the published one show up as well."""

    DEFAULT = c.PROPAGATION_DEFAULT
    PRIVATE = c.PROPAGATION_PRIVATE
    SLAVE = c.PROPAGATION_SLAVE
    SHARED = c.PROPAGATION_SHARED


class Condition(_Enum):
    """The worst that is known of a volume."""

    OK = c.CONDITION_OK
    NO_SPACE = c.CONDITION_NO_SPACE
    FS_ERROR = c.CONDITION_FS_ERROR
    READ_ONLY = c.CONDITION_READ_ONLY
    DEVICE_ERROR = c.CONDITION_DEVICE_ERROR


class HolderKind(_Enum):
    """What holds a volume."""

    MOUNT = c.WHY_MOUNT
    NAMESPACE = c.WHY_NAMESPACE
    PROCESS = c.WHY_PROCESS
    DEVICE = c.WHY_DEVICE


class HolderFlags(IntFlag):
    """PUBLISHED: it is a publish, and unpublish() takes it away."""

    PUBLISHED = c.WHY_PUBLISHED


class HeldBy(IntFlag):
    """By what a process holds a volume."""

    FILE = c.WHY_BY_FILE
    CWD = c.WHY_BY_CWD
    ROOT = c.WHY_BY_ROOT
    EXE = c.WHY_BY_EXE
    MMAP = c.WHY_BY_MMAP
    DEVICE = c.WHY_BY_DEVICE


class PoolFlags(IntFlag):
    """What state a pool is in."""

    AUDIT = c.POOL_AUDIT
    READ_ONLY = c.POOL_READ_ONLY
    NEEDS_CHECK = c.POOL_NEEDS_CHECK
    OUT_OF_DATA = c.POOL_OUT_OF_DATA
    OUT_OF_METADATA = c.POOL_OUT_OF_METADATA
    LOW_DATA = c.POOL_LOW_DATA
    LOW_METADATA = c.POOL_LOW_METADATA


class Policy(IntFlag):
    """Mount flags of every file system that is published from now on."""

    NOEXEC = c.POLICY_NOEXEC
    NOSUID = c.POLICY_NOSUID
    NODEV = c.POLICY_NODEV


class Faults(IntFlag):
    """What can be wrong with a pool."""

    TABLE = c.FAULT_TABLE
    CATALOGUE = c.FAULT_CATALOGUE
    DATABASE = c.FAULT_DATABASE
    METADATA = c.FAULT_METADATA
    NEEDS_CHECK = c.FAULT_NEEDS_CHECK
    VOLUMES = c.FAULT_VOLUMES
    EPOCH = c.FAULT_EPOCH
    STRAYS = c.FAULT_STRAYS


class VolumeFlags(IntFlag):
    """What there is to know of a volume."""

    ENCRYPTED = c.INFO_ENCRYPTED
    THICK = c.INFO_THICK
    EPHEMERAL = c.INFO_EPHEMERAL


class StatsFlags(IntFlag):
    """ACTIVE: the volume's device is active. FS: it is mounted, and the fs_ figures are there."""

    ACTIVE = c.STATS_ACTIVE
    FS = c.STATS_FS


class PublishFlags(IntFlag):
    """How a volume is published."""

    READONLY = c.PUBLISH_READONLY
    BLOCK = c.PUBLISH_BLOCK
    GROUP = c.PUBLISH_GROUP
