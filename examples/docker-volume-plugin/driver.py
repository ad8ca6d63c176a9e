# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Docker's volume protocol asks for, in terms of a kvol pool. Speaks no HTTP: see the server.

There is no state beside the library. A volume is ours if it has our label. A reference is a publish:
each caller of Mount has a target of its own, DIRECTORY/NAME@CALLER, so that counting is listing, a
killed plugin forgets nothing, and a boot, which ends all publishes, begins at zero.

All calls may be repeated, and may come from any number of threads and plugins at once.
"""

import hashlib
import os
import re
import stat

import kvol

OURS = "docker-volume"  # on each volume that Docker made; others in the pool are not its business
SECRET_FILE = "docker-volume/secret-file"  # where an encrypted volume's secret is to be read

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,180}")  # Docker's own; with "@" and 64 more a file name
CALLER = re.compile(r"[a-zA-Z0-9]{1,64}")
SIZE = re.compile(r"([1-9][0-9]{0,18})([KMGTP]?)(?:i?B)?", re.IGNORECASE)
SECRET_MAX = 4096
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
OPTIONS = ("size", "fs", "from", "secret-file", "label")


class Refused(Exception):
    """A request that cannot be carried out: one line for whoever sent it."""


def parse_size(text):
    """Bytes of "10G": powers of 1024."""
    match = SIZE.fullmatch(text)
    if not match:
        raise Refused("size=%s: not a size such as 10G" % text)
    return int(match[1]) << 10 * " KMGTP".index(match[2].upper() or " ")


def parse_labels(text):
    """The labels of "key=value,key=value"."""
    labels = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or key in (OURS, SECRET_FILE):
            raise Refused("label=%s: not key=value, or a key of the plugin's own" % item)
        labels[key] = value
    return labels


class Secret:
    """`with Secret(path) as secret`: the bytes of a file that nobody but root can read, wiped
    afterwards. None for no path."""

    def __init__(self, path):
        self.path = path
        self.bytes = None

    def __enter__(self):
        if not self.path:
            return None
        if not os.path.isabs(self.path):
            raise Refused("secret-file=%s: not an absolute path" % self.path)
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as e:
            raise Refused("secret-file=%s: %s" % (self.path, e.strerror)) from None
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid or found.st_mode & 0o077:
                raise Refused("secret-file=%s: not a file of root's that nobody else may read"
                              % self.path)
            if not 1 <= found.st_size <= SECRET_MAX:
                raise Refused("secret-file=%s: not 1 to %d bytes" % (self.path, SECRET_MAX))
            self.bytes = bytearray(found.st_size)
            if os.readv(fd, [self.bytes]) != found.st_size:
                raise Refused("secret-file=%s: it is being written" % self.path)
        finally:
            os.close(fd)
        return self.bytes

    def __exit__(self, *exc):
        if self.bytes is not None:
            self.bytes[:] = bytes(len(self.bytes))


class Driver:
    """The VolumeDriver on a pool: a method takes a request's fields and returns the reply's."""

    def __init__(self, pool, directory, default_size):
        self.pool = pool
        self.directory = os.path.realpath(directory)  # a target has no link in it
        self.default_size = default_size
        os.makedirs(self.directory, mode=0o700, exist_ok=True)

    # --- The protocol ---

    def capabilities(self):
        """A volume is on one host."""
        return {"Capabilities": {"Scope": "local"}}

    def create(self, name, options):
        """Makes a volume, or with from= a copy of a volume or snapshot of the pool."""
        if not NAME.fullmatch(name):
            raise Refused("%s: not a name that Docker's volumes can have" % name)
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise Refused("unknown option %s (there are: %s)" % (unknown[0], ", ".join(OPTIONS)))
        labels = dict(parse_labels(options.get("label", "")), **{OURS: "yes"})
        size = parse_size(options["size"]) if "size" in options else 0
        if options.get("fs") not in (None,) + FILE_SYSTEMS:
            raise Refused("fs=%s: not one of %s" % (options["fs"], ", ".join(FILE_SYSTEMS)))
        if options.get("from"):
            self.copy(name, size, options, labels)
        else:
            with Secret(options.get("secret-file")) as secret:
                if secret is not None:
                    labels[SECRET_FILE] = options["secret-file"]
                self.pool.create(name, size or self.default_size, labels=labels, secret=secret,
                                 fs_type=options.get("fs", "ext4"))
        # The same volume being there already is no error of the library's.
        if not self.label_of(name, OURS):
            raise Refused("%s: the pool has such a volume, and it is not Docker's" % name)
        return {}

    def remove(self, name):
        """Deletes a volume for good; what is not there is removed already."""
        try:
            self.pool.get_label(name, OURS)
        except kvol.NotFound:
            if self.exists(name):
                raise Refused("%s: not Docker's volume" % name) from None
            return {}
        self.pool.delete(name)
        return {}

    def mount(self, name, caller):
        """Publishes the volume for one more caller."""
        self.need(name)
        target = self.target(name, caller)
        with Secret(self.label_of(name, SECRET_FILE)) as secret:
            try:
                os.mkdir(target, 0o700)
            except FileExistsError:
                pass
            try:
                self.pool.publish(name, target, secret=secret)
            except kvol.Error:
                self.forget(target)
                raise
        return {"Mountpoint": target}

    def unmount(self, name, caller):
        """Takes it away from one caller; a caller that has none is done with it already."""
        self.need(name)
        target = self.target(name, caller)
        self.pool.unpublish(name, target)
        self.forget(target)
        return {}

    def path(self, name):
        """Where it is mounted: any of its targets shows the same."""
        self.need(name)
        return {"Mountpoint": self.mountpoints(name).get(name, "")}

    def get(self, name):
        """What there is to know of a volume."""
        self.need(name)
        volume = self.pool.volume(name)
        return {"Volume": {
            "Name": name,
            "Mountpoint": self.mountpoints(name).get(name, ""),
            "CreatedAt": volume.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Status": {"size": volume.size, "allocated": volume.allocated,
                       "fs": volume.fs_type, "from": volume.source,
                       "encrypted": volume.encrypted, "callers": len(self.targets(name))},
        }}

    def list(self):
        """All volumes of Docker's."""
        mountpoints = self.mountpoints()
        return {"Volumes": [{"Name": v.name, "Mountpoint": mountpoints.get(v.name, "")}
                            for v in self.pool.list(kind=kvol.Kind.VOLUME, label=OURS)]}

    # --- How it is done ---

    def copy(self, name, size, options, labels):
        """A clone. Of an encrypted source it has the secret, which is in the same file unless the
        options say another one."""
        source, secret_file = options["from"], options.get("secret-file")
        if self.pool.volume(source).encrypted:
            secret_file = secret_file or self.label_of(source, SECRET_FILE)
        elif secret_file:
            raise Refused("secret-file=%s: %s is not encrypted" % (secret_file, source))
        if secret_file:
            labels[SECRET_FILE] = secret_file
        self.pool.clone(source, name, size=size, fs_type=options.get("fs"), labels=labels)

    def exists(self, name):
        try:
            self.pool.volume(name)
        except kvol.NotFound:
            return False
        return True

    def label_of(self, name, key):
        """The value of a label, or None."""
        try:
            return self.pool.get_label(name, key)
        except kvol.NotFound:
            return None

    def need(self, name):
        if not self.label_of(name, OURS):
            raise Refused("%s: no such volume" % name)

    def target(self, name, caller):
        """The target of one caller; its id is Docker's, and no path of anybody's making."""
        if not CALLER.fullmatch(caller):
            caller = hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()
        return "%s/%s@%s" % (self.directory, name, caller)

    def targets(self, name):
        """The targets of all callers."""
        return [p.target for p in self.pool.publishes(name)
                if p.target.startswith("%s/%s@" % (self.directory, p.volume))]

    def mountpoints(self, name=None):
        """{volume: one of its targets}"""
        return {p.volume: p.target for p in self.pool.publishes(name)
                if p.target.startswith("%s/%s@" % (self.directory, p.volume))}

    @staticmethod
    def forget(target):
        """Removes a target's directory, which says nothing, unless something is mounted on it."""
        try:
            os.rmdir(target)
        except OSError:
            pass
