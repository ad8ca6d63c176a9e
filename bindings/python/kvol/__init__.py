# SPDX-License-Identifier: LGPL-2.1-or-later
"""Container volumes over device-mapper thin pools, by libkvol.

    import kvol

    with kvol.Pool.open("/dev/disk/by-id/...") as pool:
        pool.create("db", 10 << 30, fs_type="ext4")
        pool.publish("db", "/srv/db")
        for volume in pool.list(kind=kvol.Kind.VOLUME):
            print(volume.name, volume.size, volume.allocated)

Each method is one function of <kvol/kvol.h>, the reference manual, whose contracts on idempotency,
durability and waiting hold here too. A failure raises a subclass of kvol.Error, one for each reason.
Secrets are bytes that are read where they are; what Python itself has copied of them (a literal, a
file's buffer) it cannot wipe: read them into a bytearray, and zero that afterwards.
"""

from ._constants import LABEL_KEY_MAX, LABEL_VALUE_MAX, LABELS_MAX, OVERCOMMIT_MAX
from ._context import Context
from ._enums import (Access, Condition, Faults, HeldBy, HolderFlags, HolderKind, Kind, Policy,
                     PoolFlags, Propagation, PublishFlags, Reason, StatsFlags, VolumeFlags)
from ._errors import (AccessConflict, Busy, BusyOpen, BusyPublished, Corrupt, Error,
                      ExistsDifferent, ForeignHost, HasSignature, InheritedHandle, Invalid,
                      IOFailed, LimitReached, NeedsSecret, NoDataSpace, NoKernelSupport,
                      NoMetadataSpace, NoSpace, NotAPool, NotFound, PoolNeedsCheck, PoolReadOnly,
                      SystemFailed, TimedOut, Unsupported, WrongSecret)
from ._handle import Listing
from ._library import load, reason_str, version
from ._pool import Pool
from ._types import (Ephemeral, Holder, PoolInfo, Publish, RepairInfo, Usage, Volume,
                     VolumeStats)

__version__ = "0.1.0"

__all__ = [
    "Access", "AccessConflict", "Busy", "BusyOpen", "BusyPublished", "Condition", "Context",
    "Corrupt", "Ephemeral", "Error", "ExistsDifferent", "Faults", "ForeignHost", "HasSignature",
    "HeldBy", "Holder", "HolderFlags", "HolderKind", "IOFailed", "InheritedHandle", "Invalid",
    "Kind", "LABELS_MAX", "LABEL_KEY_MAX", "LABEL_VALUE_MAX", "LimitReached", "Listing",
    "NeedsSecret", "NoDataSpace", "NoKernelSupport", "NoMetadataSpace", "NoSpace", "NotAPool",
    "NotFound", "OVERCOMMIT_MAX", "Policy", "Pool", "PoolFlags", "PoolInfo", "PoolNeedsCheck",
    "PoolReadOnly", "Propagation", "Publish", "PublishFlags", "Reason", "RepairInfo", "StatsFlags",
    "SystemFailed", "TimedOut", "Unsupported", "Usage", "Volume", "VolumeFlags", "VolumeStats",
    "WrongSecret", "load", "reason_str", "version",
]
