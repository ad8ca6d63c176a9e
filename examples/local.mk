# kvolctl: a consumer of the public header alone.
bin_PROGRAMS += examples/kvolctl/kvolctl
examples_kvolctl_kvolctl_SOURCES = \
	examples/kvolctl/args.c \
	examples/kvolctl/json.c \
	examples/kvolctl/kvolctl.c \
	examples/kvolctl/kvolctl.h \
	examples/kvolctl/label.c \
	examples/kvolctl/list.c \
	examples/kvolctl/listing.c \
	examples/kvolctl/pool.c \
	examples/kvolctl/publish.c \
	examples/kvolctl/repair.c \
	examples/kvolctl/secret.c \
	examples/kvolctl/size.c \
	examples/kvolctl/stat.c \
	examples/kvolctl/table.c \
	examples/kvolctl/template.c \
	examples/kvolctl/volume.c \
	examples/kvolctl/why.c
examples_kvolctl_kvolctl_LDADD = lib/libkvol.la

# bash looks for the completion under the program's own name.
EXTRA_DIST += examples/kvolctl/kvolctl.bash
install-data-local:
	$(MKDIR_P) $(DESTDIR)$(bashcompdir)
	$(INSTALL_DATA) $(srcdir)/examples/kvolctl/kvolctl.bash $(DESTDIR)$(bashcompdir)/kvolctl
uninstall-local:
	rm -f $(DESTDIR)$(bashcompdir)/kvolctl

# Examples to read; make check builds them, so that they cannot rot.
examples = \
	examples/quickstart
check_PROGRAMS += $(examples)
examples_quickstart_LDADD = lib/libkvol.la
examples_quickstart_LDFLAGS = $(AM_LDFLAGS) -no-install

# The OCI hook reads JSON, by json-c: the examples may need what the library does not.
if HAVE_JSONC
check_PROGRAMS += examples/oci-hook/kvol-oci-hook
endif
examples_oci_hook_kvol_oci_hook_SOURCES = \
	examples/oci-hook/container.c \
	examples/oci-hook/container.h \
	examples/oci-hook/kvol-oci-hook.c \
	examples/oci-hook/target.c
examples_oci_hook_kvol_oci_hook_CPPFLAGS = $(AM_CPPFLAGS) $(JSONC_CFLAGS)
examples_oci_hook_kvol_oci_hook_LDADD = lib/libkvol.la $(JSONC_LIBS)

EXTRA_DIST += \
	examples/docker-volume-plugin/README.md \
	examples/docker-volume-plugin/driver.py \
	examples/docker-volume-plugin/kvol-docker-plugin \
	examples/docker-volume-plugin/kvol-docker.service \
	examples/docker-volume-plugin/kvol-docker.socket \
	examples/oci-hook/README.md \
	examples/oci-hook/kvol-start.json \
	examples/oci-hook/kvol-stop.json \
	examples/python/nightly.py \
	examples/quickstart.sh
