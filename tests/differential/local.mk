# The model against the kernel: each script is linked once with either, and what the two programs print
# must be the same. tests/differential/run does it, in the guest.

differential_tests = \
	tests/differential/devices-kernel \
	tests/differential/devices-model \
	tests/differential/verbs-kernel \
	tests/differential/verbs-model

differential_sources = tests/differential/machine.h tests/differential/script.c

tests_differential_devices_kernel_SOURCES = $(differential_sources) \
	tests/differential/machine_kernel.c tests/differential/script_devices.c
tests_differential_devices_model_SOURCES = $(differential_sources) \
	tests/differential/machine_model.c tests/differential/script_devices.c
tests_differential_devices_model_LDADD = $(model_ldadd)
# The model asks for the database's file after the linker has passed it by.
tests_differential_devices_model_LDFLAGS = $(model_ldflags) -Wl,-u,kv_db_rollback

tests_differential_verbs_kernel_SOURCES = $(differential_sources) \
	tests/differential/machine_kernel.c tests/differential/script_verbs.c
tests_differential_verbs_kernel_LDADD = lib/libkvol.la
tests_differential_verbs_kernel_LDFLAGS = $(AM_LDFLAGS) -no-install
tests_differential_verbs_model_SOURCES = $(differential_sources) \
	tests/differential/machine_model.c tests/differential/script_verbs.c
tests_differential_verbs_model_LDADD = $(model_ldadd)
tests_differential_verbs_model_LDFLAGS = $(model_ldflags)

EXTRA_DIST += tests/differential/run

if HAVE_CMOCKA
check_PROGRAMS += $(differential_tests)
endif
