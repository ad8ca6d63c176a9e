# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package on a real pool in a file; run by tests/system/python.sh."""

import errno
import os
import tempfile
import time
import unittest

import kvol

GIB = 1 << 30
SIZE = 512 << 20


class Pool(unittest.TestCase):
    """Each test has a pool of its own, in a directory that it leaves as it was."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(dir=os.environ.get("KVOL_GUEST_SCRATCH"))
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.file = self.path("pool.img")
        self.ctx = kvol.Context(run_dir=self.path("run"))
        self.addCleanup(self.ctx.close)
        self.ctx.format("python", self.file, file_bytes=4 * GIB)
        self.pool = self.ctx.open(self.file)
        self.addCleanup(self.shut)

    def shut(self):
        self.pool.deactivate()
        self.pool.close()

    def path(self, name):
        return os.path.join(self.directory, name)

    def target(self, name):
        os.mkdir(self.path(name))
        return self.path(name)

    def test_info_tells_what_was_formatted(self):
        info = self.pool.info()
        self.assertEqual((info.name, info.n_volumes, info.n_snapshots), ("python", 0, 0))
        self.assertEqual(os.path.realpath(self.file), os.path.realpath(info.device))
        self.assertTrue(0 < info.data_bytes < 4 * GIB)

    def test_a_volume_s_life(self):
        self.pool.create("db", SIZE, fs_type="ext4")
        target = self.target("db")
        self.pool.publish("db", target)
        self.addCleanup(self.pool.unpublish, "db", target)
        with open(os.path.join(target, "file"), "w", encoding="ascii") as f:
            f.write("kept")
        self.pool.snapshot("db", "monday")

        info = self.pool.stat("monday")
        self.assertEqual((info.kind, info.source, info.fs_type, info.bytes),
                         (kvol.KIND_SNAPSHOT, "db", "ext4", SIZE))
        self.assertLess(abs(info.created - time.time()), 3600)

        self.pool.clone("monday", "copy", size=2 * SIZE)
        self.pool.expand("db", 2 * SIZE)
        self.assertEqual([(i.name, i.bytes) for i in self.pool.list()],
                         [("copy", 2 * SIZE), ("db", 2 * SIZE), ("monday", SIZE)])
        self.assertEqual([i.name for i in self.pool.list(kvol.LIST_SNAPSHOTS)], ["monday"])

        copy = self.target("copy")
        self.pool.publish("copy", copy, flags=kvol.PUBLISH_READONLY, mount_options="noatime")
        with open(os.path.join(copy, "file"), encoding="ascii") as f:
            self.assertEqual(f.read(), "kept")
        self.pool.unpublish("copy", copy)
        self.pool.delete("copy")
        self.assertEqual(len(list(self.pool.list())), 2)

    def test_labels_of_all_that_has_some(self):
        self.pool.create("db", SIZE, fs_type="ext4", labels={"tier": "gold"})
        self.pool.create("other", SIZE)
        self.pool.set_labels("db", {"kvol.io/owner": "Zoë", "none": None})
        self.pool.set_labels(None, {"zone": "b"})
        self.assertEqual(self.pool.labels("db"), {"kvol.io/owner": "Zoë", "tier": "gold"})
        self.assertEqual(self.pool.labels(), {"zone": "b"})
        self.assertEqual(self.pool.get_label("db", "tier"), "gold")
        self.assertEqual([i.name for i in self.pool.list(label="tier", value="gold")], ["db"])
        self.assertEqual([i.name for i in self.pool.list(after="db", limit=1)], ["other"])
        with self.assertRaises(kvol.Error) as raised:
            self.pool.set_labels("db", {"good": "1", "not good": "2"})
        self.assertEqual((raised.exception.reason, raised.exception.index), (kvol.R_INVALID, 1))

        target = self.target("db")
        self.pool.publish("db", target, labels={"pod": "db-0"})
        self.addCleanup(self.pool.unpublish, "db", target)
        self.assertEqual(list(self.pool.publishes()),
                         [kvol.PublishInfo("db", target, "", {"pod": "db-0"}, 0)])
        self.assertEqual(list(self.pool.publishes("other")), [])

    def test_a_policy_is_kept(self):
        self.pool.set(overcommit=100, publish_flags=kvol.POLICY_NODEV)
        self.pool.set(max_published=2)
        info = self.pool.info()
        self.assertEqual((info.overcommit, info.max_published, info.publish_flags),
                         (100, 2, kvol.POLICY_NODEV))
        with self.assertRaises(kvol.Error) as raised:
            self.pool.create("db", 5 * GIB)
        self.assertEqual(raised.exception.reason, kvol.R_LIMIT)

    def test_a_refusal_says_why(self):
        self.pool.create("db", SIZE)
        with self.assertRaises(kvol.Error) as raised:
            self.pool.create("db", 2 * SIZE)
        self.assertEqual((raised.exception.errno, raised.exception.reason),
                         (errno.EEXIST, kvol.R_EXISTS_DIFFERENT))
        self.assertIn("db", raised.exception.strerror)

    def test_names_are_unicode(self):
        self.pool.create("Bücher №1", SIZE)
        self.assertEqual([i.name for i in self.pool.list()], ["Bücher №1"])
