// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	r := &csi.NodeGetCapabilitiesResponse{}
	for _, t := range append([]csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
		csi.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP,
	}, nodeHealth...) {
		r.Capabilities = append(r.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}},
		})
	}
	return r, nil
}

func (d *Driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	info, err := d.pool.Info()
	if err != nil {
		return nil, failure(err)
	}
	return &csi.NodeGetInfoResponse{
		NodeId:             d.NodeID,
		MaxVolumesPerNode:  int64(min(info.MaxPublished, math.MaxInt64)), // 0: no limit, in both
		AccessibleTopology: d.topology(),
	}, nil
}

// NodeStageVolume is a look at the volume, and nothing else: the library publishes a volume at each of its
// targets out of itself, so there is nothing to prepare for all of them. What cannot be published is told
// here already.
func (d *Driver) NodeStageVolume(_ context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if r.GetStagingTargetPath() == "" {
		return nil, missing("staging target path")
	}
	if _, err := d.publishable(r.GetVolumeId(), r.GetVolumeCapability()); err != nil {
		return nil, err
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

func (d *Driver) NodeUnstageVolume(_ context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if r.GetStagingTargetPath() == "" {
		return nil, missing("staging target path")
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

func (d *Driver) publishable(id string, c *csi.VolumeCapability) (kvol.Info, error) {
	if err := wellFormed(c); err != nil {
		return kvol.Info{}, err
	}
	info, err := d.volume(id)
	if err != nil {
		return info, err
	}
	if why := unfit(&info, c); why != "" {
		return info, invalid("%s", why)
	}
	return info, nil
}

func wellFormed(c *csi.VolumeCapability) error {
	if err := malformed(c); err != nil {
		return err
	}
	if why := unsupported([]*csi.VolumeCapability{c}); why != "" {
		return invalid("%s", why)
	}
	return nil
}

func (d *Driver) NodePublishVolume(_ context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	switch {
	case r.GetVolumeId() == "":
		return nil, missing("volume id")
	case r.GetTargetPath() == "":
		return nil, missing("target path")
	}
	if err := wellFormed(r.GetVolumeCapability()); err != nil {
		return nil, err
	}
	o, err := d.publishOptions(r)
	if err != nil {
		return nil, err
	}
	if r.GetVolumeContext()[isEphemeral] == "true" {
		return &csi.NodePublishVolumeResponse{}, d.publishEphemeral(r, o)
	}
	if r.GetStagingTargetPath() == "" {
		return nil, status.Error(codes.FailedPrecondition, "staging target path is missing: the volume is not staged")
	}
	info, err := d.publishable(r.GetVolumeId(), r.GetVolumeCapability())
	if err != nil {
		return nil, err
	}
	if err = d.publish(info.Name, r.GetTargetPath(), o); err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *Driver) publishOptions(r *csi.NodePublishVolumeRequest) (*kvol.PublishOptions, error) {
	c := r.GetVolumeCapability()
	w := ways[c.GetAccessMode().GetMode()]
	labels, err := podLabels(r.GetVolumeContext())
	if err != nil {
		return nil, err
	}
	o := &kvol.PublishOptions{
		Block:          c.GetBlock() != nil,
		ReadOnly:       r.GetReadonly() || w.readOnly,
		Access:         w.access,
		MountOptions:   strings.Join(c.GetMount().GetMountFlags(), ","),
		MountNamespace: d.MountNamespace,
		Labels:         labels,
		Secret:         secretOf(r.GetSecrets()),
	}
	if text := c.GetMount().GetVolumeMountGroup(); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, invalid("volume mount group %q: not a number of a group", text)
		}
		group := uint32(n)
		if !o.ReadOnly { // there nothing can be changed
			o.Group = &group
		}
	}
	return o, nil
}

// publish makes the target and has the library publish there. A refused publish leaves no target.
func (d *Driver) publish(name, target string, o *kvol.PublishOptions) error {
	made, err := makeTarget(target, o.Block)
	if err != nil {
		return failure(err)
	}
	if err = d.pool.Publish(name, target, o); err != nil && made {
		if e := removeTarget(target); e != nil {
			d.log.Warn("a refused publish leaves its target", "target", target, "error", e)
		}
	}
	return failure(err)
}

func (d *Driver) NodeUnpublishVolume(_ context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if r.GetTargetPath() == "" {
		return nil, missing("target path")
	}
	// Of a volume that is not there nothing is published; only the target may be left.
	info, err := d.volume(r.GetVolumeId())
	if err == nil {
		err = failure(d.pool.Unpublish(info.Name, r.GetTargetPath(), d.MountNamespace))
	}
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	if err := removeTarget(r.GetTargetPath()); err != nil {
		return nil, failure(err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func (d *Driver) NodeExpandVolume(_ context.Context, r *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if r.GetVolumePath() == "" {
		return nil, missing("volume path")
	}
	bytes, err := d.expand(r.GetVolumeId(), r.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: bytes}, nil
}
