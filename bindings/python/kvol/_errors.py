# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exceptions: one for each reason of <kvol/kvol.h>, all below Error."""

import errno
import os
from typing import Dict, Type

from . import _structs
from ._enums import Reason


class Error(OSError):
    """A call failed, and changed nothing.

    errno     the errno, positive
    strerror  one line: the object, the step that failed, the errno's text
    reason    a Reason: what programs branch on, as does the exception's class
    index     which element of a collection (labels) is at fault, else 0
    """

    reason: Reason
    index: int

    def __init__(self, code: int, message: str, reason: int = 0, index: int = 0) -> None:
        super().__init__(code, message)
        self.reason = Reason(reason)
        self.index = index

    def __reduce__(self) -> tuple:  # type: ignore[type-arg]
        return type(self), (self.errno, self.strerror, int(self.reason), self.index)


class Invalid(Error):
    """The arguments themselves are wrong."""


class InheritedHandle(Invalid):
    """The object was made before fork(2), and belongs to the parent: open the pool anew."""


class NotFound(Error):
    """No such pool, volume, source or target."""


class ExistsDifferent(Error):
    """The name (or the target) is taken, with other parameters."""


class Busy(Error):
    """Somebody uses it. pool.why(name) tells who."""


class BusyOpen(Busy):
    """Somebody holds the device, the target or the pool open."""


class BusyPublished(Busy):
    """The volume is published."""


class AccessConflict(Busy):
    """Another publish of the volume rules this one out."""


class HasSignature(Error):
    """The device carries data of somebody else."""


class NotAPool(Error):
    """The device or file holds no kvol pool."""


class PoolReadOnly(Error):
    """The pool takes no changes: the message says why."""


class PoolNeedsCheck(PoolReadOnly):
    """The thin pool's metadata must be checked offline first: Pool.repair()."""


class NoSpace(Error):
    """The pool is below its reserve: nothing new is made."""


class NoDataSpace(NoSpace):
    """Free data blocks are below the reserve."""


class NoMetadataSpace(NoSpace):
    """Free metadata blocks are below the reserve."""


class LimitReached(Error):
    """A limit of the pool is reached."""


class ForeignHost(Error):
    """The pool is open on another host."""


class Unsupported(Error):
    """Known, and not possible here."""


class NoKernelSupport(Unsupported):
    """The kernel lacks what the call needs."""


class IOFailed(Error):
    """The disk failed."""


class Corrupt(Error):
    """What is on the disk contradicts itself."""


class SystemFailed(Error):
    """A system call failed: errno is its own."""


class TimedOut(Error):
    """A deadline passed."""


class NeedsSecret(Error):
    """The volume is encrypted, and no secret or key is there."""


class WrongSecret(Error):
    """The secret is not the volume's."""


# A new reason is one line here, and its class above.
CLASSES: Dict[Reason, Type[Error]] = {
    Reason.INVALID: Invalid,
    Reason.NOT_FOUND: NotFound,
    Reason.EXISTS_DIFFERENT: ExistsDifferent,
    Reason.BUSY_OPEN: BusyOpen,
    Reason.BUSY_PUBLISHED: BusyPublished,
    Reason.HAS_SIGNATURE: HasSignature,
    Reason.NOT_A_POOL: NotAPool,
    Reason.POOL_READ_ONLY: PoolReadOnly,
    Reason.POOL_NEEDS_CHECK: PoolNeedsCheck,
    Reason.NO_DATA_SPACE: NoDataSpace,
    Reason.NO_METADATA_SPACE: NoMetadataSpace,
    Reason.LIMIT: LimitReached,
    Reason.FOREIGN_HOST: ForeignHost,
    Reason.UNSUPPORTED: Unsupported,
    Reason.NO_KERNEL_SUPPORT: NoKernelSupport,
    Reason.IO: IOFailed,
    Reason.CORRUPT: Corrupt,
    Reason.SYSTEM: SystemFailed,
    Reason.TIMEOUT: TimedOut,
    Reason.ACCESS_CONFLICT: AccessConflict,
    Reason.NEEDS_SECRET: NeedsSecret,
    Reason.WRONG_SECRET: WrongSecret,
}

# What a listing may end with has no reason in C.
_LISTING_REASONS = {
    errno.ECHILD: Reason.INVALID,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.E2BIG: Reason.LIMIT,
    errno.EIO: Reason.IO,
    errno.EUCLEAN: Reason.CORRUPT,
}


def error(code: int, message: str, reason: int, index: int = 0) -> Error:
    """The exception for a positive errno and a reason; Error itself for a reason of the future."""
    kind = CLASSES.get(Reason(reason), Error)
    if code == errno.ECHILD and kind is Invalid:
        kind = InheritedHandle
    return kind(code, message, reason, index)


def from_struct(e: _structs.kvol_error) -> Error:
    """What a failed call has filled in."""
    return error(-e.code, e.msg.decode("utf-8", "replace"), e.reason, e.index)


def from_listing(code: int, what: str) -> Error:
    """What the next item of a listing failed with: a positive errno alone."""
    return error(code, "%s: the list is not whole: %s" % (what, os.strerror(code)),
                 _LISTING_REASONS.get(code, Reason.SYSTEM))
