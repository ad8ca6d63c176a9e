// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

// FormatOptions are struct kvol_format_opts.
type FormatOptions struct {
	Force      bool
	FileBytes  uint64
	BlockBytes uint64
	MaxVolumes uint64
}

// Format makes a pool.
func (c *Context) Format(name, path string, o *FormatOptions) error {
	return c.call(func(a *arena, e *C.struct_kvol_error) C.int {
		if o == nil {
			o = &FormatOptions{}
		}
		opts := C.struct_kvol_format_opts{
			size:        C.sizeof_struct_kvol_format_opts,
			flags:       flag(o.Force, C.KVOL_FORMAT_FORCE),
			file_bytes:  C.uint64_t(o.FileBytes),
			block_bytes: C.uint64_t(o.BlockBytes),
			max_volumes: C.uint64_t(o.MaxVolumes),
		}
		cname, cpath := a.must(name), a.must(path)
		return a.run(func() C.int { return C.kvol_pool_format(c.c, cname, cpath, &opts, e) })
	})
}

// OpenOptions are struct kvol_open_opts.
type OpenOptions struct {
	Takeover bool
}

// Pool is struct kvol_pool.
type Pool struct {
	guard
	c   *C.struct_kvol_pool
	log *logger
}

// Open opens a pool, by the path of a member or the name of an active pool.
func (c *Context) Open(path string, o *OpenOptions) (*Pool, error) {
	p := &Pool{}
	err := c.call(func(a *arena, e *C.struct_kvol_error) C.int {
		opts := C.struct_kvol_open_opts{size: C.sizeof_struct_kvol_open_opts}
		opts.flags = flag(o != nil && o.Takeover, C.KVOL_OPEN_TAKEOVER)
		cpath := a.must(path)
		r := a.run(func() C.int { return C.kvol_pool_open(c.c, cpath, &opts, &p.c, e) })
		if r == 0 && a.err == nil {
			p.log = c.log.take()
		}
		return r
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Close drops the handle, once, after the calls that are on their way. The pool stays active.
func (p *Pool) Close() {
	p.close(func() {
		C.kvol_pool_close(p.c)
		p.log.drop()
	})
}

// Deactivate takes the pool out of use; the handle is good for Close only from then on.
func (p *Pool) Deactivate() error {
	return p.call(func(_ *arena, e *C.struct_kvol_error) C.int {
		return C.kvol_pool_deactivate(p.c, e)
	})
}

// PoolFlags are the states that a pool can be in.
type PoolFlags uint32

const (
	PoolAudit         = PoolFlags(C.KVOL_POOL_AUDIT)
	PoolReadOnly      = PoolFlags(C.KVOL_POOL_READ_ONLY)
	PoolNeedsCheck    = PoolFlags(C.KVOL_POOL_NEEDS_CHECK)
	PoolOutOfData     = PoolFlags(C.KVOL_POOL_OUT_OF_DATA)
	PoolOutOfMetadata = PoolFlags(C.KVOL_POOL_OUT_OF_METADATA)
	PoolLowData       = PoolFlags(C.KVOL_POOL_LOW_DATA)
	PoolLowMetadata   = PoolFlags(C.KVOL_POOL_LOW_METADATA)
)

// PolicyFlags hold for every file system that is published from now on.
type PolicyFlags uint64

const (
	PolicyNoExec = PolicyFlags(C.KVOL_POLICY_NOEXEC)
	PolicyNoSUID = PolicyFlags(C.KVOL_POLICY_NOSUID)
	PolicyNoDev  = PolicyFlags(C.KVOL_POLICY_NODEV)
)

// OvercommitMax is the most that Policy.Overcommit can be.
const OvercommitMax = uint64(C.KVOL_OVERCOMMIT_MAX)

// PoolInfo is struct kvol_pool_info.
type PoolInfo struct {
	Flags         PoolFlags
	DataBytes     uint64
	DataUsed      uint64
	MetadataBytes uint64
	MetadataUsed  uint64
	BlockBytes    uint64
	Volumes       uint64
	Snapshots     uint64
	Name          string
	UUID          string
	Device        string
	MaxVolumes    uint64
	SnapshotsLeft uint64
	Host          string
	Provisioned   uint64
	Capacity      uint64
	LargestVolume uint64
	MaxPublished  uint64
	Overcommit    uint64
	PublishFlags  PolicyFlags
	Published     uint64
}

// Info tells about the pool.
func (p *Pool) Info() (PoolInfo, error) {
	var i C.struct_kvol_pool_info
	i.size = C.sizeof_struct_kvol_pool_info
	err := p.call(func(_ *arena, e *C.struct_kvol_error) C.int { return C.kvol_pool_stat(p.c, &i, e) })
	if err != nil {
		return PoolInfo{}, err
	}
	return PoolInfo{
		Flags:         PoolFlags(i.flags),
		DataBytes:     uint64(i.data_bytes),
		DataUsed:      uint64(i.data_used),
		MetadataBytes: uint64(i.metadata_bytes),
		MetadataUsed:  uint64(i.metadata_used),
		BlockBytes:    uint64(i.block_bytes),
		Volumes:       uint64(i.n_volumes),
		Snapshots:     uint64(i.n_snapshots),
		Name:          C.GoString(&i.name[0]),
		UUID:          C.GoString(&i.uuid[0]),
		Device:        C.GoString(&i.device[0]),
		MaxVolumes:    uint64(i.max_volumes),
		SnapshotsLeft: uint64(i.snapshots_left),
		Host:          C.GoString(&i.host[0]),
		Provisioned:   uint64(i.provisioned),
		Capacity:      uint64(i.capacity),
		LargestVolume: uint64(i.largest_volume),
		MaxPublished:  uint64(i.max_published),
		Overcommit:    uint64(i.overcommit),
		PublishFlags:  PolicyFlags(i.publish_flags),
		Published:     uint64(i.n_published),
	}, nil
}

// Policy is struct kvol_policy_opts: what is nil stays as it is.
type Policy struct {
	MaxVolumes   *uint64
	MaxPublished *uint64
	Overcommit   *uint64
	PublishFlags *PolicyFlags
}

// SetPolicy sets the pool's policy.
func (p *Pool) SetPolicy(o Policy) error {
	opts := C.struct_kvol_policy_opts{size: C.sizeof_struct_kvol_policy_opts}
	if o.MaxVolumes != nil {
		opts.flags |= C.KVOL_SET_MAX_VOLUMES
		opts.max_volumes = C.uint64_t(*o.MaxVolumes)
	}
	if o.MaxPublished != nil {
		opts.flags |= C.KVOL_SET_MAX_PUBLISHED
		opts.max_published = C.uint64_t(*o.MaxPublished)
	}
	if o.Overcommit != nil {
		opts.flags |= C.KVOL_SET_OVERCOMMIT
		opts.overcommit = C.uint64_t(*o.Overcommit)
	}
	if o.PublishFlags != nil {
		opts.flags |= C.KVOL_SET_PUBLISH_FLAGS
		opts.publish_flags = C.uint64_t(*o.PublishFlags)
	}
	return p.call(func(_ *arena, e *C.struct_kvol_error) C.int { return C.kvol_pool_set(p.c, &opts, e) })
}
