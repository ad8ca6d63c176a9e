# Fault tests: native, on the model; every one ends each call somewhere in its middle and looks at what is left.
# A new one is one line in fault_tests and two below it.

fault_tests = \
	tests/fault/test_crash_points \
	tests/fault/test_schedules

# What holds after a crash, and how one dies.
tests_libcrash_la_SOURCES = \
	tests/fault/crash.c \
	tests/fault/crash.h \
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

if HAVE_CMOCKA
check_LTLIBRARIES += tests/libcrash.la
check_PROGRAMS += $(fault_tests)
endif

print-fault-tests:
	@for t in $(fault_tests); do echo "$(abs_builddir)/$$t"; done

.PHONY: print-fault-tests
