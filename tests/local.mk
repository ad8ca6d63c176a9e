# Tests. A new unit test is one line in unit_tests; a new one on the model, or a new system test, is
# one line in its list and one or two below it.

# --- unit: one program per file of the library ---

# These link with the real adapters.
unit_tests = \
	tests/unit/test_blockdev \
	tests/unit/test_cgroup \
	tests/unit/test_claim \
	tests/unit/test_crypt \
	tests/unit/test_db \
	tests/unit/test_dm \
	tests/unit/test_error \
	tests/unit/test_fs \
	tests/unit/test_gpt \
	tests/unit/test_holders \
	tests/unit/test_idmap \
	tests/unit/test_label \
	tests/unit/test_layout \
	tests/unit/test_lock \
	tests/unit/test_loop \
	tests/unit/test_mount_refused \
	tests/unit/test_mountinfo \
	tests/unit/test_mountopts \
	tests/unit/test_names \
	tests/unit/test_namespace \
	tests/unit/test_opts \
	tests/unit/test_procinfo \
	tests/unit/test_probe \
	tests/unit/test_publication \
	tests/unit/test_rundir \
	tests/unit/test_secret \
	tests/unit/test_spawn \
	tests/unit/test_spawn_refused \
	tests/unit/test_thin \
	tests/unit/test_thinmeta \
	tests/unit/test_thinusage \
	tests/unit/test_tree \
	tests/unit/test_userns \
	tests/unit/test_util

# So does this one, which needs root and a kernel that nobody else uses: it runs with the system tests.
root_unit_tests = \
	tests/unit/test_mount

LDADD = lib/libkvcore.la lib/libkvadapters.la lib/libkvbase.la $(CMOCKA_LIBS)

# No such devices here: the tests play them.
tests_unit_test_blockdev_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=access -Wl,--wrap=fallocate \
	-Wl,--wrap=fstat -Wl,--wrap=fsync -Wl,--wrap=ioctl -Wl,--wrap=lstat -Wl,--wrap=mknodat \
	-Wl,--wrap=open -Wl,--wrap=openat -Wl,--wrap=readlink -Wl,--wrap=syscall \
	-Wl,--wrap=kv_read_file_at
tests_unit_test_cgroup_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fstatfs -Wl,--wrap=write
tests_unit_test_crypt_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=kv_blockdev_flush \
	-Wl,--wrap=kv_pwrite_full
tests_unit_test_dm_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ioctl -Wl,--wrap=open
tests_unit_test_loop_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=access -Wl,--wrap=ioctl -Wl,--wrap=open \
	-Wl,--wrap=opendir -Wl,--wrap=kv_backoff -Wl,--wrap=kv_blockdev_open \
	-Wl,--wrap=kv_read_file_at
tests_unit_test_mount_refused_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fchdir -Wl,--wrap=fstat \
	-Wl,--wrap=name_to_handle_at -Wl,--wrap=openat -Wl,--wrap=read -Wl,--wrap=statx \
	-Wl,--wrap=syscall
tests_unit_test_namespace_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fstat -Wl,--wrap=ioctl \
	-Wl,--wrap=open -Wl,--wrap=openat -Wl,--wrap=pthread_attr_init \
	-Wl,--wrap=pthread_create -Wl,--wrap=pthread_sigmask -Wl,--wrap=setns \
	-Wl,--wrap=stat -Wl,--wrap=unshare
tests_unit_test_spawn_SOURCES = tests/unit/spawning.h tests/unit/test_spawn.c
tests_unit_test_spawn_refused_SOURCES = tests/unit/spawning.h tests/unit/test_spawn_refused.c
tests_unit_test_spawn_refused_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=kv_now_ms -Wl,--wrap=mmap \
	-Wl,--wrap=pipe2 -Wl,--wrap=poll -Wl,--wrap=pthread_sigmask -Wl,--wrap=syscall \
	-Wl,--wrap=waitid
tests_unit_test_userns_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=open -Wl,--wrap=pipe2 \
	-Wl,--wrap=clone -Wl,--wrap=kv_read_file_at

