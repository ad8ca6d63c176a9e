# Manual pages. One .3 page per verb family; the other functions of a page are aliases to it.
dist_man_MANS = \
	doc/kvol_context.3 \
	doc/kvol_create.3 \
	doc/kvol_label.3 \
	doc/kvol_list.3 \
	doc/kvol_pool.3 \
	doc/kvol_pool_repair.3 \
	doc/kvol_publish.3 \
	doc/kvol_snapshot.3 \
	doc/kvol_template.3 \
	doc/kvol_why.3 \
	doc/kvol.7 \
	doc/kvolctl.8

EXTRA_DIST += \
	doc/benchmark.md \
	doc/crash-protocol.md \
	doc/device-mapper.md \
	doc/on-disk-format.md \
	doc/reliability.md \
	doc/scale.csv \
	doc/scale.md \
	doc/scale.svg

# ALIAS:PAGE, installed as a one-line page that sources the other.
man_aliases = \
	kvol_change_secret.3:kvol_create.3 \
	kvol_clone.3:kvol_snapshot.3 \
	kvol_delete.3:kvol_create.3 \
	kvol_expand.3:kvol_create.3 \
	kvol_free.3:kvol_context.3 \
	kvol_iter_free.3:kvol_list.3 \
	kvol_iter_next.3:kvol_list.3 \
	kvol_label_get.3:kvol_label.3 \
	kvol_label_iter_free.3:kvol_label.3 \
	kvol_label_iter_next.3:kvol_label.3 \
	kvol_label_list.3:kvol_label.3 \
	kvol_label_set.3:kvol_label.3 \
	kvol_limit_io.3:kvol_publish.3 \
	kvol_list_filtered.3:kvol_list.3 \
	kvol_new.3:kvol_context.3 \
	kvol_pool_close.3:kvol_pool.3 \
	kvol_pool_deactivate.3:kvol_pool.3 \
	kvol_pool_format.3:kvol_pool.3 \
	kvol_pool_open.3:kvol_pool.3 \
	kvol_pool_set.3:kvol_pool.3 \
	kvol_pool_stat.3:kvol_pool.3 \
	kvol_publish_iter_free.3:kvol_publish.3 \
	kvol_publish_iter_next.3:kvol_publish.3 \
	kvol_publish_list.3:kvol_publish.3 \
	kvol_reason_str.3:kvol_context.3 \
	kvol_stat.3:kvol_list.3 \
	kvol_template_delete.3:kvol_template.3 \
	kvol_template_make.3:kvol_template.3 \
	kvol_unpublish.3:kvol_publish.3 \
	kvol_usage.3:kvol_list.3 \
	kvol_version.3:kvol_context.3 \
	kvol_volume_stat.3:kvol_list.3 \
	kvol_why_free.3:kvol_why.3 \
	kvol_why_next.3:kvol_why.3

install-data-hook:
	@$(MKDIR_P) $(DESTDIR)$(man3dir)
	@for a in $(man_aliases); do \
		echo ".so man3/$${a#*:}" > $(DESTDIR)$(man3dir)/$${a%:*} || exit 1; \
	done
uninstall-hook:
	@for a in $(man_aliases); do rm -f $(DESTDIR)$(man3dir)/$${a%:*}; done
