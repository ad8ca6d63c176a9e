// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"errors"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

// A creation is what a CreateVolume asks for, once it is understood.
type creation struct {
	id      string
	bytes   uint64
	size    *csi.CapacityRange
	source  string // in the pool; "": blank
	mount   bool
	fs      string // asked for; "": whatever there is
	options kvol.CreateOptions
}

func (d *Driver) CreateVolume(_ context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	c, err := d.newCreation(r)
	if err != nil {
		return nil, err
	}
	info, err := d.pool.Stat(c.id)
	if errors.Is(err, kvol.ErrNotFound) {
		if err = d.create(c, r.GetVolumeContentSource()); err == nil {
			info, err = d.pool.Stat(c.id)
		}
	}
	if err != nil {
		return nil, failure(err)
	}
	if why := c.differs(&info); why != "" {
		return nil, status.Errorf(codes.AlreadyExists, "volume %q is there, and %s", c.id, why)
	}
	return &csi.CreateVolumeResponse{Volume: d.csiVolume(&info)}, nil
}

// Arguments are judged before it is asked what there is.
func (d *Driver) newCreation(r *csi.CreateVolumeRequest) (*creation, error) {
	if r.GetName() == "" {
		return nil, missing("name")
	}
	list := r.GetVolumeCapabilities()
	if err := malformed(list...); err != nil {
		return nil, err
	}
	if why := unsupported(list); why != "" {
		return nil, invalid("%s", why)
	}
	p, err := parse(r.GetParameters(), r.GetMutableParameters())
	if err != nil {
		return nil, err
	}
	secret := secretOf(r.GetSecrets())
	if err = p.checkSecret(secret); err != nil {
		return nil, err
	}
	if _, err = sizeFor(r.GetCapacityRange(), 0); err != nil {
		return nil, err
	}
	if !d.reachable(r.GetAccessibilityRequirements()) {
		return nil, status.Errorf(codes.ResourceExhausted, "the pool is on node %q, which is not in the topology asked for", d.NodeID)
	}
	c := &creation{id: idOf(r.GetName()), size: r.GetCapacityRange()}
	c.mount, c.fs = wants(list)
	if c.mount && c.fs == "" {
		c.fs = p.fsType
	}
	c.options = kvol.CreateOptions{Labels: p.labels, Secret: secret}
	keepName(p.labels, c.id, r.GetName())
	switch s := r.GetVolumeContentSource(); {
	case s == nil:
	case s.GetSnapshot() != nil:
		c.source = snapshotPrefix + s.GetSnapshot().GetSnapshotId()
	case s.GetVolume() != nil:
		c.source = s.GetVolume().GetVolumeId()
	default:
		return nil, missing("the volume content source's type")
	}
	return c, nil
}

// differs tells in what a volume is not the one asked for; "": it is.
func (c *creation) differs(info *kvol.Info) string {
	size, err := sizeFor(c.size, info.Bytes)
	switch {
	case info.Kind != kvol.KindVolume:
		return "is a snapshot"
	case err != nil || size != info.Bytes:
		return "has another size"
	case info.Source != c.source:
		return "has another content source"
	case c.mount && info.FSType == "":
		return "is a raw one"
	case c.mount && c.fs != "" && c.fs != info.FSType:
		return "has another file system"
	case !c.mount && info.FSType != "" && c.source == "":
		return "has a file system"
	case c.options.Secret != nil != info.Encrypted && c.source == "":
		return "differs in being encrypted"
	}
	return ""
}

func (d *Driver) create(c *creation, source *csi.VolumeContentSource) (err error) {
	if c.source != "" {
		return d.clone(c, source)
	}
	if c.bytes, err = sizeFor(c.size, 0); err != nil {
		return err
	}
	if c.mount {
		c.options.FSType = c.fs
		if c.fs == "" {
			c.options.FSType = d.DefaultFS
		}
	}
	return created(d.pool.Create(c.id, c.bytes, &c.options))
}

func (d *Driver) clone(c *creation, source *csi.VolumeContentSource) error {
	var from kvol.Info
	var err error
	if source.GetSnapshot() != nil {
		from, err = d.snapshot(source.GetSnapshot().GetSnapshotId())
	} else {
		from, err = d.volume(source.GetVolume().GetVolumeId())
	}
	if err != nil {
		return err
	}
	switch {
	case c.mount && from.FSType == "":
		return invalid("the source has no file system, and the volume is to be mounted")
	case c.mount && c.fs != "" && c.fs != from.FSType:
		return invalid("the source has %s, not %s", from.FSType, c.fs)
	case c.options.Secret != nil && !from.Encrypted:
		return invalid("the source is not encrypted, and the volume is to be")
	}
	if c.bytes, err = sizeFor(c.size, from.Bytes); err != nil {
		return err
	}
	c.options.Bytes = c.bytes
	c.options.Secret = nil // it is the source's
	return created(d.pool.Clone(from.Name, c.id, &c.options))
}

// Names and labels were looked at before: what the library takes for invalid by now is a size that the file
// system cannot have. Who lost a race looks at what there is.
func created(err error) error {
	switch {
	case errors.Is(err, kvol.ErrExistsDifferent):
		return nil
	case errors.Is(err, kvol.ErrInvalid):
		return status.Error(codes.OutOfRange, err.Error())
	}
	return failure(err)
}
