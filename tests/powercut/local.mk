# Power cuts: a recorded workload, cut at every flush and between flushes, replayed and judged.
# tests/powercut/run BUILD runs the whole.

# Of the library the workload uses the public header only; the judges read what is on the disk by
# its adapters.
powercut_programs = \
	tests/powercut/judge \
	tests/powercut/opener \
	tests/powercut/workload

check_PROGRAMS += $(powercut_programs)
check_LTLIBRARIES += tests/powercut/libpowercut.la

tests_powercut_libpowercut_la_SOURCES = \
	tests/powercut/check.c \
	tests/powercut/check.h \
	tests/powercut/cut.c \
	tests/powercut/cut.h \
	tests/powercut/history.c \
	tests/powercut/history.h \
	tests/powercut/image.c \
	tests/powercut/image.h \
	tests/powercut/mark.h \
	tests/powercut/reading.h \
	tests/powercut/rows.c \
	tests/powercut/thins.c \
	tests/powercut/wlog.c \
	tests/powercut/wlog.h

powercut_ldadd = tests/powercut/libpowercut.la lib/libkvcore.la lib/libkvadapters.la lib/libkvbase.la \
	$(SQLITE_LIBS)
tests_powercut_judge_LDADD = $(powercut_ldadd)
tests_powercut_opener_LDADD = $(powercut_ldadd)
tests_powercut_workload_SOURCES = \
	tests/powercut/calls.c \
	tests/powercut/mark.h \
	tests/powercut/workload.c \
	tests/powercut/workload.h

tests_powercut_workload_LDADD = lib/libkvol.la -lpthread
tests_powercut_workload_LDFLAGS = $(AM_LDFLAGS) -no-install

EXTRA_DIST += tests/powercut/run

build-powercut: $(powercut_programs)

.PHONY: build-powercut