# These link with the model of them: pools, devices and mounts in memory.
unit_model_tests = \
	tests/unit/test_catalogue \
	tests/unit/test_contents \
	tests/unit/test_ctx \
	tests/unit/test_drain \
	tests/unit/test_encrypt \
	tests/unit/test_ephemeral \
	tests/unit/test_expand \
	tests/unit/test_format \
	tests/unit/test_host \
	tests/unit/test_ids \
	tests/unit/test_labels \
	tests/unit/test_limit \
	tests/unit/test_model \
	tests/unit/test_policy \
	tests/unit/test_pool \
	tests/unit/test_publish \
	tests/unit/test_publish_options \
	tests/unit/test_recover \
	tests/unit/test_repair \
	tests/unit/test_snapshot \
	tests/unit/test_stack \
	tests/unit/test_stat \
	tests/unit/test_template \
	tests/unit/test_thick \
	tests/unit/test_unfinished \
	tests/unit/test_usage \
	tests/unit/test_volume \
	tests/unit/test_why

model_sources = \
	tests/model/model.c \
	tests/model/model.h \
	tests/model/model_alone.c \
	tests/model/model_catalogue.c \
	tests/model/model_catalogue.h \
	tests/model/model_cgroup.c \
	tests/model/model_crypt.c \
	tests/model/model_disk.c \
	tests/model/model_dm.c \
	tests/model/model_fs.c \
	tests/model/model_metadata.c \
	tests/model/model_mount.c \
	tests/model/model_pool.c \
	tests/model/model_rundir.c \
	tests/model/model_save.c \
	tests/model/model_vfs.c

tests_libfixture_la_SOURCES = tests/model/fixture.c tests/model/fixture.h
tests_libmodel_la_SOURCES = $(model_sources)

# The model stands where the adapters do. It delays and fails a few functions of the core, too.
model_ldadd = tests/libfixture.la lib/libkvcore.la tests/libmodel.la lib/libkvbase.la \
	$(SQLITE_LIBS) $(CMOCKA_LIBS)
model_ldflags = $(AM_LDFLAGS) \
	-Wl,--wrap=close \
	-Wl,--wrap=ftruncate \
	-Wl,--wrap=getrandom \
	-Wl,--wrap=kv_backoff \
	-Wl,--wrap=kv_db_commit \
	-Wl,--wrap=kv_deadline \
	-Wl,--wrap=kv_expired \
	-Wl,--wrap=kv_now_ms \
	-Wl,--wrap=kv_pread_full \
	-Wl,--wrap=kv_pwrite_full \
	-Wl,--wrap=kv_write_file_at \
	-Wl,--wrap=mkdirat \
	-Wl,--wrap=syncfs \
	-Wl,--wrap=time \
	-Wl,--wrap=unlink \
	-Wl,--wrap=unlinkat
tests_unit_test_catalogue_LDADD = $(model_ldadd)
tests_unit_test_catalogue_LDFLAGS = $(model_ldflags)
tests_unit_test_ctx_LDADD = $(model_ldadd)
tests_unit_test_ctx_LDFLAGS = $(model_ldflags)
tests_unit_test_contents_LDADD = $(model_ldadd)
tests_unit_test_contents_LDFLAGS = $(model_ldflags)
tests_unit_test_drain_LDADD = $(model_ldadd)
tests_unit_test_drain_LDFLAGS = $(model_ldflags)
tests_unit_test_encrypt_LDADD = $(model_ldadd)
tests_unit_test_encrypt_LDFLAGS = $(model_ldflags)
tests_unit_test_ephemeral_LDADD = $(model_ldadd)
tests_unit_test_ephemeral_LDFLAGS = $(model_ldflags)
tests_unit_test_expand_LDADD = $(model_ldadd)
tests_unit_test_expand_LDFLAGS = $(model_ldflags)
tests_unit_test_format_LDADD = $(model_ldadd)
tests_unit_test_format_LDFLAGS = $(model_ldflags)
tests_unit_test_host_LDADD = $(model_ldadd)
tests_unit_test_host_LDFLAGS = $(model_ldflags)
tests_unit_test_ids_LDADD = $(model_ldadd)
tests_unit_test_ids_LDFLAGS = $(model_ldflags)
tests_unit_test_labels_LDADD = $(model_ldadd)
tests_unit_test_labels_LDFLAGS = $(model_ldflags)
tests_unit_test_limit_LDADD = $(model_ldadd)
tests_unit_test_limit_LDFLAGS = $(model_ldflags)
tests_unit_test_model_LDADD = $(model_ldadd)
tests_unit_test_model_LDFLAGS = $(model_ldflags)
tests_unit_test_policy_LDADD = $(model_ldadd)
tests_unit_test_policy_LDFLAGS = $(model_ldflags)
tests_unit_test_pool_LDADD = $(model_ldadd)
tests_unit_test_pool_LDFLAGS = $(model_ldflags)
tests_unit_test_publish_LDADD = $(model_ldadd)
tests_unit_test_publish_LDFLAGS = $(model_ldflags)
tests_unit_test_why_LDADD = $(model_ldadd)
tests_unit_test_why_LDFLAGS = $(model_ldflags)
tests_unit_test_publish_options_LDADD = $(model_ldadd)
tests_unit_test_publish_options_LDFLAGS = $(model_ldflags)
tests_unit_test_recover_LDADD = $(model_ldadd)
tests_unit_test_recover_LDFLAGS = $(model_ldflags)
tests_unit_test_repair_LDADD = $(model_ldadd)
tests_unit_test_repair_LDFLAGS = $(model_ldflags)
tests_unit_test_snapshot_LDADD = $(model_ldadd)
tests_unit_test_snapshot_LDFLAGS = $(model_ldflags)
tests_unit_test_stack_LDADD = $(model_ldadd)
tests_unit_test_stack_LDFLAGS = $(model_ldflags)
tests_unit_test_stat_LDADD = $(model_ldadd)
tests_unit_test_stat_LDFLAGS = $(model_ldflags)
tests_unit_test_template_LDADD = $(model_ldadd)
tests_unit_test_template_LDFLAGS = $(model_ldflags)
tests_unit_test_thick_LDADD = $(model_ldadd)
tests_unit_test_thick_LDFLAGS = $(model_ldflags)
tests_unit_test_unfinished_LDADD = $(model_ldadd)
tests_unit_test_unfinished_LDFLAGS = $(model_ldflags)
tests_unit_test_usage_LDADD = $(model_ldadd)
tests_unit_test_usage_LDFLAGS = $(model_ldflags)
tests_unit_test_volume_LDADD = $(model_ldadd)
tests_unit_test_volume_LDFLAGS = $(model_ldflags)

