# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs unittest modules of this folder and speaks TAP: tap.py MODULE..."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ["KV_SRCDIR"], "bindings", "python"))


class TapResult(unittest.TextTestResult):
    """One TAP line per test, beside unittest's own report on standard error."""

    def _line(self, status, test, rest=""):
        print("%s %d - %s%s" % (status, self.testsRun, test.id(), rest), flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("ok", test, " # SKIP " + reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line("not ok", test)

    def addError(self, test, err):
        super().addError(test, err)
        self._line("not ok", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._line("not ok", subtest)


suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
result = unittest.TextTestRunner(resultclass=TapResult, verbosity=0).run(suite)
print("1..%d" % result.testsRun)
sys.exit(not result.wasSuccessful())
