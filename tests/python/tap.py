# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs test files of this folder with pytest and speaks TAP: tap.py FILE..."""

import contextlib
import io
import os
import sys

sys.path.insert(0, os.path.join(os.environ["KV_SRCDIR"], "bindings", "python"))

import pytest  # noqa: E402 # pylint: disable=wrong-import-position


class Tap:
    """One TAP line per test, and what is to be known of a failure."""

    def __init__(self):
        self.n = 0

    def line(self, status, name, rest=""):
        self.n += 1
        self.print("%s %d - %s%s" % (status, self.n, name, rest))

    def print(self, text):
        print(text, file=sys.__stdout__, flush=True)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.replace("::", ".").replace(".py", "").replace("#", "")
        if report.failed:
            self.line("not ok", name + ("" if report.when == "call" else " " + report.when))
            text = report.longreprtext + "".join("\n%s:\n%s" % part for part in report.sections)
            self.print("\n".join("# " + line for line in text.splitlines()))
        elif report.skipped:
            self.line("ok", name, " # SKIP " + report.longrepr[2])
        elif report.when == "call":
            self.line("ok", name)

    def pytest_collectreport(self, report):
        if report.failed:
            self.line("not ok", report.nodeid or "collection")
            self.print("\n".join("# " + line for line in report.longreprtext.splitlines()))


tap = Tap()
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
# No cache in the source tree, no plugins of the machine; what a finalizer raises is a failure. What
# pytest itself says is not for anybody: it must not come between the lines.
with contextlib.redirect_stdout(io.StringIO()):
    code = pytest.main(["-p", "no:cacheprovider", "-W",
                        "error::pytest.PytestUnraisableExceptionWarning"] + sys.argv[1:],
                       plugins=[tap])
print("1..%d" % tap.n)
sys.exit(code)
