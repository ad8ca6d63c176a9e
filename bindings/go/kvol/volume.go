// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

import "time"

// CreateOptions are struct kvol_create_opts.
type CreateOptions struct {
	FSType string // "ext4", "xfs", "btrfs"; "": a raw block volume
	Bytes  uint64 // Clone only: at least this size; 0: the source's
	Labels map[string]string
	Secret []byte  // encrypts the volume; nil: not
	Owner  *Owner  // of the root directory; nil: root. Create only
	Mode   *uint32 // of the root directory; nil: what its mkfs gives. Create only
	Thick  bool    // all of its space is allocated. Create only
}

// Owner is a user and a group.
type Owner struct {
	UID, GID uint32
}

func (o *CreateOptions) fill(a *arena, c *C.struct_kvol_create_opts) {
	c.size = C.sizeof_struct_kvol_create_opts
	if o == nil {
		return
	}
	c.fs_type = a.str(o.FSType)
	c.bytes = C.uint64_t(o.Bytes)
	c.labels, c.n_labels = a.labels(o.Labels, nil)
	c.secret, c.secret_bytes = a.secret(o.Secret)
	c.flags = flag(o.Thick, C.KVOL_CREATE_THICK)
	if o.Owner != nil {
		c.flags |= C.KVOL_CREATE_OWNER
		c.uid, c.gid = C.uint32_t(o.Owner.UID), C.uint32_t(o.Owner.GID)
	}
	if o.Mode != nil {
		c.flags |= C.KVOL_CREATE_MODE
		c.mode = C.uint32_t(*o.Mode)
	}
}

// Create makes a volume.
func (p *Pool) Create(name string, bytes uint64, o *CreateOptions) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var opts C.struct_kvol_create_opts
		o.fill(a, &opts)
		cname := a.must(name)
		return a.run(func() C.int { return C.kvol_create(p.c, cname, C.uint64_t(bytes), &opts, e) })
	})
}

// Snapshot takes a snapshot of a volume or of a snapshot.
func (p *Pool) Snapshot(volume, snapshot string, labels map[string]string) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		opts := C.struct_kvol_snapshot_opts{size: C.sizeof_struct_kvol_snapshot_opts}
		opts.labels, opts.n_labels = a.labels(labels, nil)
		cvolume, csnapshot := a.must(volume), a.must(snapshot)
		return a.run(func() C.int { return C.kvol_snapshot(p.c, cvolume, csnapshot, &opts, e) })
	})
}

// Clone makes a volume with the contents of a volume or snapshot.
func (p *Pool) Clone(source, name string, o *CreateOptions) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var opts C.struct_kvol_create_opts
		o.fill(a, &opts)
		csource, cname := a.must(source), a.must(name)
		return a.run(func() C.int { return C.kvol_clone(p.c, csource, cname, &opts, e) })
	})
}

// Expand makes a volume and its file system at least so large.
func (p *Pool) Expand(name string, bytes uint64) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.must(name)
		return a.run(func() C.int { return C.kvol_expand(p.c, cname, C.uint64_t(bytes), 0, e) })
	})
}

// Delete deletes a volume or a snapshot.
func (p *Pool) Delete(name string) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.must(name)
		return a.run(func() C.int { return C.kvol_delete(p.c, cname, 0, e) })
	})
}

// ChangeSecret replaces the secret of an encrypted volume or snapshot.
func (p *Pool) ChangeSecret(name string, from, to []byte) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.must(name)
		cfrom, nfrom := a.secret(from)
		cto, nto := a.secret(to)
		return a.run(func() C.int {
			return C.kvol_change_secret(p.c, cname, cfrom, nfrom, cto, nto, 0, e)
		})
	})
}

// Kind tells volumes, snapshots and templates from each other.
type Kind uint32

const (
	KindVolume   = Kind(C.KVOL_KIND_VOLUME)
	KindSnapshot = Kind(C.KVOL_KIND_SNAPSHOT)
	KindTemplate = Kind(C.KVOL_KIND_TEMPLATE)
)

// Info is struct kvol_info.
type Info struct {
	Encrypted bool // KVOL_INFO_ENCRYPTED
	Thick     bool // KVOL_INFO_THICK
	Ephemeral bool // KVOL_INFO_EPHEMERAL
	Bytes     uint64
	Allocated uint64
	Created   time.Time
	Kind      Kind
	Targets   uint32
	Name      string
	Source    string
	FSType    string
	UUID      string
	Device    string
	Access    Access
	Major     uint32 // of the device while it is active; 0: it is not
	Minor     uint32
}

