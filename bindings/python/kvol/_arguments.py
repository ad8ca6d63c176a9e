# SPDX-License-Identifier: LGPL-2.1-or-later
"""Python's arguments as C takes them: strings, numbers, labels, secrets, options structs.

ctypes cuts numbers down to their width without a word, so all of them are checked here.
"""

import ctypes
import operator
import os
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Tuple, Type, TypeVar, Union

from . import _structs as s

StrPath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
SecretBytes = Union[bytes, bytearray, memoryview]
Labels = Mapping[str, str]

S = TypeVar("S", bound=ctypes.Structure)

_WIDTHS: Dict[Any, int] = {ctypes.c_uint32: 32, ctypes.c_uint64: 64}


def _no_nul(raw: bytes) -> bytes:
    if b"\0" in raw:
        raise ValueError("embedded null character")
    return raw


def name(value: str) -> bytes:
    """A name, or any other text but a path: UTF-8."""
    if not isinstance(value, str):
        raise TypeError("a name must be str, not %s" % type(value).__name__)
    return _no_nul(value.encode("utf-8", "surrogateescape"))


def optional_name(value: Optional[str]) -> Optional[bytes]:
    """A name, or NULL."""
    return None if value is None else name(value)


def path(value: StrPath) -> bytes:
    """A path: whatever Python knows one by goes through unchanged."""
    return _no_nul(os.fsencode(value))


def optional_path(value: Optional[StrPath]) -> Optional[bytes]:
    """A path, or NULL."""
    return None if value is None else path(value)


def number(value: int, bits: int = 64, what: str = "size") -> int:
    """An unsigned number of so many bits."""
    value = operator.index(value)
    if not 0 <= value < 1 << bits:
        raise ValueError("%s must be 0 to 2**%d - 1, not %d" % (what, bits, value))
    return value


def labels(values: Mapping[str, Optional[str]]) -> Any:
    """An array of struct kvol_label; a value of None is NULL."""
    array = (s.kvol_label * len(values))()
    for item, (key, value) in zip(array, values.items()):
        item.key = name(key)
        item.value = optional_name(value)
    return array


def options(struct: Type[S], flags: int = 0, **values: Any) -> S:
    """An options struct with these fields: None leaves a field as it is, zero."""
    opts: Any = struct()
    opts.size = ctypes.sizeof(struct)
    opts.flags = number(flags, 32, "flags")
    types = dict(struct._fields_)  # type: ignore[arg-type]
    for field, value in values.items():
        if value is None:
            continue
        if types[field] in _WIDTHS:
            value = number(value, _WIDTHS[types[field]], field)
        setattr(opts, field, value)
    found: S = opts
    return found


def info(struct: Type[S]) -> S:
    """An info struct to be filled."""
    return options(struct)


class Secret:
    """A secret for the length of one call: `with Secret(value) as (address, n_bytes)`.

    The caller's own memory is what C reads wherever Python can say where that is: for bytes and for
    whatever is writable. Only a read-only memoryview is copied, and the copy is wiped.
    """

    def __init__(self, value: Optional[SecretBytes]) -> None:
        if isinstance(value, str):
            raise TypeError("a secret must be bytes, bytearray or memoryview, not str")
        self._value = value
        self._buffer: Any = None
        self._wipe = 0

    def __enter__(self) -> Tuple[Optional[int], int]:
        if self._value is None:
            return None, 0
        if isinstance(self._value, bytes):
            self._buffer = ctypes.c_char_p(self._value)
            return ctypes.cast(self._buffer, ctypes.c_void_p).value, len(self._value)
        view = memoryview(self._value).cast("B")
        if view.readonly:
            self._buffer = (ctypes.c_char * max(1, len(view))).from_buffer_copy(view or b"\0")
            self._wipe = len(view)
        elif len(view):
            self._buffer = (ctypes.c_char * len(view)).from_buffer(view)
        else:
            self._buffer = ctypes.create_string_buffer(1)
        return ctypes.addressof(self._buffer), len(view)

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if self._wipe:
            ctypes.memset(self._buffer, 0, self._wipe)
        self._buffer = self._value = None
