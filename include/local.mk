pkginclude_dir = $(includedir)/kvol
pkginclude__HEADERS = include/kvol/kvol.h include/kvol/template.h
nodist_pkginclude__HEADERS = include/kvol/version.h
