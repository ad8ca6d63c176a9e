# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which libkvol is used, and calls into it.

It is loaded at the first call, so that importing the package needs no libkvol. Each handle keeps
the library that made it.
"""

import ctypes
import errno
import os
import threading
from typing import Any, Callable, Dict, Optional

from . import _errors
from . import _structs as s
from ._enums import Reason
from ._functions import FUNCTIONS

DEFAULT = "libkvol.so.0"


class Library:
    """A loaded libkvol."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._functions: Dict[str, Callable[..., Any]] = {}
        cdll = ctypes.CDLL(name)
        for function, (restype, argtypes) in FUNCTIONS.items():
            try:
                pointer: Any = getattr(cdll, function)
            except AttributeError:  # an older library
                continue
            pointer.restype = restype
            pointer.argtypes = argtypes
            self._functions[function] = pointer
        if "kvol_version" not in self._functions:
            raise OSError(errno.ELIBBAD, "this is no libkvol", name)

    def function(self, name: str) -> Callable[..., Any]:
        """A function by its C name. Unsupported: this library is too old to have it."""
        try:
            return self._functions[name]
        except KeyError:
            raise _errors.Unsupported(errno.ENOSYS, "%s: this library (%s) has no such function" % (
                name, self.name), Reason.UNSUPPORTED) from None

    def call(self, name: str, *args: object) -> None:
        """Calls a function that takes a struct kvol_error last, and raises what it says."""
        error = s.kvol_error()
        if self.function(name)(*args, ctypes.byref(error)) < 0:
            raise _errors.from_struct(error)


_lock = threading.Lock()
_loaded: Optional[Library] = None


def load(name: Optional[str] = None) -> None:
    """Chooses the library for all that is made from now on, and loads it.

    `name` is a path, or a name that dlopen(3) finds; None is $KVOL_LIBRARY, else libkvol.so.0.
    Without this call the first one to need the library loads it like load(None). Raises OSError
    if it cannot be loaded.
    """
    global _loaded
    library = Library(name or os.environ.get("KVOL_LIBRARY") or DEFAULT)
    with _lock:
        _loaded = library


def library() -> Library:
    """The library in use."""
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = Library(os.environ.get("KVOL_LIBRARY") or DEFAULT)
        return _loaded


def version() -> str:
    """The version of the library in use, such as "0.1.0"."""
    found: bytes = library().function("kvol_version")()
    return found.decode("ascii")


def reason_str(reason: int) -> str:
    """The C name of a reason, such as "KVOL_R_BUSY_OPEN"."""
    found: bytes = library().function("kvol_reason_str")(reason)
    return found.decode("ascii")