# The same as one library, which the tests of bindings/python load. Without cmocka there is no model.
tests_python_libkvol_model_la_SOURCES = tests/python/model_library.c
tests_python_libkvol_model_la_LIBADD = lib/libkvcore.la tests/libmodel.la lib/libkvbase.la $(SQLITE_LIBS)
tests_python_libkvol_model_la_LDFLAGS = $(model_ldflags) -module -avoid-version -shared -rpath /nowhere

# --- system: the public header only, in the guest ---

system_tests = \
	tests/system/test_bad_disk \
	tests/system/test_block \
	tests/system/test_clone \
	tests/system/test_context \
	tests/system/test_create \
	tests/system/test_damage \
	tests/system/test_delete \
	tests/system/test_encryption \
	tests/system/test_ephemeral \
	tests/system/test_expand \
	tests/system/test_flips \
	tests/system/test_fork \
	tests/system/test_format \
	tests/system/test_fs \
	tests/system/test_full_pool \
	tests/system/test_health \
	tests/system/test_history \
	tests/system/test_host \
	tests/system/test_hostile \
	tests/system/test_kill \
	tests/system/test_kill_room \
	tests/system/test_labels \
	tests/system/test_limit \
	tests/system/test_list \
	tests/system/test_namespace \
	tests/system/test_neighbours \
	tests/system/test_old_data \
	tests/system/test_open \
	tests/system/test_owner \
	tests/system/test_policy \
	tests/system/test_processes \
	tests/system/test_publish \
	tests/system/test_placement \
	tests/system/test_recovery \
	tests/system/test_repair \
	tests/system/test_snapshot \
	tests/system/test_space \
	tests/system/test_standing \
	tests/system/test_template \
	tests/system/test_thick \
	tests/system/test_udev \
	tests/system/test_usage \
	tests/system/test_wrong_catalogue

tests_system_libsystem_la_SOURCES = \
	tests/system/disk.c \
	tests/system/disk.h \
	tests/system/full.c \
	tests/system/full.h \
	tests/system/member.c \
	tests/system/member.h \
	tests/system/scene.c \
	tests/system/scene.h \
	tests/system/system.c \
	tests/system/system.h

