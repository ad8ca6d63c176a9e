# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package on the built library, as far as that goes without device-mapper."""

import errno
import os
import tempfile
import unittest

import kvol


@unittest.skipIf("KVOL_LIBRARY" not in os.environ, "this build's library cannot be loaded by Python")
class Binding(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def path(self, name):
        return os.path.join(self.directory, name)

    def context(self, **kwargs):
        return kvol.Context(run_dir=self.path("run"), **kwargs)

    def test_every_function_is_found_in_the_library(self):
        kvol._functions.load(os.environ["KVOL_LIBRARY"])

    def test_library_and_package_have_one_version(self):
        self.assertEqual(kvol.version(), kvol.__version__)

    def test_reasons_have_names(self):
        self.assertEqual(kvol.reason_str(kvol.R_BUSY_OPEN), "KVOL_R_BUSY_OPEN")
        self.assertEqual(kvol.reason_str(1 << 20), "KVOL_R_UNKNOWN")

    def test_a_context_may_be_closed_twice(self):
        ctx = self.context(log=lambda priority, message: None)
        ctx.close()
        ctx.close()

    def test_a_failure_carries_errno_reason_and_message(self):
        with self.context() as ctx, self.assertRaises(kvol.Error) as raised:
            ctx.format("-not a pool's name", self.path("pool"), file_bytes=1 << 30)
        self.assertEqual((raised.exception.errno, raised.exception.reason),
                         (errno.EINVAL, kvol.R_INVALID))
        self.assertTrue(raised.exception.strerror)
        self.assertFalse(os.path.exists(self.path("pool")))

    def test_a_pool_that_is_not_there_is_not_opened(self):
        with self.context() as ctx, self.assertRaises(kvol.Error) as raised:
            ctx.open(self.path("pool"))
        # Without privileges or device-mapper the library does not get as far as looking.
        self.assertIn(raised.exception.errno, (errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP))

    def test_a_host_id_is_checked(self):
        self.context(host_id="node-7").close()
        with self.assertRaises(kvol.Error) as raised:
            self.context(host_id="two words")
        self.assertEqual(raised.exception.reason, kvol.R_INVALID)

    def test_a_null_character_is_refused(self):
        with self.context() as ctx, self.assertRaises(ValueError):
            ctx.open("a\0b")
