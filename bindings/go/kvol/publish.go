// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

// Access says which other publishes of the volume one goes with.
type Access uint32

const (
	AccessAny          = Access(C.KVOL_ACCESS_ANY)
	AccessSingleWriter = Access(C.KVOL_ACCESS_SINGLE_WRITER)
	AccessMultiWriter  = Access(C.KVOL_ACCESS_MULTI_WRITER)
	AccessReader       = Access(C.KVOL_ACCESS_READER)
)

// Propagation says where mounts below the published one show up.
type Propagation uint32

const (
	PropagationDefault = Propagation(C.KVOL_PROPAGATION_DEFAULT)
	PropagationPrivate = Propagation(C.KVOL_PROPAGATION_PRIVATE)
	PropagationSlave   = Propagation(C.KVOL_PROPAGATION_SLAVE)
	PropagationShared  = Propagation(C.KVOL_PROPAGATION_SHARED)
)

// PublishOptions are struct kvol_publish_opts.
type PublishOptions struct {
	ReadOnly       bool    // KVOL_PUBLISH_READONLY
	Block          bool    // KVOL_PUBLISH_BLOCK
	Group          *uint32 // KVOL_PUBLISH_GROUP and the group
	MountOptions   string
	MountNamespace string
	Access         Access
	Propagation    Propagation
	UserNamespace  string
	UIDMap         string
	GIDMap         string
	Labels         map[string]string
	Secret         []byte
	Ephemeral      *Ephemeral // makes the volume if it is not there; nil: it is
}

// Ephemeral is struct kvol_ephemeral_opts: what a volume is made of that goes with its last publish.
type Ephemeral struct {
	Bytes  uint64
	FSType string
	Source string // a clone of this volume or snapshot; "": new
}

func (o *PublishOptions) fill(a *arena, c *C.struct_kvol_publish_opts) {
	c.size = C.sizeof_struct_kvol_publish_opts
	if o == nil {
		return
	}
	c.flags = flag(o.ReadOnly, C.KVOL_PUBLISH_READONLY) | flag(o.Block, C.KVOL_PUBLISH_BLOCK)
	if o.Group != nil {
		c.flags |= C.KVOL_PUBLISH_GROUP
		c.group = C.uint32_t(*o.Group)
	}
	c.mount_options = a.str(o.MountOptions)
	c.mount_namespace = a.str(o.MountNamespace)
	c.access = C.uint32_t(o.Access)
	c.propagation = C.uint32_t(o.Propagation)
	c.user_namespace = a.str(o.UserNamespace)
	c.uid_map = a.str(o.UIDMap)
	c.gid_map = a.str(o.GIDMap)
	c.labels, c.n_labels = a.labels(o.Labels, nil)
	c.secret, c.secret_bytes = a.secret(o.Secret)
	if o.Ephemeral != nil {
		c.ephemeral = o.Ephemeral.inC(a)
	}
}

func (e *Ephemeral) inC(a *arena) *C.struct_kvol_ephemeral_opts {
	c := (*C.struct_kvol_ephemeral_opts)(a.alloc(1, C.sizeof_struct_kvol_ephemeral_opts))
	c.size = C.sizeof_struct_kvol_ephemeral_opts
	c.bytes = C.uint64_t(e.Bytes)
	c.fs_type = a.str(e.FSType)
	c.source = a.str(e.Source)
	return c
}

// Publish makes a volume appear at an existing target.
func (p *Pool) Publish(name, target string, o *PublishOptions) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var opts C.struct_kvol_publish_opts
		o.fill(a, &opts)
		cname, ctarget := a.must(name), a.must(target)
		return a.run(func() C.int { return C.kvol_publish(p.c, cname, ctarget, &opts, e) })
	})
}

// Unpublish takes a volume away from a target, in a mount namespace ("": the caller's).
func (p *Pool) Unpublish(name, target, mountNamespace string) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		opts := C.struct_kvol_publish_opts{
			size:            C.sizeof_struct_kvol_publish_opts,
			mount_namespace: a.str(mountNamespace),
		}
		cname, ctarget := a.must(name), a.must(target)
		return a.run(func() C.int { return C.kvol_unpublish(p.c, cname, ctarget, &opts, e) })
	})
}

// Publication is struct kvol_publish_info.
type Publication struct {
	ReadOnly       bool
	Block          bool
	Group          bool
	Volume         string
	Target         string // "": its record is damaged
	MountNamespace string
	Labels         map[string]string
	Major          uint32 // of the device that was published; 0: it is not active
	Minor          uint32
}

// Publications are those of a volume, or with the name "" of the pool, on this host.
func (p *Pool) Publications(name string) ([]Publication, error) {
	var list []Publication
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var iter *C.struct_kvol_publish_iter
		cname := a.str(name)
		r := a.run(func() C.int { return C.kvol_publish_list(p.c, cname, &iter, e) })
		if r < 0 || a.err != nil {
			return r
		}
		defer C.kvol_publish_iter_free(iter)
		for {
			i := C.struct_kvol_publish_info{size: C.sizeof_struct_kvol_publish_info}
			r = C.kvol_publish_iter_next(iter, &i)
			if r <= 0 {
				a.err = iterResult("list publishes", r)
				return r
			}
			list = append(list, Publication{
				ReadOnly:       i.flags&C.KVOL_PUBLISH_READONLY != 0,
				Block:          i.flags&C.KVOL_PUBLISH_BLOCK != 0,
				Group:          i.flags&C.KVOL_PUBLISH_GROUP != 0,
				Volume:         C.GoString(i.volume),
				Target:         C.GoString(i.target),
				MountNamespace: C.GoString(i.mount_namespace),
				Labels:         goLabels(i.labels, i.n_labels),
				Major:          uint32(i.dev_major),
				Minor:          uint32(i.dev_minor),
			})
		}
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// IOLimits are struct kvol_io_limits; 0 is no limit.
type IOLimits struct {
	ReadBPS   uint64
	WriteBPS  uint64
	ReadIOPS  uint64
	WriteIOPS uint64
}

// LimitIO limits what a cgroup reads from and writes to a published volume; nil: no limits.
func (p *Pool) LimitIO(name, cgroup string, limits *IOLimits) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var l *C.struct_kvol_io_limits
		if limits != nil {
			l = &C.struct_kvol_io_limits{
				size:       C.sizeof_struct_kvol_io_limits,
				read_bps:   C.uint64_t(limits.ReadBPS),
				write_bps:  C.uint64_t(limits.WriteBPS),
				read_iops:  C.uint64_t(limits.ReadIOPS),
				write_iops: C.uint64_t(limits.WriteIOPS),
			}
		}
		cname, ccgroup := a.must(name), a.must(cgroup)
		return a.run(func() C.int { return C.kvol_limit_io(p.c, cname, ccgroup, l, e) })
	})
}
