// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"errors"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

// Ephemeral inline volumes: made when they are published, with a label that says so, and deleted when they
// are unpublished. Killed in between, the driver finds by the label what is to go at the next unpublish,
// which Kubernetes repeats until it succeeds.

// inline are the attributes of such a volume: "size", and what a storage class has.
func (d *Driver) inline(r *csi.NodePublishVolumeRequest) (uint64, kvol.CreateOptions, error) {
	var o kvol.CreateOptions
	size := &csi.CapacityRange{}
	fixed := map[string]string{}
	for key, value := range r.GetVolumeContext() {
		if key == "size" {
			n, err := quantity(value)
			if err != nil {
				return 0, o, invalid("attribute size: %v", err)
			}
			size.RequiredBytes = n
		} else if !strings.HasPrefix(key, kubePrefix) {
			fixed[key] = value
		}
	}
	p, err := parse(fixed, nil)
	if err != nil {
		return 0, o, err
	}
	secret := secretOf(r.GetSecrets())
	if err := p.checkSecret(secret); err != nil {
		return 0, o, err
	}
	bytes, err := sizeFor(size, 0)
	if err != nil {
		return 0, o, err
	}
	p.labels[ephemeral] = "true"
	o = kvol.CreateOptions{FSType: p.fsType, Labels: p.labels, Secret: secret}
	if fs := r.GetVolumeCapability().GetMount().GetFsType(); fs != "" {
		o.FSType = fs
	}
	if o.FSType == "" {
		o.FSType = d.DefaultFS
	}
	return bytes, o, nil
}

func (d *Driver) publishEphemeral(r *csi.NodePublishVolumeRequest, o *kvol.PublishOptions) error {
	if o.Block {
		return invalid("an ephemeral volume is mounted")
	}
	name := r.GetVolumeId()
	if idOf(name) != name {
		return invalid("volume id %q: not one for an ephemeral volume", name)
	}
	bytes, create, err := d.inline(r)
	if err != nil {
		return err
	}
	if err = d.pool.Create(name, bytes, &create); err != nil {
		return failure(err)
	}
	// One of this name that was there is a repeat's, or somebody's that must not go with the pod.
	if mine, err := d.isEphemeral(name); err != nil {
		return failure(err)
	} else if !mine {
		return status.Errorf(codes.AlreadyExists, "volume %q is there, and not ephemeral", name)
	}
	if err = d.publish(name, r.GetTargetPath(), o); err != nil {
		if e := d.deleteEphemeral(name); e != nil {
			d.log.Warn("a refused publish leaves its ephemeral volume", "volume", name, "error", e)
		}
	}
	return err
}

func (d *Driver) isEphemeral(name string) (bool, error) {
	_, err := d.pool.Label(name, ephemeral)
	if errors.Is(err, kvol.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// deleteEphemeral is called once a volume is unpublished; one that is published elsewhere stays.
func (d *Driver) deleteEphemeral(name string) error {
	if mine, err := d.isEphemeral(name); err != nil || !mine {
		return failure(err)
	}
	err := d.pool.Delete(name)
	if errors.Is(err, kvol.ErrBusyPublished) {
		return nil
	}
	return failure(err)
}
