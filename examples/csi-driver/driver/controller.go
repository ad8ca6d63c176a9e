// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"errors"
	"math"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"kvol.local/kvol"
)

func (d *Driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	r := &csi.ControllerGetCapabilitiesResponse{}
	for _, t := range d.controllerCapabilities() {
		r.Capabilities = append(r.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}},
		})
	}
	return r, nil
}

func (d *Driver) controllerCapabilities() []csi.ControllerServiceCapability_RPC_Type {
	list := []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES_PUBLISHED_NODES,
		csi.ControllerServiceCapability_RPC_GET_CAPACITY,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_GET_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_GET_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
		csi.ControllerServiceCapability_RPC_MODIFY_VOLUME,
	}
	list = append(list, controllerHealth...)
	if !d.ExpandOnNode {
		list = append(list, csi.ControllerServiceCapability_RPC_EXPAND_VOLUME)
	}
	return list
}

func (d *Driver) DeleteVolume(_ context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	info, err := d.volume(r.GetVolumeId())
	if err == nil {
		err = failure(d.pool.Delete(info.Name))
	}
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, nil
}

func (d *Driver) ValidateVolumeCapabilities(_ context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if err := malformed(r.GetVolumeCapabilities()...); err != nil {
		return nil, err
	}
	info, err := d.volume(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	why := unsupported(r.GetVolumeCapabilities())
	for _, c := range r.GetVolumeCapabilities() {
		if why == "" {
			why = unfit(&info, c)
		}
	}
	for _, check := range []map[string]string{r.GetParameters(), r.GetMutableParameters()} {
		if _, err := parse(check, nil); err != nil && why == "" {
			why = status.Convert(err).Message()
		}
	}
	if why != "" {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: why}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
			VolumeContext:      r.GetVolumeContext(),
			VolumeCapabilities: r.GetVolumeCapabilities(),
			Parameters:         r.GetParameters(),
			MutableParameters:  r.GetMutableParameters(),
		},
	}, nil
}

func (d *Driver) GetCapacity(_ context.Context, r *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	list := r.GetVolumeCapabilities()
	if len(list) > 0 {
		if err := malformed(list...); err != nil {
			return nil, err
		}
	}
	if r.GetAccessibleTopology() != nil && !d.here(r.GetAccessibleTopology()) || unsupported(list) != "" {
		return &csi.GetCapacityResponse{}, nil
	}
	info, err := d.pool.Info()
	if err != nil {
		return nil, failure(err)
	}
	return &csi.GetCapacityResponse{
		AvailableCapacity: int64(min(info.Capacity, math.MaxInt64)),
		MaximumVolumeSize: wrapperspb.Int64(int64(min(info.LargestVolume, math.MaxInt64))),
	}, nil
}

// expand is the controller's and the node's: the library grows the device and what is on it, whoever asks.
func (d *Driver) expand(id string, size *csi.CapacityRange) (int64, error) {
	info, err := d.volume(id)
	if err != nil {
		return 0, err
	}
	want := info.Bytes // what a crash left half grown is finished
	if size.GetRequiredBytes() > 0 || size.GetLimitBytes() > 0 {
		w, err := sizeFor(size, info.Bytes)
		if err != nil {
			return 0, err
		}
		want = w
	}
	if err = d.pool.Expand(info.Name, want); err != nil {
		if errors.Is(err, kvol.ErrInvalid) {
			return 0, status.Error(codes.OutOfRange, err.Error())
		}
		return 0, failure(err)
	}
	info, err = d.volume(id)
	return int64(info.Bytes), err
}

func (d *Driver) ControllerExpandVolume(_ context.Context, r *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if r.GetCapacityRange() == nil {
		return nil, missing("capacity range")
	}
	bytes, err := d.expand(r.GetVolumeId(), r.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: bytes}, nil
}

func (d *Driver) ControllerModifyVolume(_ context.Context, r *csi.ControllerModifyVolumeRequest) (*csi.ControllerModifyVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	set, remove, err := mutableLabels(r.GetMutableParameters())
	if err != nil {
		return nil, err
	}
	info, err := d.volume(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if len(set)+len(remove) > 0 {
		if err := d.pool.SetLabels(info.Name, set, remove...); err != nil {
			return nil, failure(err)
		}
	}
	return &csi.ControllerModifyVolumeResponse{}, nil
}