func goInfo(i *C.struct_kvol_info) Info {
	return Info{
		Encrypted: i.flags&C.KVOL_INFO_ENCRYPTED != 0,
		Thick:     i.flags&C.KVOL_INFO_THICK != 0,
		Ephemeral: i.flags&C.KVOL_INFO_EPHEMERAL != 0,
		Bytes:     uint64(i.bytes),
		Allocated: uint64(i.allocated),
		Created:   time.Unix(int64(i.created), 0),
		Kind:      Kind(i.kind),
		Targets:   uint32(i.n_targets),
		Name:      C.GoString(&i.name[0]),
		Source:    C.GoString(&i.source[0]),
		FSType:    C.GoString(&i.fs_type[0]),
		UUID:      C.GoString(&i.uuid[0]),
		Device:    C.GoString(&i.device[0]),
		Access:    Access(i.access),
		Major:     uint32(i.dev_major),
		Minor:     uint32(i.dev_minor),
	}
}

// Stat tells about one volume or snapshot.
func (p *Pool) Stat(name string) (Info, error) {
	var i C.struct_kvol_info
	i.size = C.sizeof_struct_kvol_info
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.must(name)
		return a.run(func() C.int { return C.kvol_stat(p.c, cname, &i, e) })
	})
	if err != nil {
		return Info{}, err
	}
	return goInfo(&i), nil
}

// Condition is the worst that is known of a volume.
type Condition uint32

const (
	ConditionOK          = Condition(C.KVOL_CONDITION_OK)
	ConditionNoSpace     = Condition(C.KVOL_CONDITION_NO_SPACE)
	ConditionFSError     = Condition(C.KVOL_CONDITION_FS_ERROR)
	ConditionReadOnly    = Condition(C.KVOL_CONDITION_READ_ONLY)
	ConditionDeviceError = Condition(C.KVOL_CONDITION_DEVICE_ERROR)
)

// VolumeStats is struct kvol_volume_stats.
type VolumeStats struct {
	Active          bool // KVOL_STATS_ACTIVE
	FS              bool // KVOL_STATS_FS: the fields FS... are filled
	FSBytes         uint64
	FSUsed          uint64
	FSAvailable     uint64
	Inodes          uint64
	InodesUsed      uint64
	InodesAvailable uint64
	Allocated       uint64
	Condition       Condition
	Message         string
}

// VolumeStat tells how full and how well a volume is.
func (p *Pool) VolumeStat(name string) (VolumeStats, error) {
	var s C.struct_kvol_volume_stats
	s.size = C.sizeof_struct_kvol_volume_stats
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.must(name)
		return a.run(func() C.int { return C.kvol_volume_stat(p.c, cname, &s, e) })
	})
	if err != nil {
		return VolumeStats{}, err
	}
	return VolumeStats{
		Active:          s.flags&C.KVOL_STATS_ACTIVE != 0,
		FS:              s.flags&C.KVOL_STATS_FS != 0,
		FSBytes:         uint64(s.fs_bytes),
		FSUsed:          uint64(s.fs_used),
		FSAvailable:     uint64(s.fs_available),
		Inodes:          uint64(s.fs_inodes),
		InodesUsed:      uint64(s.fs_inodes_used),
		InodesAvailable: uint64(s.fs_inodes_available),
		Allocated:       uint64(s.allocated),
		Condition:       Condition(s.condition),
		Message:         C.GoString(&s.message[0]),
	}, nil
}

// Usage is struct kvol_usage_info: bytes of the pool.
type Usage struct {
	Exclusive uint64 // what deleting it would give back
	Shared    uint64 // what snapshots, clones or its source have as well
}

// Usage tells what a volume or snapshot alone has in the pool, and what it shares.
func (p *Pool) Usage(name string) (Usage, error) {
	var u C.struct_kvol_usage_info
	u.size = C.sizeof_struct_kvol_usage_info
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.must(name)
		return a.run(func() C.int { return C.kvol_usage(p.c, cname, &u, e) })
	})
	if err != nil {
		return Usage{}, err
	}
	return Usage{Exclusive: uint64(u.exclusive), Shared: uint64(u.shared)}, nil
}