system_ldadd = tests/system/libsystem.la lib/libkvol.la $(CMOCKA_LIBS)
tests_system_test_bad_disk_LDADD = $(system_ldadd)
tests_system_test_bad_disk_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_block_LDADD = $(system_ldadd)
tests_system_test_block_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_clone_LDADD = $(system_ldadd)
tests_system_test_clone_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_context_LDADD = $(system_ldadd)
tests_system_test_context_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_create_LDADD = $(system_ldadd)
tests_system_test_create_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_damage_LDADD = $(system_ldadd)
tests_system_test_damage_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_delete_LDADD = $(system_ldadd)
tests_system_test_delete_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_encryption_LDADD = $(system_ldadd)
tests_system_test_encryption_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_ephemeral_LDADD = $(system_ldadd)
tests_system_test_ephemeral_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_expand_LDADD = $(system_ldadd)
tests_system_test_expand_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_flips_LDADD = $(system_ldadd)
tests_system_test_flips_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_fork_LDADD = $(system_ldadd)
tests_system_test_fork_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_format_LDADD = $(system_ldadd)
tests_system_test_format_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_fs_LDADD = $(system_ldadd)
tests_system_test_fs_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_full_pool_LDADD = $(system_ldadd)
tests_system_test_full_pool_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_health_LDADD = $(system_ldadd)
tests_system_test_health_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_history_LDADD = tests/race/libhistory.la $(system_ldadd)
tests_system_test_history_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_kill_SOURCES = \
	tests/system/soak.h \
	tests/system/soak_model.c \
	tests/system/soak_worker.c \
	tests/system/test_kill.c
tests_system_test_kill_LDADD = $(system_ldadd)
tests_system_test_kill_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_kill_room_LDADD = $(system_ldadd)
tests_system_test_kill_room_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_host_LDADD = $(system_ldadd)
tests_system_test_host_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_hostile_SOURCES = \
	tests/system/hostile.h \
	tests/system/hostile_disk.c \
	tests/system/hostile_volume.c \
	tests/system/test_hostile.c
tests_system_test_hostile_LDADD = $(system_ldadd)
tests_system_test_hostile_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_labels_LDADD = $(system_ldadd)
tests_system_test_labels_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_limit_LDADD = $(system_ldadd)
tests_system_test_limit_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_list_LDADD = $(system_ldadd)
tests_system_test_list_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_namespace_LDADD = $(system_ldadd)
tests_system_test_namespace_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_neighbours_SOURCES = \
	tests/system/neighbours.h \
	tests/system/neighbours_disks.c \
	tests/system/neighbours_mounts.c \
	tests/system/neighbours_space.c \
	tests/system/neighbours_work.c \
	tests/system/test_neighbours.c
tests_system_test_neighbours_LDADD = $(system_ldadd)
tests_system_test_neighbours_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_old_data_LDADD = $(system_ldadd)
tests_system_test_old_data_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_open_LDADD = $(system_ldadd)
tests_system_test_open_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_owner_LDADD = $(system_ldadd)
tests_system_test_owner_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_policy_LDADD = $(system_ldadd)
tests_system_test_policy_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_processes_LDADD = $(system_ldadd)
tests_system_test_processes_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_placement_LDADD = $(system_ldadd)
tests_system_test_placement_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_publish_LDADD = $(system_ldadd)
tests_system_test_publish_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_recovery_LDADD = $(system_ldadd)
tests_system_test_recovery_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_repair_LDADD = $(system_ldadd)
tests_system_test_repair_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_snapshot_LDADD = $(system_ldadd)
tests_system_test_snapshot_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_space_LDADD = $(system_ldadd)
tests_system_test_space_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_standing_LDADD = $(system_ldadd)
tests_system_test_standing_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_template_LDADD = $(system_ldadd)
tests_system_test_template_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_thick_LDADD = $(system_ldadd)
tests_system_test_thick_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_udev_LDADD = $(system_ldadd)
tests_system_test_udev_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_usage_LDADD = $(system_ldadd)
tests_system_test_usage_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_system_test_wrong_catalogue_LDADD = $(system_ldadd)
tests_system_test_wrong_catalogue_LDFLAGS = $(AM_LDFLAGS) -no-install

# --- bench: the library, the bare kernel calls by its adapters, and LVM, in one run ---

check_PROGRAMS += tests/bench/bench
tests_bench_bench_SOURCES = \
	tests/bench/bare.c \
	tests/bench/bench.c \
	tests/bench/bench.h \
	tests/bench/containerd.c \
	tests/bench/fleet.c \
	tests/bench/kvol.c \
	tests/bench/luks.c \
	tests/bench/luks.h \
	tests/bench/lvm.c \
	tests/bench/measure.c \
	tests/bench/measure.h \
	tests/bench/variants.c \
	tests/bench/verbs.c \
	tests/bench/verbs.h

