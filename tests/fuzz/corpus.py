#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the part of tests/fuzz/corpus that is made by rule: corpus.py [DIRECTORY].

What the fuzzers themselves found interesting, and what once broke something, is added there by
hand, under a name that says what it is. Each target's head comment has its inputs' format.
"""
import os
import struct
import sys
import uuid

TOP = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
MOST = 2**64 - 1
POOL = uuid.UUID("01234567-89ab-4def-8123-456789abcdef")


def write(target, name, data):
    directory = os.path.join(TOP, target)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


# --- Text --------------------------------------------------------------------------------------

THIN = {
    "pool-rw": "7 133/4161600 0/130000 - rw discard_passdown error_if_no_space - 1024",
    "pool-old-kernel": "0 1/2 3/4 5 rw no_discard_passdown queue_if_no_space -",
    "pool-ro-needs-check": "18446744073709551615 9/9 1/1 - ro ignore_discard error_if_no_space needs_check 16",
    "pool-full": "3 1/10 10/10 - out_of_data_space discard_passdown error_if_no_space - 1024 future words",
    "pool-used-over-total": "3 11/10 1/10 - rw discard_passdown error_if_no_space - 1024",
    "pool-overflow": "18446744073709551616 1/10 1/10 - rw discard_passdown error_if_no_space - 1",
    "pool-sign": "-1 +1/10 1/10 - rw discard_passdown error_if_no_space - 1",
    "pool-cut": "7 133/4161600 0/130000 - rw discard_pass",
    "fail": "Fail", "error": "Error", "failure": "Failure 1 2",
    "thin": "2048 4095", "thin-empty": "0 -", "thin-cut": "2048", "thin-word": "2048 x",
    "linear": "7:0 2048", "linear-largest": "4095:1048575 18446744073709551615",
    "linear-too-large": "4096:0 1", "linear-more": "7:0 2048 x", "blank": "", "spaces": "   ",
}

MOUNTOPTS = {
    "flags": "ro,nosuid,nodev,noexec,noatime,nodiratime",
    "atimes": "noatime,relatime,strictatime,atime,norelatime,nostrictatime",
    "ext4": "data=ordered,commit=17,errors=remount-ro,barrier=1",
    "xfs": "nouuid,logbsize=256k,inode64", "btrfs": "compress=zstd:3,space_cache=v2,subvol=/x",
    "quoted": 'context="system_u:object_r:tmp_t:s0:c127,c456",noexec', "unclosed": 'context="a,b',
    "empty-value": "x=,y", "empty-options": ",,ro,,x,,", "equals": "=,a==b",
    "remount": "ro,remount", "bind": "bind", "move": "move", "loop": "loop=/dev/loop0,offset=4096",
    "propagation": "rshared", "source": "source=/dev/null", "ignored": "defaults,nofail,noauto,_netdev,x-a.b=c",
    "userspace": "user,users,owner,group", "negated": "nouser,noowner", "value-of-flag": "ro=1",
    "control": "a\nb", "escape": "a\\,b", "silent": "silent,loud,sync,dirsync,mand,lazytime",
    "long": "x" * 600, "longest": "y" * 4095, "too-long": "z" * 4096, "prefix": "X-mount.mkdir,helper=x,uhelper=y",
    "verity": "verity.roothash=00,verity.hashdevice=/dev/x", "nosymfollow": "nosymfollow,symfollow",
    "other-devices": "logdev=/dev/sda,rtdev=/dev/sdb,device=/dev/sdc,journal_dev=0x801,journal_path=/dev/sdd",
}

MOUNTINFO = {
    "proc5": "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n",
    "no-tags": "77 1 253:4 / /run/t rw - ext4 /dev/dm-4 rw\n", "tags": "77 1 0:44 / /t ro shared:1 master:2 unbindable - btrfs /dev/dm-4 ro\n",
    "node": "77 1 0:5 /dm-7 /t rw - devtmpfs devtmpfs rw\n", "escapes": "77 1 0:5 /a\\040b /t\\012x rw - tmpfs a\\134b rw\n", "dash-point": "77 1 0:5 / - rw - tmpfs - rw\n",
    "no-dash": "77 1 0:5 / /t rw shared:1\n", "cut": "77 1 0:5 / /t", "empty": "", "overflow": "18446744073709551616 1 0:5 / /t rw - x y z\n",
    "largest": "18446744073709551615 1 4294967295:4294967295 / /t rw - x y z\n", "sign": "-1 1 0:5 / /t rw - x y z\n", "double-blank": "77  1 0:5 / /t rw - x y z\n",
    "no-type": "77 1 0:5 / /t rw - \n", "many-tags": "77 1 0:5 / /t rw" + " x:1" * 200 + " - ext4 s o\n",
}

NAMES = {
    "plain": "volume", "dots": "..", "slash": "a/b", "control": "a\nb", "c1": "a\u0085b", "del": "a\x7f",
    "255": "n" * 255, "256": "n" * 256, "pool-64": "p" * 64, "pool-65": "p" * 65, "pool-dash": "-x",
    "utf8": "\u00e4\u20ac\U0001f600", "csi": "pvc-0d3a1f7c-6a8c-4f6e-9a53-b3b6cbd31c2e",
    "uuid": "01234567-89ab-cdef-0123-456789abcdef", "uuid-upper": "01234567-89AB-cdef-0123-456789abcdef",
    "device": "KVOL-01234567-89ab-cdef-0123-456789abcdef-7",
    "device-face": "KVOL-01234567-89ab-cdef-0123-456789abcdef-16777215r",
    "device-zero": "KVOL-01234567-89ab-cdef-0123-456789abcdef-00",
    "device-large": "KVOL-01234567-89ab-cdef-0123-456789abcdef-4294967296",
    "device-part": "KVOL-01234567-89ab-cdef-0123-456789abcdef-pool", "format": "%s%n%999999d", "empty": "",
}
NAMES_RAW = {"stray": b"\xff\xfe", "cut": b"a\xe2\x82", "overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80",
             "beyond": b"\xf4\x90\x80\x80"}


IDMAP = {
    "one": b"0 100000 65536", "two": b"0 1000 1,1 100000 65536\n", "lines": b"0 1000 1\n1 100000 65536\n", "blanks": b" \t0  1\t1 ,,\n",
    "overlap": b"0 0 10,9 100 1", "overflow": b"4294967295 0 1", "large": b"99999999999999999999 0 1", "colons": b"0:1:2", "none": b"",
    "many": b",".join(b"%d %d 1" % (i, i) for i in range(340)), "too-many": b",".join(b"%d %d 1" % (i, i) for i in range(341)),
}


PROCINFO = {
    "ns": b"mnt:[4026531841]", "ns-more": b"mnt:[1]x", "fdinfo": b"pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t5\n",
    "fdinfo-cut": b"pos:\t0\nmnt_id:\t29", "status": b"Name:\tState:\nState:\tD (disk sleep)\nUid:\t1000\t0\t0\t0\n",
    "status-name": b"Name:\ta\\nUid:\t0\t0\t\n", "map": b"7f1c2a000000-7f1c2a021000 r-xp 00001000 fd:03 131 /srv/a b\n",
    "map-anonymous": b"7f1c2a000000-7f1c2a021000 rw-p 00000000 00:00 0 \n", "map-cut": b"7f1c2a000000-7f1c2a021000 rw-p", "empty": b"",
    "map-large": b"0-ffffffffffffffff ---p 0 fffffffff:1 1 /x\n",
}


def record(*fields):
    return b"".join(str(f).encode() + b"\0" for f in fields)


def publication(flags, ns_ino, mnt_id, dev, attr, strings, more=(), version=2):
    """strings: of the superblock, of the namespace, the target."""
    return record(version, flags, 4, ns_ino, mnt_id, dev, attr, *(more or (0, 0, 0, 0, 0, "", "")), *strings)


RECORDS = {
    "publication": publication(0, 4026531840, 77, 64770, 0, ("", "", "/run/target")),
    "publication-options": publication(3, 9, 2**64 - 1, 0, 0x12, ('data=ordered,x="a,b"', "/proc/7/ns/mnt", "/a b/c"),
                                       (3, 2, 1000, 4, 4026531837, "0 100000 65536\n", "0 7 1\n")),
    "publication-cut": record(2, 0, 4, 4026531840, 77)[:-1],
    "publication-version": publication(0, 4026531840, 77, 64770, 0, ("", "", "/run/target"), version=1),
    "publication-overflow": publication(0, 4026531840, 2**64, 64770, 0, ("", "", "/t")),
    "publication-flags": publication(2**32, 4026531840, 1, 64770, 0, ("", "", "/t")),
    "publication-more": publication(0, 4026531840, 1, 64770, 0, ("", "", "/t", "x")),
    "publication-access": publication(0, 4026531840, 1, 64770, 0, ("", "", "/t"), (2**32, 0, 0, 0, 0, "", "")),
    "publication-long-target": publication(0, 1, 1, 1, 0, ("", "", "/" + "x" * 4094)),
    "publication-too-long": publication(0, 1, 1, 1, 0, ("", "", "/" + "x" * 4095)),
    "publication-long-super": publication(0, 1, 1, 1, 0, ("s" * 512, "", "/t")),
    "pool": b"tank\n/dev/vda\n", "pool-no-end": b"tank\n/dev/vda", "pool-name": b"../x\n/dev/vda\n",
    "pool-empty": b"\n\n", "pool-one-line": b"tank\n", "pool-nul": b"ta\0nk\n/dev/vda\n",
    "pool-long": b"t" * 64 + b"\n" + b"d" * 127 + b"\n", "pool-too-long": b"tank\n" + b"d" * 200 + b"\n",
    "pool-lines": b"tank\n/dev/a\nb\n", "empty": b"",
}


# --- GPT ----------------------------------------------------------------------------------------

TYPES = [uuid.UUID(t) for t in ("e4ae53b5-99d6-4c5c-aff7-e358a5e89730", "5106703d-c95c-4dfc-99f3-88bea1cfd8ba",
                                "49ce7365-aaed-470e-8ec3-0f8c7c03bfce")]
STRANGER = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def entry(kind, first, last, name):
    return (kind.bytes_le + uuid.uuid5(POOL, name).bytes_le + struct.pack("<QQQ", first & MOST, last & MOST, 1 << 63)
            + name.encode("utf-16-le").ljust(72, b"\0"))


def gpt(mib=256, sector=512, flags=3, missing=0, parts=None, count=128, size=128, mbr=0xee, alternate=None, more=()):
    last = mib * 2**20 // sector - 1
    unit = 2**20 // sector
    table = 16384 // sector
    if parts is None:
        parts = ((0, 1, 34), (1, 35, 9), (2, 44, mib - 45))
    entries = b"".join(entry(TYPES[k], a * unit, (a + n) * unit - 1, "kvol-%d-%d" % (k, i))
                       for i, (k, a, n) in enumerate(parts))
    entries += b"".join(entry(STRANGER, a * unit, (a + n) * unit - 1, "x%d" % i) for i, (a, n) in enumerate(more))

    def header(mine, other, at):
        return (b"EFI PART" + struct.pack("<IIIIQQQQ", 0x10000, 92, 0, 0, mine & MOST, other & MOST, 2 + table, (last - table - 1) & MOST)
                + POOL.bytes_le + struct.pack("<QIII", at & MOST, count, size, 0))
    boot = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, mbr, 255, 255, 255, 1, last & 0xffffffff)
    return (struct.pack("<BHH", flags | (4 if sector == 4096 else 0), mib, missing) + boot
            + header(1, last if alternate is None else alternate, 2) + header(last, 1, last - table) + entries)


GPT = {
    "whole": gpt(), "4096": gpt(sector=4096), "backup-only": gpt(flags=2), "primary-only": gpt(flags=1), "neither": gpt(flags=0),
    "no-boot-signature": gpt(flags=11), "no-protective-mbr": gpt(mbr=0x83), "truncated": gpt(missing=65535),
    "missing-part": gpt(parts=((0, 1, 34), (1, 35, 9))), "doubled-part": gpt(parts=((0, 1, 34), (1, 35, 9), (1, 44, 9), (2, 53, 9))),
    "overlapping": gpt(parts=((0, 1, 34), (1, 30, 9), (2, 44, 9))), "out-of-order": gpt(parts=((1, 1, 9), (0, 10, 34), (2, 44, 9))),
    "beyond-the-end": gpt(parts=((0, 1, 34), (1, 35, 9), (2, 44, 2**40))), "empty-part": gpt(parts=((0, 1, 34), (1, 35, 0), (2, 44, 9))),
    "huge-start": gpt(parts=((0, 1, 34), (1, 35, 9), (2, 2**52, 9))), "at-the-front": gpt(parts=((0, 0, 34), (1, 35, 9), (2, 44, 9))),
    "entries-4096": gpt(count=4096), "entries-most": gpt(count=2**32 - 1), "entry-size": gpt(size=256), "no-entries": gpt(count=0),
    "grown-disk": gpt(alternate=100000), "alternate-beyond": gpt(alternate=2**63), "small": gpt(mib=1), "no-disk": gpt(mib=0),
    "stranger-beside": gpt(parts=((0, 1, 34), (1, 35, 9), (2, 44, 100)), more=((200, 9),)),
    "stranger-over": gpt(parts=((0, 1, 34), (1, 35, 9), (2, 44, 100)), more=((100, 9),)), "stranger-only": gpt(parts=(), more=((1, 9),)),
}


# --- Thin metadata -------------------------------------------------------------------------------

def superblock(details=3, mapping=2, blocks=16, version=2, transaction=7):
    b = bytearray(4096)
    struct.pack_into("<I", b, 4, 0)
    struct.pack_into("<QIIQ", b, 32, 27022010, version, 5, transaction)
    struct.pack_into("<Q", b, 192, blocks)
    struct.pack_into("<QQII", b, 320, mapping, details, 128, 8)
    return bytes(b[:400])


def node(leaf, pairs, most=None):
    size = 24 if leaf else 8
    most = most if most is not None else (4096 - 32) // (8 + size)
    b = bytearray(4096)
    struct.pack_into("<IIQIIII", b, 0, 0, 2 if leaf else 1, 0, len(pairs), most, size, 0)
    for i, (key, value) in enumerate(pairs):
        if 32 + i * 8 + 8 <= 4096:
            struct.pack_into("<Q", b, 32 + i * 8, key)
        at = 32 + most * 8 + i * size
        if at + size <= 4096:
            if leaf:
                struct.pack_into("<QQII", b, at, value, 7, 1, 2)
            else:
                struct.pack_into("<Q", b, at, value)
    return bytes(b).rstrip(b"\0")


def thinmeta(want, *blocks, flags=1, failing=0):
    out = struct.pack("<B", flags) + struct.pack("<I", want)[:3] + bytes([failing])
    for number, data in blocks:
        out += struct.pack("<BH", number, len(data)) + data
    return out


def small(leaf, pairs):
    return node(leaf, pairs, max(len(pairs), 4))


def values(leaf, pairs):
    """A node of eight byte values."""
    b = bytearray(node(False, pairs, max(len(pairs), 4)).ljust(32, b"\0"))
    struct.pack_into("<I", b, 4, 2 if leaf else 1)
    return bytes(b)


def details(*devices):
    """A leaf of devices that were part of a snapshot at that time."""
    b = bytearray(node(True, [(number, 1) for number, _ in devices], 4).ljust(200, b"\0"))
    for i, (_, time) in enumerate(devices):
        struct.pack_into("<I", b, 32 + 4 * 8 + i * 24 + 20, time)
    return bytes(b)


def usage(want, *blocks):
    return thinmeta(want, SUPER, (15, superblock(blocks=0)), *blocks)


SUPER = (0, superblock())
LEAF = (3, small(True, [(1, 10), (5, 50), (9, 90)]))
THINMETA = {
    "found": thinmeta(5, SUPER, LEAF), "first": thinmeta(1, SUPER, LEAF), "between": thinmeta(4, SUPER, LEAF), "below": thinmeta(0, SUPER, LEAF),
    "empty-tree": thinmeta(0, SUPER, (3, small(True, []))), "no-checksum": thinmeta(5, SUPER, LEAF, flags=0),
    "two-levels": thinmeta(7, SUPER, (3, small(False, [(0, 4), (6, 5)])), (4, small(True, [(1, 1)])), (5, small(True, [(6, 6), (7, 7)]))),
    "loop": thinmeta(7, SUPER, (3, small(False, [(0, 3)]))), "outside-range": thinmeta(7, SUPER, (3, small(False, [(0, 4), (6, 5)])), (5, small(True, [(1, 1), (7, 7)]))),
    "child-beyond": thinmeta(7, SUPER, (3, small(False, [(0, 2**40)]))), "child-zero": thinmeta(7, SUPER, (3, small(False, [(0, 0)]))),
    "unordered": thinmeta(5, SUPER, (3, small(True, [(5, 1), (1, 2)]))), "too-many": thinmeta(5, SUPER, (3, node(True, [(5, 1)], 127))),
    "more-than-most": thinmeta(5, SUPER, (3, small(True, [(i, i) for i in range(9)])[:20] + struct.pack("<I", 3))),
    "empty-inner": thinmeta(5, SUPER, (3, small(False, []))), "read-fails": thinmeta(5, SUPER, LEAF, flags=3, failing=3),
    "superblock-fails": thinmeta(5, SUPER, LEAF, flags=3), "changes": thinmeta(5, SUPER, LEAF, flags=5), "blank": thinmeta(5),
    "root-beyond": thinmeta(5, (0, superblock(details=16)), LEAF), "no-blocks": thinmeta(5, (0, superblock(blocks=0)), LEAF),
    "usage-plain": usage(1, (2, values(True, [(1, 4)])), (3, details((1, 0))), (4, values(True, [(0, 9 << 24), (1, 8 << 24)]))),
    "usage-shared": usage(1, (2, values(True, [(1, 4), (2, 5)])), (3, details((1, 3), (2, 3))),
                          (4, values(False, [(0, 6), (9, 7)])), (5, values(False, [(0, 6), (9, 8)])), (6, values(True, [(0, 9 << 24)])),
                          (7, values(True, [(9, 8 << 24 | 1), (10, 7 << 24 | 3)])), (8, values(True, [(9, 6 << 24 | 3)]))),
    "usage-beyond": usage(1, (2, values(True, [(1, 4)])), (3, details((1, 0))), (4, values(True, [(0, 4096 << 24)]))),
    "usage-twice": usage(1, (2, values(True, [(1, 4)])), (3, details((1, 3))), (4, values(True, [(0, 9 << 24), (1, 9 << 24)]))),
    "usage-empty-leaf": usage(1, (2, values(True, [(1, 4)])), (3, details((1, 3))), (4, values(False, [(0, 5)])), (5, values(True, []))),
    "usage-loop": usage(1, (2, values(True, [(1, 4)])), (3, details((1, 3))), (4, values(False, [(0, 4)]))),
    "most-blocks": thinmeta(5, (0, superblock(blocks=255 * 16320 + 1)), LEAF),
}


# --- Btrfs ---------------------------------------------------------------------------------------

def btrfs(devices=1, csum=0, incompat=0x341, total=200 << 20, magic=b"_BHRfS_M", renewed=False):
    b = bytearray(4096)
    b[0x20:0x30] = POOL.bytes
    struct.pack_into("<QQ", b, 0x30, 0, 1)
    b[0x40:0x48] = magic
    struct.pack_into("<Q", b, 0x88, devices)
    struct.pack_into("<Q", b, 0xbc, incompat | (1 << 10 if renewed else 0))
    struct.pack_into("<H", b, 0xc4, csum)
    struct.pack_into("<QQ", b, 0xc9, 1, total)
    if renewed:
        b[0x23b:0x24b] = uuid.uuid5(POOL, "old").bytes
    return bytes(b[:0x250])


def device(*supers, mib=256, flags=1):
    return struct.pack("<BH", flags, mib) + b"".join(struct.pack("<BH", place, len(s)) + s for place, s in supers)


BTRFS = {
    "one": device((0, btrfs())), "two": device((0, btrfs()), (1, btrfs())), "again": device((0, btrfs(renewed=True)), (1, btrfs(renewed=True))),
    "torn": device((1, btrfs(renewed=True))), "torn-and-old-mirror": device((1, btrfs())), "two-devices": device((0, btrfs(devices=2))),
    "other-checksum": device((0, btrfs(csum=1))), "no-checksum": device((0, btrfs()), flags=0), "no-magic": device((0, btrfs(magic=b"\0" * 8))),
    "beyond-the-end": device((0, btrfs(total=2**60))), "no-bytes": device((0, btrfs(total=0))), "small-device": device((0, btrfs(total=1 << 40)), mib=1),
    "nothing": device(), "no-device": device(mib=0),
}


# --- The identity of an ext4, and of an XFS ------------------------------------------------------

def ext4(state=1, incompat=0x22c2, csum_type=1, mounts=0, magic=0xef53):
    b = bytearray(1024)
    struct.pack_into("<H", b, 0x34, mounts)
    struct.pack_into("<HH", b, 0x38, magic, state)
    struct.pack_into("<I", b, 0x60, incompat)
    b[0x68:0x78] = POOL.bytes
    b[0x175] = csum_type
    return bytes(b)


def xfs(groups=2, group_blocks=8, block=4096, log=4, group_log=3, version=5, sector=512, incompat=3):
    b = bytearray(512)
    b[:4] = b"XFSB"
    struct.pack_into(">I", b, 4, block)
    b[32:48] = POOL.bytes
    struct.pack_into(">Q", b, 48, log)
    struct.pack_into(">II", b, 84, group_blocks, groups)
    struct.pack_into(">HH", b, 100, 0xb4a0 | version, sector)
    b[124] = group_log
    struct.pack_into(">I", b, 216, incompat)
    return bytes(b)


def log_record(length=512, cycle=1, lsn=1 << 32, size=32768):
    b = bytearray(512)
    struct.pack_into(">IIIIQQ", b, 0, 0xfeedbabe, cycle, 2, length, lsn, lsn)
    b[304:320] = POOL.bytes
    struct.pack_into(">I", b, 320, size)
    return bytes(b)


def file_system(*patches, flags, kib=64):
    return struct.pack("<BB", flags, kib) + b"".join(struct.pack("<BH", at, len(p)) + p for at, p in patches)


def ext4_device(super_block, **more):
    return file_system((2, super_block), flags=more.pop("flags", 2), **more)


def xfs_device(record=log_record(), second=None, behind=b"", flags=3, kib=64, **more):
    """Two groups of 32 KiB, the log in the first one."""
    return file_system((0, xfs(**more)), (64, second or xfs(**more)), (32, record), (34, behind), flags=flags, kib=kib)


IDENTITY = {
    "ext4": ext4_device(ext4()), "ext4-mounted-before": ext4_device(ext4(mounts=1)), "ext4-not-clean": ext4_device(ext4(state=0)),
    "ext4-journal": ext4_device(ext4(incompat=0x22c6)), "ext4-no-seed": ext4_device(ext4(incompat=0x2c2)), "ext4-no-checksum": ext4_device(ext4(csum_type=0)),
    "ext4-wrong-checksum": ext4_device(ext4(), flags=0), "ext4-no-magic": ext4_device(ext4(magic=0)), "ext4-short": ext4_device(ext4(), kib=1), "ext4-nothing": ext4_device(b"", kib=0),
    "xfs": xfs_device(), "xfs-no-log": xfs_device(log=0), "xfs-used-log": xfs_device(record=log_record(cycle=2)), "xfs-two-records": xfs_device(behind=log_record()),
    "xfs-long-record": xfs_device(record=log_record(length=2**32 - 1)), "xfs-no-record": xfs_device(record=b"\0"), "xfs-log-outside": xfs_device(log=7 << 20),
    "xfs-log-on-superblock": xfs_device(log=8), "xfs-many-groups": xfs_device(groups=2**32 - 1), "xfs-no-blocks": xfs_device(group_blocks=0), "xfs-version-4": xfs_device(version=4),
    "xfs-sectors": xfs_device(sector=4096), "xfs-no-second": xfs_device(second=b"\0"), "xfs-second-older": xfs_device(second=xfs(version=4)),
    "xfs-wrong-checksum": xfs_device(flags=1), "xfs-short": xfs_device(kib=0), "xfs-small-blocks": xfs_device(block=512), "xfs-again": xfs_device(incompat=7),
}


# --- Catalogue -----------------------------------------------------------------------------------

def catalogue(sql="", *patches, flags=0):
    data = sql.encode()
    out = struct.pack("<BH", flags, len(data)) + data
    for which, at, what in patches:
        out += struct.pack("<B", which) + struct.pack("<I", at)[:3] + struct.pack("<B", len(what)) + what
    return out


SCHEMA = "PRAGMA writable_schema=1;"
CATALOGUE = {
    "good": catalogue(), "no-log": catalogue(flags=2), "checkpointed": catalogue("SELECT 1", flags=1), "empty": b"",
    "name-blob": catalogue("UPDATE volume SET name = x'62' WHERE id = 0"), "name-nul": catalogue("UPDATE volume SET name = 'a' || char(0) || 'b' WHERE id = 0"),
    "name-control": catalogue("UPDATE volume SET name = 'a' || char(10) WHERE id = 0"), "name-number": catalogue("UPDATE volume SET name = 7 WHERE id = 0"),
    "name-long": catalogue("UPDATE volume SET name = hex(zeroblob(500)) WHERE id = 0"), "name-slash": catalogue("UPDATE volume SET name = '../x' WHERE id = 0"),
    "source-control": catalogue("UPDATE volume SET source = char(27) || '[31m'"), "source-slash": catalogue("UPDATE volume SET source = '/etc'"),
    "fs-type": catalogue("UPDATE volume SET fs_type = 'nfs' || char(10)"), "fs-type-long": catalogue("UPDATE volume SET fs_type = hex(zeroblob(99))"),
    "uuid": catalogue("UPDATE volume SET uuid = upper(uuid)"), "uuid-blob": catalogue("UPDATE volume SET uuid = zeroblob(36)"),
    "bytes-real": catalogue("UPDATE volume SET bytes = 4096.5"), "bytes-text": catalogue("UPDATE volume SET bytes = '4096x'"),
    "bytes-negative": catalogue("UPDATE volume SET bytes = -4096"), "bytes-most": catalogue("UPDATE volume SET bytes = 9223372036854771712"),
    "kind": catalogue("UPDATE volume SET kind = 3"), "kind-text": catalogue("UPDATE volume SET kind = '1x'"), "flags": catalogue("UPDATE volume SET flags = -1"),
    "flags-wide": catalogue("UPDATE volume SET flags = 4294967297"), "created": catalogue("UPDATE volume SET created = -1"),
    "id-large": catalogue("UPDATE volume SET id = 16777216 WHERE id = 2"), "id-negative": catalogue("UPDATE volume SET id = -1 WHERE id = 3"),
    "pool-none": catalogue("DELETE FROM pool"), "pool-uuid": catalogue("UPDATE pool SET uuid = x'00'"), "pool-name": catalogue("UPDATE pool SET name = '../x'"),
    "pool-block": catalogue("UPDATE pool SET block_bytes = 1"), "pool-epoch": catalogue("UPDATE pool SET epoch = 9223372036854775807"),
    "pool-next": catalogue("UPDATE pool SET next_id = -5"), "pool-next-text": catalogue("UPDATE pool SET next_id = 'x'"), "pool-most": catalogue("UPDATE pool SET max_volumes = -1"),
    "pool-most-large": catalogue("UPDATE pool SET max_volumes = 1 << 40"), "pool-snapshots": catalogue("UPDATE pool SET snapshots = -1"),
    "reservation-large": catalogue("INSERT INTO reservation VALUES (99, 7, 0, 16777216)"),
    "reservation-overflow": catalogue("INSERT INTO reservation VALUES (99, 7, 9223372036854775807, 9223372036854775807)"),
    "reservation-sum": catalogue("INSERT INTO reservation VALUES (49, 7, 0, 9223372036854775807), (50, 7, 0, -1), (51, 7, 0, 1e19)"),
    "reservation-real": catalogue("INSERT INTO reservation VALUES (49, 7, 461686018427387902, 9223772036854775807)"),
    "reservation-negative": catalogue("INSERT INTO reservation VALUES (-9, -7, -5, -3)"), "reservation-over-rows": catalogue("UPDATE reservation SET first = 0, count = 64"),
    "many-tombstones": catalogue("WITH RECURSIVE n(i) AS (VALUES(100) UNION ALL SELECT i+1 FROM n WHERE i<200) INSERT INTO volume SELECT i,NULL,1,1,4096,0,'','','' FROM n"),
    "ephemeral": catalogue("UPDATE volume SET flags = 16; INSERT INTO ephemeral VALUES (0, hex(zeroblob(500))), (-7, ''), (16777216, x'00'), (1, '')"),
    "view": catalogue("DROP TABLE volume; CREATE VIEW volume AS SELECT 1 AS id, 'x' AS name, 1 AS kind, 0 AS flags, 4096 AS bytes, 0 AS created, '' AS source, '' AS fs_type, '" + str(POOL) + "' AS uuid"),
    "trigger": catalogue("CREATE TRIGGER t AFTER INSERT ON volume BEGIN DELETE FROM volume; END"), "trigger-pool": catalogue("CREATE TRIGGER t AFTER UPDATE ON pool BEGIN UPDATE pool SET epoch = 0; END"),
    "virtual": catalogue("DROP TABLE volume; CREATE VIRTUAL TABLE volume USING fts4(id, name, kind, flags, bytes, created, source, fs_type, uuid)"),
    "generated": catalogue("DROP TABLE reservation; CREATE TABLE reservation (row INTEGER PRIMARY KEY, owner, first, count AS (first * 99999999))"),
    "more-columns": catalogue("ALTER TABLE volume ADD COLUMN x"), "more-tables": catalogue("CREATE TABLE x (y)"), "no-index": catalogue("DROP INDEX spare"),
    "other-index": catalogue("DROP INDEX spare; CREATE INDEX spare ON volume (flags) WHERE flags & 1"), "other-default": catalogue("DROP TABLE volume; CREATE TABLE volume (id, name, kind, flags, bytes, created, source, fs_type, uuid)"),
    "version": catalogue("PRAGMA user_version = 2"), "application": catalogue("PRAGMA application_id = 1"), "rollback-journal": catalogue("PRAGMA journal_mode = DELETE"),
    "schema-text": catalogue(SCHEMA + "UPDATE sqlite_schema SET sql = 'CREATE TABLE volume (id, name CHECK (abs(-9223372036854775808)))' WHERE name = 'volume'"),
    "schema-root": catalogue(SCHEMA + "UPDATE sqlite_schema SET rootpage = 2 WHERE type = 'table'"), "schema-root-beyond": catalogue(SCHEMA + "UPDATE sqlite_schema SET rootpage = 999999"),
    "collation": catalogue(SCHEMA + "UPDATE sqlite_schema SET sql = replace(sql, 'name TEXT UNIQUE', 'name TEXT COLLATE NOCASE UNIQUE')"),
    "header": catalogue("", (0, 0, b"SQLite format 4\0")), "page-size": catalogue("", (0, 16, b"\x02\x00"), flags=2), "page-count": catalogue("", (0, 28, b"\x7f\xff\xff\xff"), flags=2),
    "free-list": catalogue("", (0, 32, b"\0\0\0\2\0\0\0\x09"), flags=2), "page-type": catalogue("", (0, 4096, b"\x05"), flags=2), "cells": catalogue("", (0, 4096 + 3, b"\xff\xff\x00\x01"), flags=2),
    "page-loop": catalogue("", (0, 3 * 4096, b"\x05\0\0\0\1\0\0\0\0\0\0\4"), flags=2), "log-header": catalogue("", (1, 0, b"\0\0\0\0")), "log-salt": catalogue("", (1, 16, b"xxxx")),
    "log-frame": catalogue("", (1, 32, b"\0\0\0\xff")), "log-cut": catalogue("", (1, 40, b""), (1, 4000, b"x"), flags=4), "database-cut": catalogue("", (0, 5000, b"x"), flags=6),
    "encoding": catalogue("", (0, 56, b"\0\0\0\2"), flags=2),
}


# --- The API --------------------------------------------------------------------------------------

SIZES = {"new": 40, "format": 32, "open": 8, "create": 24, "snapshot": 8, "clone": 24, "publish": 24, "unpublish": 24}
FUNCTIONS = list(SIZES) + ["expand", "delete", "pool_stat", "stat", "list"]
G = 1 << 29


def call(function, a="", b="", number=0, flags=0, size=None, body=b""):
    a, b = a.encode(), b.encode()
    size = SIZES.get(function, 4000) if size is None else size
    return (struct.pack("<BHIQ", FUNCTIONS.index(function), size, flags, number)
            + bytes([len(a)]) + a + bytes([len(b)]) + b + bytes([len(body)]) + body)


API = {
    "life": call("create", "v", "ext4", G) + call("snapshot", "v", "s") + call("clone", "s", "c") + call("expand", "v", number=2 * G) + call("stat", "v", size=900)
            + call("list") + call("delete", "s") + call("pool_stat", size=2000),
    "names": call("create", "..", number=4096) + call("create", "a/b", number=4096) + call("create", "n" * 255, number=4096) + call("delete", "n" * 255),
    "sizes": call("create", "v", number=0) + call("create", "v", number=2**64 - 1) + call("create", "v", number=1) + call("expand", "v", number=2**63),
    "small-struct": call("create", "v", number=4096, size=23) + call("publish", "v", "/t", size=7) + call("new", size=4) + call("open", "/x", size=0),
    "large-struct": call("create", "v", number=4096, size=4096) + call("create", "v", number=4096, size=4097) + call("publish", "v", "/t", size=65535),
    "newer-struct": call("create", "w", number=4096, size=64, body=b"\0\0\1") + call("snapshot", "w", "x", size=16, body=b"\0" * 8),
    "flags": call("create", "v", number=4096, flags=1) + call("delete", "v", flags=2**31) + call("list", flags=4) + call("publish", "v", "/t", flags=4),
    "publish": call("create", "v", "ext4", G) + call("publish", "v", "/", flags=1) + call("publish", "v", "/tmp") + call("unpublish", "v", "/tmp", 1) + call("unpublish", "v", "x"),
    "format": call("format", "tank") + call("format", "other", number=4096) + call("format", "-", flags=1 << 30), "open": call("open", "tank") + call("open", "nothing") + call("open", "a/b"),
    "info": call("pool_stat", size=8) + call("pool_stat", size=0) + call("pool_stat", size=4096) + call("create", "v", number=1) + call("stat", "v", size=9) + call("stat", "v", size=4097),
}


def main():
    for target, table in (("thin", THIN), ("mountopts", MOUNTOPTS), ("mountinfo", MOUNTINFO), ("records", RECORDS), ("idmap", IDMAP), ("procinfo", PROCINFO), ("gpt", GPT), ("thinmeta", THINMETA),
                          ("btrfs", BTRFS), ("identity", IDENTITY), ("catalogue", CATALOGUE), ("api", API)):
        for name, data in table.items():
            write(target, name, data)
    for name, data in NAMES.items():
        write("names", name, b"\x10" + data.encode())
    for name, data in NAMES_RAW.items():
        write("names", name, b"\x00" + data)


main()
