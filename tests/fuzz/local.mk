# Fuzz targets: one for each parser, and for whatever else takes what somebody else has made. A new
# one is one line in fuzz_targets, its link line below, a folder in corpus/, and, if its inputs are
# made by rule, a function in corpus.py.
#
# In every build a target has replay.c for a main function, and runs with the unit tests: the
# corpus, and mutants of it. In a tree configured with --enable-fuzz it has libFuzzer's.
# tests/fuzz/run makes such a tree, and runs them all for a while.

fuzz_targets = \
	tests/fuzz/fuzz_api \
	tests/fuzz/fuzz_btrfs \
	tests/fuzz/fuzz_catalogue \
	tests/fuzz/fuzz_gpt \
	tests/fuzz/fuzz_identity \
	tests/fuzz/fuzz_idmap \
	tests/fuzz/fuzz_mountinfo \
	tests/fuzz/fuzz_mountopts \
	tests/fuzz/fuzz_names \
	tests/fuzz/fuzz_procinfo \
	tests/fuzz/fuzz_records \
	tests/fuzz/fuzz_thin \
	tests/fuzz/fuzz_thinmeta

EXTRA_DIST += \
	tests/fuzz/corpus \
	tests/fuzz/corpus.py \
	tests/fuzz/run

tests_fuzz_libreplay_la_SOURCES = \
	tests/fuzz/fuzz.h \
	tests/fuzz/replay.c \
	tests/fuzz/scratch.h
tests_fuzz_libreplay_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-DFUZZ_CORPUS='"$(abs_top_srcdir)/tests/fuzz/corpus"'

if FUZZ
fuzz_main =
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
else
fuzz_main = tests/fuzz/libreplay.la
fuzz_ldflags = $(AM_LDFLAGS)
endif
fuzz_ldadd = $(fuzz_main) lib/libkvcore.la lib/libkvadapters.la lib/libkvbase.la

tests_fuzz_fuzz_api_LDADD = $(fuzz_main) $(model_ldadd)
tests_fuzz_fuzz_api_LDFLAGS = $(model_ldflags) $(fuzz_ldflags)
tests_fuzz_fuzz_btrfs_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_btrfs_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_catalogue_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_catalogue_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_gpt_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_gpt_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_identity_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_identity_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_idmap_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_idmap_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_mountinfo_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_mountinfo_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_mountopts_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_mountopts_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_names_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_names_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_procinfo_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_procinfo_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_records_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_records_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_thin_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_thin_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_thinmeta_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_thinmeta_LDFLAGS = $(fuzz_ldflags)

if HAVE_CMOCKA
check_LTLIBRARIES += tests/fuzz/libreplay.la
check_PROGRAMS += $(fuzz_targets)
if !FUZZ
TESTS += $(fuzz_targets)
endif
endif

# For tests/fuzz/run: all targets, and nothing that they do not need.
fuzz-targets: $(BUILT_SOURCES) $(fuzz_targets)
print-fuzz-targets:
	@for t in $(fuzz_targets); do echo "$(abs_builddir)/$$t"; done

.PHONY: fuzz-targets print-fuzz-targets
