# The library, by layers. A new file is one line in the list of its layer; tests/layers reads these
# lists, holds includes and symbols against them, and misses any file of lib/ that is in none.

# L0: memory, files, strings, errors.
layer0_sources = \
	lib/error.c \
	lib/error.h \
	lib/log.c \
	lib/log.h \
	lib/opts.c \
	lib/opts.h \
	lib/secret.c \
	lib/secret.h \
	lib/util.c \
	lib/util.h

# L2, pure: bytes in, bytes out, no system calls.
layer2_sources = \
	lib/claim.c \
	lib/claim.h \
	lib/idmap.c \
	lib/idmap.h \
	lib/label.c \
	lib/label.h \
	lib/layout.c \
	lib/layout.h \
	lib/mountinfo.c \
	lib/mountinfo.h \
	lib/names.c \
	lib/names.h \
	lib/procinfo.c \
	lib/procinfo.h \
	lib/thin.c \
	lib/thin.h \
	lib/thinmeta.c \
	lib/thinmeta.h \
	lib/thinnode.c \
	lib/thinnode.h \
	lib/thinusage.c \
	lib/thinusage.h \
	lib/thinwalk.c \
	lib/thinwalk.h

# L1: adapters, one foreign library or kernel interface each.
layer1_sources = \
	lib/blockdev.c \
	lib/blockdev.h \
	lib/cgroup.c \
	lib/cgroup.h \
	lib/crypt.c \
	lib/crypt.h \
	lib/dm.c \
	lib/dm.h \
	lib/fs_btrfs.c \
	lib/fs_ext4.c \
	lib/fs_xfs.c \
	lib/gpt.c \
	lib/gpt.h \
	lib/holders.c \
	lib/holders.h \
	lib/keyring.c \
	lib/keyring.h \
	lib/loop.c \
	lib/loop.h \
	lib/mount.c \
	lib/mount.h \
	lib/namespace.c \
	lib/probe.c \
	lib/probe.h \
	lib/spawn.c \
	lib/spawn.h \
	lib/thread.c \
	lib/thread.h \
	lib/tree.c \
	lib/tree.h \
	lib/userns.c \
	lib/userns.h

# L1 too, but nothing that the unit tests on the model have to replace.
layer1_core_sources = \
	lib/db.c \
	lib/db.h \
	lib/fs.c \
	lib/fs.h \
	lib/mountopts.c

# L3: what is durable, and who may touch it.
layer3_sources = \
	lib/catalogue.c \
	lib/catalogue.h \
	lib/catalogue_check.c \
	lib/catalogue_db.h \
	lib/catalogue_label.c \
	lib/catalogue_list.c \
	lib/catalogue_policy.c \
	lib/catalogue_tally.c \
	lib/device.c \
	lib/host.c \
	lib/host.h \
	lib/ids.c \
	lib/ids.h \
	lib/lock.c \
	lib/lock.h \
	lib/metasnap.c \
	lib/metasnap.h \
	lib/pool_state.c \
	lib/pool_state.h \
	lib/publication.c \
	lib/publication.h \
	lib/reservation.c \
	lib/room.c \
	lib/rundir.c \
	lib/rundir.h \
	lib/schema.c \
	lib/stack.c \
	lib/stack.h \
	lib/transaction.c \
	lib/unfinished.c \
	lib/unfinished.h \
	lib/usermaps.c \
	lib/usermaps.h

# L4: the public functions, one verb family per file.
layer4_sources = \
	lib/activate.c \
	lib/contents.c \
	lib/create.c \
	lib/ctx.c \
	lib/delete.c \
	lib/drain.c \
	lib/encrypt.c \
	lib/ephemeral.c \
	lib/expand.c \
	lib/format.c \
	lib/format.h \
	lib/format_check.c \
	lib/health.c \
	lib/labels.c \
	lib/leftover.c \
	lib/limit.c \
	lib/policy.c \
	lib/pool.c \
	lib/publish.c \
	lib/publish.h \
	lib/publish_ephemeral.c \
	lib/publish_job.c \
	lib/publish_list.c \
	lib/publish_mount.c \
	lib/publish_target.c \
	lib/recover.c \
	lib/repair.c \
	lib/repair.h \
	lib/repair_catalogue.c \
	lib/repair_metadata.c \
	lib/repair_volumes.c \
	lib/snapshot.c \
	lib/standing.c \
	lib/stat.c \
	lib/template.c \
	lib/template.h \
	lib/template_copy.c \
	lib/thick.c \
	lib/unpublish.c \
	lib/usage.c \
	lib/verb.h \
	lib/volume.c \
	lib/why.c

# Three archives, each using only those to its right: core, adapters, base. The unit tests put an
# in-memory model in the adapters' place.
noinst_LTLIBRARIES += lib/libkvbase.la lib/libkvadapters.la lib/libkvcore.la
lib_libkvbase_la_SOURCES = $(layer0_sources) $(layer2_sources)
lib_libkvadapters_la_SOURCES = $(layer1_sources)
lib_libkvadapters_la_LIBADD = $(BLKID_LIBS) $(MOUNT_LIBS) $(FDISK_LIBS) $(CRYPTSETUP_LIBS)
lib_libkvcore_la_SOURCES = $(layer1_core_sources) $(layer3_sources) $(layer4_sources)
lib_libkvcore_la_LIBADD = $(SQLITE_LIBS) $(MOUNT_LIBS)

# A list that has changed makes its archive anew, even when no file in it did.
EXTRA_lib_libkvbase_la_DEPENDENCIES = lib/local.mk
EXTRA_lib_libkvadapters_la_DEPENDENCIES = lib/local.mk
EXTRA_lib_libkvcore_la_DEPENDENCIES = lib/local.mk

lib_LTLIBRARIES += lib/libkvol.la
lib_libkvol_la_SOURCES =
lib_libkvol_la_LIBADD = lib/libkvcore.la lib/libkvadapters.la lib/libkvbase.la
lib_libkvol_la_LDFLAGS = $(AM_LDFLAGS) -version-info $(LIBKVOL_VERSION_INFO) $(LINK_CLOSED) \
	-Wl,--version-script=$(top_srcdir)/lib/libkvol.sym
EXTRA_lib_libkvol_la_DEPENDENCIES = lib/libkvol.sym
EXTRA_DIST += lib/libkvol.sym
