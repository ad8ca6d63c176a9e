# SPDX-License-Identifier: LGPL-2.1-or-later
"""Owned C handles: released once, when nobody uses them any more, and children before parents.

close() may come from any thread, from a finalizer in the middle of anything, or from a child after
fork. So a handle that is in use is only marked, and released by its last user; and there is no
lock that a finalizer could find taken by its own thread: each step below is one operation on a set
or a list, which Python makes atomic.

A listing is a user of its pool for as long as it lives: the pool's handle outlives it, in whatever
order the collector finds the two.
"""

import threading
import weakref
from types import TracebackType
from typing import Any, Callable, Generic, List, Optional, Set, Type, TypeVar

from . import _errors

T = TypeVar("T")
H = TypeVar("H", bound="Closing")


class Handle:
    """A pointer and what releases it."""

    def __init__(self, what: str, pointer: Any, release: Callable[[Any], None],
                 parent: Optional["Handle"] = None, keep: object = None) -> None:
        self._what = what
        self._pointer = pointer
        self._release = release
        self._parent = parent
        self._keep = keep  # what C may still use: the log function
        self._closed = False
        self._unreleased: List[Any] = [pointer]  # taken out by the one who releases it
        self._users: Set[object] = set()
        self._children: Set["Handle"] = set()
        if parent is not None:
            parent._children.add(self)
            parent._users.add(self)
            if parent._closed:  # while C made this one
                self.close()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def use(self) -> "_Use":
        """`with handle.use() as pointer`. ValueError: it is closed."""
        return _Use(self)

    def enter(self, user: object) -> Any:
        """The pointer, which stays good until leave(user)."""
        self._users.add(user)
        if self._closed:
            self.leave(user)
            raise ValueError("the %s is closed" % self._what)
        return self._pointer

    def leave(self, user: object) -> None:
        """Ends what enter() began."""
        self._users.discard(user)
        if self._closed:
            self._release_unused()

    def close(self) -> None:
        """Releases the pointer now, or after its last user."""
        self._closed = True
        for child in list(self._children):
            child.close()
        self._release_unused()

    def _release_unused(self) -> None:
        if self._users:
            return
        try:
            pointer = self._unreleased.pop()
        except IndexError:
            return
        self._release(pointer)
        if self._parent is not None:
            self._parent._children.discard(self)
            self._parent.leave(self)


class _Use:
    """One call on a handle; itself the user."""

    __slots__ = ("_handle",)

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __enter__(self) -> Any:
        return self._handle.enter(self)

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._handle.leave(self)


class Closing:
    """What owns a handle: closed by close(), at the end of a with block, by the collector, or at
    the interpreter's exit. Closing twice is fine."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._finalizer = weakref.finalize(self, handle.close)

    def close(self) -> None:
        """Releases it now, or when the last call that another thread has begun on it ends."""
        self._finalizer.detach()
        self._handle.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed: using it raises ValueError."""
        return self._handle.closed

    def __enter__(self: H) -> H:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()


class Listing(Closing, Generic[T]):
    """A listing that is read item by item, as it stood at the call.

    It belongs to one thread at a time, and is closed by its end, by close(), and with its pool.
    """

    def __init__(self, owner: Closing, handle: Handle, step: Callable[[Any], Any],
                 what: str) -> None:
        super().__init__(handle)
        self._owner = owner  # which is not collected before its listings
        self._step = step
        self._name = what
        self._busy = threading.Lock()
        self._ended = False

    def __iter__(self) -> "Listing[T]":
        return self

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        # Never waited for: not by a signal's handler, nor by a child that was forked meanwhile.
        if not self._busy.acquire(blocking=False):
            raise ValueError("another thread is reading this listing")
        try:
            with self._handle.use() as pointer:
                result = self._step(pointer)
        finally:
            self._busy.release()
        if isinstance(result, int):
            self._ended = True
            self.close()
            if result < 0:
                raise _errors.from_listing(-result, self._name)
            raise StopIteration
        found: T = result
        return found
