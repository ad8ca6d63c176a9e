# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public functions of <kvol/kvol.h> and what it includes: each function's types."""

from ctypes import POINTER, c_char_p, c_int, c_uint32, c_uint64, c_void_p

from . import _structs as s

_ctx = _pool = _iter = c_void_p
_err = POINTER(s.kvol_error)
_out = POINTER(c_void_p)

# NAME: (what it returns, its parameters)
FUNCTIONS = {
    "kvol_reason_str": (c_char_p, [c_uint32]),
    "kvol_version": (c_char_p, []),
    "kvol_new": (c_int, [POINTER(s.kvol_ctx_opts), _out, _err]),
    "kvol_free": (None, [_ctx]),
    "kvol_pool_format": (c_int, [_ctx, c_char_p, c_char_p, POINTER(s.kvol_format_opts), _err]),
    "kvol_pool_open": (c_int, [_ctx, c_char_p, POINTER(s.kvol_open_opts), _out, _err]),
    "kvol_pool_close": (None, [_pool]),
    "kvol_pool_deactivate": (c_int, [_pool, _err]),
    "kvol_pool_repair": (c_int, [_ctx, c_char_p, POINTER(s.kvol_repair_opts),
                                 POINTER(s.kvol_repair_info), _err]),
    "kvol_pool_stat": (c_int, [_pool, POINTER(s.kvol_pool_info), _err]),
    "kvol_pool_set": (c_int, [_pool, POINTER(s.kvol_policy_opts), _err]),
    "kvol_create": (c_int, [_pool, c_char_p, c_uint64, POINTER(s.kvol_create_opts), _err]),
    "kvol_snapshot": (c_int, [_pool, c_char_p, c_char_p, POINTER(s.kvol_snapshot_opts), _err]),
    "kvol_clone": (c_int, [_pool, c_char_p, c_char_p, POINTER(s.kvol_create_opts), _err]),
    "kvol_expand": (c_int, [_pool, c_char_p, c_uint64, c_uint32, _err]),
    "kvol_change_secret": (c_int, [_pool, c_char_p, c_void_p, c_uint64, c_void_p, c_uint64,
                                   c_uint32, _err]),
    "kvol_delete": (c_int, [_pool, c_char_p, c_uint32, _err]),
    "kvol_stat": (c_int, [_pool, c_char_p, POINTER(s.kvol_info), _err]),
    "kvol_usage": (c_int, [_pool, c_char_p, POINTER(s.kvol_usage_info), _err]),
    "kvol_volume_stat": (c_int, [_pool, c_char_p, POINTER(s.kvol_volume_stats), _err]),
    "kvol_list": (c_int, [_pool, c_uint32, _out, _err]),
    "kvol_list_filtered": (c_int, [_pool, POINTER(s.kvol_list_opts), _out, _err]),
    "kvol_label_set": (c_int, [_pool, c_char_p, POINTER(s.kvol_label), c_uint64, _err]),
    "kvol_label_get": (c_int, [_pool, c_char_p, c_char_p, c_void_p, c_uint64, _err]),
    "kvol_label_list": (c_int, [_pool, c_char_p, _out, _err]),
    "kvol_label_iter_next": (c_int, [_iter, POINTER(s.kvol_label)]),
    "kvol_label_iter_free": (None, [_iter]),
    "kvol_limit_io": (c_int, [_pool, c_char_p, c_char_p, POINTER(s.kvol_io_limits), _err]),
    "kvol_publish_list": (c_int, [_pool, c_char_p, _out, _err]),
    "kvol_publish_iter_next": (c_int, [_iter, POINTER(s.kvol_publish_info)]),
    "kvol_publish_iter_free": (None, [_iter]),
    "kvol_iter_next": (c_int, [_iter, POINTER(s.kvol_info)]),
    "kvol_iter_free": (None, [_iter]),
    "kvol_publish": (c_int, [_pool, c_char_p, c_char_p, POINTER(s.kvol_publish_opts), _err]),
    "kvol_unpublish": (c_int, [_pool, c_char_p, c_char_p, POINTER(s.kvol_publish_opts), _err]),
    "kvol_why": (c_int, [_pool, c_char_p, c_uint32, _out, _err]),
    "kvol_why_next": (c_int, [_iter, POINTER(s.kvol_why_info)]),
    "kvol_why_free": (None, [_iter]),
    "kvol_template_make": (c_int, [_pool, c_char_p, c_uint64, _err]),
    "kvol_template_delete": (c_int, [_pool, c_char_p, c_uint64, _err]),
}
