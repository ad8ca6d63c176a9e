# SPDX-License-Identifier: LGPL-2.1-or-later
"""Settings and logging: struct kvol_ctx."""

import ctypes
from typing import Any, Callable, Optional

from . import _arguments as a
from . import _structs as s
from ._handle import Closing, Handle
from ._library import library

LogFunction = Callable[[int, str], None]


class Context(Closing):
    """What pools are opened, formatted and repaired with, where the defaults do not do.

    run_dir  where locks and the records of publishes live: the same for all processes that share
             a pool, and gone with the boot. Default: /run/kvol
    host_id  what this host is called in the claim that it lays to a pool: 1 to 127 printable ASCII
             characters. Default: the machine's own id
    log      called as log(priority, line), from the thread of the call, with the priorities of
             syslog(3). Default: nothing is logged

    It is cheap, it opens nothing, and pools that were opened with it stay usable when it is closed.
    Raises Invalid.
    """

    def __init__(self, *, run_dir: Optional[a.StrPath] = None, host_id: Optional[str] = None,
                 log: Optional[LogFunction] = None) -> None:
        self._library = library()
        self._log = None if log is None else _log_function(log)
        opts = a.options(s.kvol_ctx_opts, log=self._log, run_dir=a.optional_path(run_dir),
                         host_id=a.optional_name(host_id))
        pointer = ctypes.c_void_p()
        self._library.call("kvol_new", ctypes.byref(opts), ctypes.byref(pointer))
        super().__init__(Handle("context", pointer, self._library.function("kvol_free"),
                                keep=self._log))


def _log_function(log: LogFunction) -> Any:
    """What C calls; an exception in it goes to sys.unraisablehook."""
    return s.log_fn(lambda _arg, priority, line: log(priority, line.decode("utf-8", "replace")))
