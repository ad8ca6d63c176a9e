# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public structs of <kvol/kvol.h>, field by field.

Each class has the C struct's name, and each field the C field's name. tests/python holds sizes,
offsets and the set of fields against the header.
"""

from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_int, c_int32, c_uint32,
                    c_uint64, c_void_p)

log_fn = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class kvol_error(Structure):
    _fields_ = [
        ("code", c_int32),
        ("reason", c_uint32),
        ("index", c_uint32),
        ("reserved0", c_uint32),
        ("msg", c_char * 240),
    ]


class kvol_ctx_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("log", log_fn),
        ("log_arg", c_void_p),
        ("run_dir", c_char_p),
        ("host_id", c_char_p),
    ]


class kvol_format_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("file_bytes", c_uint64),
        ("block_bytes", c_uint64),
        ("max_volumes", c_uint64),
    ]


class kvol_open_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
    ]


class kvol_pool_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("data_bytes", c_uint64),
        ("data_used", c_uint64),
        ("metadata_bytes", c_uint64),
        ("metadata_used", c_uint64),
        ("block_bytes", c_uint64),
        ("n_volumes", c_uint64),
        ("n_snapshots", c_uint64),
        ("name", c_char * 128),
        ("uuid", c_char * 40),
        ("device", c_char * 128),
        ("max_volumes", c_uint64),
        ("snapshots_left", c_uint64),
        ("host", c_char * 128),
        ("provisioned", c_uint64),
        ("capacity", c_uint64),
        ("largest_volume", c_uint64),
        ("max_published", c_uint64),
        ("overcommit", c_uint64),
        ("publish_flags", c_uint64),
        ("n_published", c_uint64),
    ]


class kvol_policy_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("max_volumes", c_uint64),
        ("max_published", c_uint64),
        ("overcommit", c_uint64),
        ("publish_flags", c_uint64),
    ]


class kvol_repair_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("backup_dir", c_char_p),
    ]


class kvol_repair_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("found", c_uint32),
        ("mended", c_uint32),
        ("n_lost", c_uint64),
        ("n_short", c_uint64),
        ("n_strays", c_uint64),
        ("backup", c_char * 256),
    ]


class kvol_label(Structure):
    _fields_ = [
        ("key", c_char_p),
        ("value", c_char_p),
    ]


class kvol_create_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("fs_type", c_char_p),
        ("bytes", c_uint64),
        ("labels", POINTER(kvol_label)),
        ("n_labels", c_uint64),
        ("secret", c_void_p),
        ("secret_bytes", c_uint64),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("mode", c_uint32),
        ("reserved0", c_uint32),
    ]


class kvol_snapshot_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("labels", POINTER(kvol_label)),
        ("n_labels", c_uint64),
    ]


class kvol_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("bytes", c_uint64),
        ("allocated", c_uint64),
        ("created", c_uint64),
        ("kind", c_uint32),
        ("n_targets", c_uint32),
        ("name", c_char * 256),
        ("source", c_char * 256),
        ("fs_type", c_char * 16),
        ("uuid", c_char * 40),
        ("device", c_char * 128),
        ("access", c_uint32),
        ("reserved0", c_uint32),
        ("dev_major", c_uint32),
        ("dev_minor", c_uint32),
    ]


class kvol_volume_stats(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("fs_bytes", c_uint64),
        ("fs_used", c_uint64),
        ("fs_available", c_uint64),
        ("fs_inodes", c_uint64),
        ("fs_inodes_used", c_uint64),
        ("fs_inodes_available", c_uint64),
        ("allocated", c_uint64),
        ("condition", c_uint32),
        ("reserved0", c_uint32),
        ("message", c_char * 160),
    ]


class kvol_ephemeral_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("bytes", c_uint64),
        ("fs_type", c_char_p),
        ("source", c_char_p),
    ]


class kvol_publish_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("mount_options", c_char_p),
        ("mount_namespace", c_char_p),
        ("access", c_uint32),
        ("propagation", c_uint32),
        ("user_namespace", c_char_p),
        ("uid_map", c_char_p),
        ("gid_map", c_char_p),
        ("group", c_uint32),
        ("reserved0", c_uint32),
        ("labels", POINTER(kvol_label)),
        ("n_labels", c_uint64),
        ("secret", c_void_p),
        ("secret_bytes", c_uint64),
        ("ephemeral", POINTER(kvol_ephemeral_opts)),
    ]


class kvol_why_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("kind", c_uint32),
        ("how", c_uint32),
        ("pid", c_uint32),
        ("uid", c_uint32),
        ("mount_namespace", c_uint64),
        ("what", c_char * 256),
        ("target", c_char * 256),
    ]


class kvol_io_limits(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("read_bps", c_uint64),
        ("write_bps", c_uint64),
        ("read_iops", c_uint64),
        ("write_iops", c_uint64),
    ]


class kvol_usage_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("exclusive", c_uint64),
        ("shared", c_uint64),
    ]


class kvol_list_opts(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("label_key", c_char_p),
        ("label_value", c_char_p),
        ("source", c_char_p),
        ("after", c_char_p),
        ("limit", c_uint64),
    ]


class kvol_publish_info(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("volume", c_char_p),
        ("target", c_char_p),
        ("mount_namespace", c_char_p),
        ("labels", POINTER(kvol_label)),
        ("n_labels", c_uint64),
        ("dev_major", c_uint32),
        ("dev_minor", c_uint32),
    ]


STRUCTS = (
    kvol_error,
    kvol_ctx_opts,
    kvol_format_opts,
    kvol_open_opts,
    kvol_pool_info,
    kvol_policy_opts,
    kvol_repair_opts,
    kvol_repair_info,
    kvol_create_opts,
    kvol_snapshot_opts,
    kvol_info,
    kvol_volume_stats,
    kvol_usage_info,
    kvol_ephemeral_opts,
    kvol_publish_opts,
    kvol_why_info,
    kvol_label,
    kvol_list_opts,
    kvol_io_limits,
    kvol_publish_info,
)
