# Fault tests: native, on the model; every one ends each call somewhere in its middle and looks at what is left.
# A new one is one line in fault_tests and two below it.

crash_tests = tests/fault/test_crash_points
fault_tests = tests/fault/test_schedules

# What holds after a crash, and how one dies.
tests_libcrash_la_SOURCES = \
	tests/fault/crash.c \
	tests/fault/crash.h \
	tests/fault/crash_format.c \
	tests/fault/invariants.c \
	tests/fault/invariants.h

crash_ldadd = tests/libcrash.la $(model_ldadd)

tests_fault_test_crash_points_LDADD = $(crash_ldadd)
tests_fault_test_crash_points_LDFLAGS = $(model_ldflags)

tests_fault_test_schedules_SOURCES = \
	tests/fault/process.c \
	tests/fault/process.h \
	tests/fault/schedule.c \
	tests/fault/schedule.h \
	tests/fault/shadow.c \
	tests/fault/shadow.h \
	tests/fault/test_schedules.c \
	tests/fault/verbs.c
tests_fault_test_schedules_LDADD = $(crash_ldadd)
tests_fault_test_schedules_LDFLAGS = $(model_ldflags)

# --- failures: the N-th call fails, for each N ---

# A program for each group of functions.
fault_tests += \
	tests/fault/test_failures_encrypt \
	tests/fault/test_failures_label \
	tests/fault/test_failures_pool \
	tests/fault/test_failures_publish \
	tests/fault/test_failures_volume

# What fails: the library's own references to these, and nobody else's. So its objects become one, in
# which they are renamed; of its own functions those that the model stands before, too.
failpoints = \
	malloc calloc realloc strdup realpath fdopendir free \
	open openat mkdirat read pread pwrite ftruncate fallocate fsync syncfs fcntl flock \
	fstat fstatat renameat unlinkat readdir getrandom \
	sqlite3_open_v2 sqlite3_prepare_v3 sqlite3_bind_int64 sqlite3_bind_text sqlite3_step \
	sqlite3_exec sqlite3_vfs_find
comma = ,
core_wraps = $(patsubst -Wl$(comma)%,%,$(filter -Wl$(comma)--wrap=kv_%,$(model_ldflags)))
core_renames = $(foreach f,$(failpoints),--redefine-sym $(f)=failing_$(f)) \
	--redefine-sym __wrap_kv_pread_full=failing_kv_pread_full \
	--redefine-sym __wrap_kv_pwrite_full=failing_kv_pwrite_full \
	--redefine-sym __wrap_kv_write_file_at=failing_kv_write_file_at

tests/fault/core.o: lib/libkvcore.la lib/libkvbase.la tests/local.mk tests/fault/local.mk
	@$(MKDIR_P) tests/fault
	$(AM_V_GEN)$(LD) -r -o $@.tmp $(core_wraps) --whole-archive \
		lib/.libs/libkvcore.a lib/.libs/libkvbase.a
	$(AM_V_at)$(OBJCOPY) $(core_renames) $@.tmp $@
	$(AM_V_at)rm -f $@.tmp

CLEANFILES += tests/fault/core.o

tests_libfailures_la_SOURCES = \
	tests/fault/failpoint.c \
	tests/fault/failpoint.h \
	tests/fault/failures.c \
	tests/fault/failures.h \
	tests/fault/failures_encrypt.c \
	tests/fault/failures_label.c \
	tests/fault/failures_pool.c \
	tests/fault/failures_publish.c \
	tests/fault/failures_volume.c
failures_cppflags = $(AM_CPPFLAGS) -DLIBKVOL_SYM='"$(abs_top_srcdir)/lib/libkvol.sym"'
failures_ldadd = tests/libfailures.la tests/libfixture.la tests/fault/core.o \
	tests/libmodel.la $(CMOCKA_LIBS) $(SQLITE_LIBS) $(MOUNT_LIBS)

tests_fault_test_failures_encrypt_SOURCES = tests/fault/test_failures.c
tests_fault_test_failures_encrypt_CPPFLAGS = $(failures_cppflags) -DGROUP=encrypt_failures
tests_fault_test_failures_encrypt_LDADD = $(failures_ldadd)
tests_fault_test_failures_encrypt_LDFLAGS = $(model_ldflags)
tests_fault_test_failures_label_SOURCES = tests/fault/test_failures.c
tests_fault_test_failures_label_CPPFLAGS = $(failures_cppflags) -DGROUP=label_failures
tests_fault_test_failures_label_LDADD = $(failures_ldadd)
tests_fault_test_failures_label_LDFLAGS = $(model_ldflags)
tests_fault_test_failures_pool_SOURCES = tests/fault/test_failures.c
tests_fault_test_failures_pool_CPPFLAGS = $(failures_cppflags) -DGROUP=pool_failures
tests_fault_test_failures_pool_LDADD = $(failures_ldadd)
tests_fault_test_failures_pool_LDFLAGS = $(model_ldflags)
tests_fault_test_failures_publish_SOURCES = tests/fault/test_failures.c
tests_fault_test_failures_publish_CPPFLAGS = $(failures_cppflags) -DGROUP=publish_failures
tests_fault_test_failures_publish_LDADD = $(failures_ldadd)
tests_fault_test_failures_publish_LDFLAGS = $(model_ldflags)
tests_fault_test_failures_volume_SOURCES = tests/fault/test_failures.c
tests_fault_test_failures_volume_CPPFLAGS = $(failures_cppflags) -DGROUP=volume_failures
tests_fault_test_failures_volume_LDADD = $(failures_ldadd)
tests_fault_test_failures_volume_LDFLAGS = $(model_ldflags)

if HAVE_CMOCKA
check_LTLIBRARIES += tests/libcrash.la tests/libfailures.la
check_PROGRAMS += $(crash_tests) $(fault_tests)
endif

print-crash-tests:
	@for t in $(crash_tests); do echo "$(abs_builddir)/$$t"; done
print-fault-tests:
	@for t in $(fault_tests); do echo "$(abs_builddir)/$$t"; done

.PHONY: print-crash-tests print-fault-tests
