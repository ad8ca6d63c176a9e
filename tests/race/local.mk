# Races: histories of many processes and threads and their checker, natively on the model; the same
# histories on a real kernel are tests/system/test_history. A new program is one line in race_tests
# and two or three below it.

race_tests = \
	tests/race/test_fork_locks \
	tests/race/test_group \
	tests/race/test_history_model \
	tests/race/test_linearize \
	tests/race/test_name_races \
	tests/race/test_threads

tests_race_libhistory_la_SOURCES = \
	tests/race/history.c \
	tests/race/history.h \
	tests/race/linearize.c \
	tests/race/linearize.h \
	tests/race/player.c \
	tests/race/player.h \
	tests/race/spec.c \
	tests/race/spec.h

tests_race_test_fork_locks_LDADD = $(model_ldadd)
tests_race_test_fork_locks_LDFLAGS = $(model_ldflags) \
	-Wl,--wrap=kv_lock_drop -Wl,--wrap=kv_lock_release
tests_race_test_group_LDADD = $(model_ldadd)
tests_race_test_group_LDFLAGS = $(model_ldflags)
tests_race_test_history_model_LDADD = tests/race/libhistory.la $(model_ldadd)
tests_race_test_history_model_LDFLAGS = $(model_ldflags)
tests_race_test_linearize_LDADD = tests/race/libhistory.la $(LDADD)
tests_race_test_name_races_LDADD = $(model_ldadd)
tests_race_test_name_races_LDFLAGS = $(model_ldflags) -Wl,--wrap=kv_lock_take
tests_race_test_threads_LDADD = tests/race/libhistory.la $(model_ldadd)
tests_race_test_threads_LDFLAGS = $(model_ldflags)

# Unit tests with threads in them that are not on the model.
threaded_unit_tests = \
	tests/unit/test_db \
	tests/unit/test_lock \
	tests/unit/test_spawn

if HAVE_CMOCKA
check_LTLIBRARIES += tests/race/libhistory.la
check_PROGRAMS += $(race_tests)
TESTS += $(race_tests)
endif

# What to run from a tree that was configured with --enable-tsan (with setarch -R: gcc 12's runtime
# does not get along with much address space randomisation): all of the above, what starts threads,
# and what forks and calls on the model.
print-race-tests:
	@for t in $(race_tests) $(threaded_unit_tests) $(unit_model_tests); do \
		echo "$(abs_builddir)/$$t"; \
	done

.PHONY: print-race-tests
