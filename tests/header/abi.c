/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must never change: the error struct's size, and where the first version's fields
 * are. */
#include <stddef.h>

#include <kvol/kvol.h>

#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define OPTIONS(type)      \
	AT(type, size, 0); \
	AT(type, flags, 4)

_Static_assert(sizeof(struct kvol_error) == 256, "struct kvol_error is frozen");
AT(kvol_error, code, 0);
AT(kvol_error, reason, 4);
AT(kvol_error, index, 8);
AT(kvol_error, msg, 16);

OPTIONS(kvol_ctx_opts);
OPTIONS(kvol_format_opts);
OPTIONS(kvol_open_opts);
OPTIONS(kvol_create_opts);
OPTIONS(kvol_snapshot_opts);
OPTIONS(kvol_publish_opts);
OPTIONS(kvol_list_opts);
OPTIONS(kvol_io_limits);
OPTIONS(kvol_volume_stats);
OPTIONS(kvol_usage_info);
OPTIONS(kvol_policy_opts);
OPTIONS(kvol_publish_info);
OPTIONS(kvol_pool_info);
OPTIONS(kvol_info);

AT(kvol_format_opts, file_bytes, 8);
AT(kvol_format_opts, block_bytes, 16);
AT(kvol_format_opts, max_volumes, 24);

AT(kvol_pool_info, data_bytes, 8);
AT(kvol_pool_info, block_bytes, 40);
AT(kvol_pool_info, n_snapshots, 56);
AT(kvol_pool_info, name, 64);
AT(kvol_pool_info, uuid, 192);
AT(kvol_pool_info, device, 232);
AT(kvol_pool_info, max_volumes, 360);

AT(kvol_info, bytes, 8);
AT(kvol_info, created, 24);
AT(kvol_info, kind, 32);
AT(kvol_info, n_targets, 36);
AT(kvol_info, name, 40);
AT(kvol_info, source, 296);
AT(kvol_info, fs_type, 552);
AT(kvol_info, uuid, 568);
AT(kvol_info, device, 608);
AT(kvol_info, access, 736);

AT(kvol_publish_opts, access, 24);
AT(kvol_publish_opts, propagation, 28);
