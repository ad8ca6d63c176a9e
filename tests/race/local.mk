# Races, natively on the model. A new program is one line in race_tests and two or three below it.

race_tests = \
	tests/race/test_names

tests_race_test_names_LDADD = $(model_ldadd)
tests_race_test_names_LDFLAGS = $(model_ldflags) -Wl,--wrap=kv_lock_take

if HAVE_CMOCKA
check_PROGRAMS += $(race_tests)
TESTS += $(race_tests)
endif