tests_bench_bench_LDADD = lib/libkvcore.la lib/libkvadapters.la lib/libkvbase.la $(CRYPTSETUP_LIBS)

# What the number of volumes in a pool costs, by the public header alone.
check_PROGRAMS += tests/bench/scale-guest
tests_bench_scale_guest_SOURCES = \
	tests/bench/measure.c \
	tests/bench/measure.h \
	tests/bench/scale.c \
	tests/bench/scale.h \
	tests/bench/scale_pool.c
tests_bench_scale_guest_LDADD = lib/libkvol.la
tests_bench_scale_guest_LDFLAGS = $(AM_LDFLAGS) -no-install

# How long a call takes at worst, beside a writer and beside deletes.
check_PROGRAMS += tests/bench/tail-guest
tests_bench_tail_guest_SOURCES = \
	tests/bench/measure.c \
	tests/bench/measure.h \
	tests/bench/tail.c \
	tests/bench/tail.h \
	tests/bench/tail_load.c \
	tests/bench/verbs.c \
	tests/bench/verbs.h
tests_bench_tail_guest_LDADD = lib/libkvcore.la lib/libkvadapters.la lib/libkvbase.la $(CRYPTSETUP_LIBS)

# --- scripts ---

# Made by configure from tests/check.in: each runs the source tree's script of its name. A new one is
# a line here and a word in configure.ac. Those for coverage, fuzz and powercut take too long for make
# check: only runtests runs them.
check_scripts = \
	tests/check-header \
	tests/check-kvolctl \
	tests/check-layers \
	tests/check-python \
	tests/check-symbols

system_scripts = \
	tests/check-differential \
	tests/check-system-kvolctl \
	tests/check-system-python

EXTRA_DIST += \
	tests/bench/containerd/go.mod \
	tests/bench/containerd/go.sum \
	tests/bench/containerd/main.go \
	tests/bench/plot \
	tests/bench/run \
	tests/bench/scale \
	tests/bench/tail \
	tests/coverage \
	tests/header/abi.c \
	tests/header/alone.c \
	tests/header/run \
	tests/layers \
	tests/python/conftest.py \
	tests/python/run \
	tests/python/tap.py \
	tests/python/test_binding.py \
	tests/python/test_docker_plugin.py \
	tests/python/test_layout.py \
	tests/python/test_model.py \
	tests/python/test_nightly.py \
	tests/python/test_package.py \
	tests/python/test_pool.py \
	tests/python/test_reach.py \
	tests/system/kvolctl.sh \
	tests/system/python.sh \
	tests/symbols \
	tests/pkg.sh \
	tests/tap.sh \
	tests/unit/kvolctl.sh \
	tests/guest \
	tests/examples/docker-volume-plugin \
	tests/examples/oci-hook \
	tests/examples/postgresql \
	tests/examples/storage/csi.sh \
	tests/examples/storage/kvolctl.sh \
	tests/guest.d/count \
	tests/guest.d/init \
	tests/guest.d/run-csi \
	tests/guest.d/run-examples \
	tests/guest.d/run-python-examples \
	tests/guest.d/run-suite \
	tests/guest.d/stage2 \
	tests/guest.d/steps.sh

# --- what is built and run ---

TESTS += $(check_scripts)
if HAVE_CMOCKA
AM_CPPFLAGS += $(CMOCKA_CFLAGS)
check_LTLIBRARIES += tests/libfixture.la tests/libmodel.la tests/python/libkvol_model.la \
	tests/system/libsystem.la
check_PROGRAMS += $(unit_tests) $(unit_model_tests) $(root_unit_tests) $(system_tests)
TESTS += $(unit_tests) $(unit_model_tests)
built_system_tests = $(root_unit_tests) $(system_tests)
endif

check-local:
if !HAVE_CMOCKA
	@echo "make check: cmocka was not there at configure time: NO unit test was run" >&2
endif

# Builds all that can be run, without running it.
build-tests: all $(check_LTLIBRARIES) $(check_PROGRAMS)

# The programs to run, as absolute paths. System tests need root and a kernel with dm-thin.
print-unit-tests:
	@for t in $(TESTS); do echo "$(abs_builddir)/$$t"; done
print-system-tests:
	@for t in $(built_system_tests) $(system_scripts); do echo "$(abs_builddir)/$$t"; done

.PHONY: build-tests print-unit-tests print-system-tests
