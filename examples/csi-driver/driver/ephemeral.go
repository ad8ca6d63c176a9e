// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"maps"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"kvol.local/kvol"
)

// Ephemeral inline volumes are the library's: made by their publish, deleted by their unpublish, and when
// neither comes, after a reboot, by the next opening of the pool.

// inline are the attributes of such a volume: "size", and what a storage class has. Its labels are those of
// its publish: they end together.
func (d *Driver) inline(r *csi.NodePublishVolumeRequest) (*kvol.Ephemeral, map[string]string, error) {
	size := &csi.CapacityRange{}
	fixed := map[string]string{}
	for key, value := range r.GetVolumeContext() {
		if key == "size" {
			n, err := quantity(value)
			if err != nil {
				return nil, nil, invalid("attribute size: %v", err)
			}
			size.RequiredBytes = n
		} else if !strings.HasPrefix(key, kubePrefix) {
			fixed[key] = value
		}
	}
	p, err := parse(fixed, nil)
	if err != nil {
		return nil, nil, err
	}
	if err = p.checkSecret(secretOf(r.GetSecrets())); err != nil {
		return nil, nil, err
	}
	e := &kvol.Ephemeral{FSType: r.GetVolumeCapability().GetMount().GetFsType()}
	if e.FSType == "" {
		e.FSType = p.fsType
	}
	if e.FSType == "" {
		e.FSType = d.DefaultFS
	}
	e.Bytes, err = sizeFor(size, 0)
	return e, p.labels, err
}

func (d *Driver) publishEphemeral(r *csi.NodePublishVolumeRequest, o *kvol.PublishOptions) error {
	if o.Block {
		return invalid("an ephemeral volume is mounted")
	}
	if idOf(r.GetVolumeId()) != r.GetVolumeId() {
		return invalid("volume id %q: not one for an ephemeral volume", r.GetVolumeId())
	}
	e, labels, err := d.inline(r)
	if err != nil {
		return err
	}
	o.Ephemeral = e
	maps.Copy(o.Labels, labels)
	return d.publish(r.GetVolumeId(), r.GetTargetPath(), o)
}
