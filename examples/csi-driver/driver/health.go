// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build csi_1_13

package driver

import (
	"context"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"kvol.local/kvol"
)

// From version 1.13 of the specification on health is asked for by calls of its own, which are alpha.

var (
	controllerHealth = []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_GET_VOLUME_HEALTH,
		csi.ControllerServiceCapability_RPC_LIST_VOLUME_HEALTH,
	}
	nodeHealth = []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_GET_VOLUME_HEALTH,
		csi.NodeServiceCapability_RPC_GET_STORAGE_HEALTH,
	}
)

func tellListed(*csi.ListVolumesResponse_VolumeStatus, *kvol.VolumeStats)         {}
func tellVolume(*csi.ControllerGetVolumeResponse_VolumeStatus, *kvol.VolumeStats) {}
func tellStats(*csi.NodeGetVolumeStatsResponse, *kvol.VolumeStats)                {}

type ailment struct {
	status csi.VolumeHealthErrorType
	reason string
}

var ailments = map[kvol.Condition]ailment{
	kvol.ConditionNoSpace:     {csi.VolumeHealthErrorType_DEGRADED, "PoolOutOfSpace"},
	kvol.ConditionFSError:     {csi.VolumeHealthErrorType_DEGRADED, "FileSystemErrors"},
	kvol.ConditionReadOnly:    {csi.VolumeHealthErrorType_DEGRADED, "ReadOnly"},
	kvol.ConditionDeviceError: {csi.VolumeHealthErrorType_INACCESSIBLE, "DeviceFailed"},
}

func (d *Driver) health(id, name string) (*csi.VolumeHealth, error) {
	s, err := d.pool.VolumeStat(name)
	if err != nil {
		return nil, failure(err)
	}
	h := &csi.VolumeHealth{VolumeId: id}
	if s.Condition != kvol.ConditionOK {
		known, ok := ailments[s.Condition]
		if !ok { // of a newer library
			known = ailment{csi.VolumeHealthErrorType_DEGRADED, "Abnormal"}
		}
		e := &csi.VolumeHealth_VolumeHealthEntry{Status: known.status, Reason: known.reason, Message: s.Message}
		h.HealthStatuses = append(h.HealthStatuses, e)
	}
	return h, nil
}

func (d *Driver) healthOf(id string) (*csi.VolumeHealth, error) {
	if id == "" {
		return nil, missing("volume id")
	}
	info, err := d.volume(id)
	if err != nil {
		return nil, err
	}
	return d.health(id, info.Name)
}

func (d *Driver) ControllerGetVolumeHealth(_ context.Context, r *csi.ControllerGetVolumeHealthRequest) (*csi.ControllerGetVolumeHealthResponse, error) {
	h, err := d.healthOf(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeHealthResponse{VolumeHealth: h}, nil
}

// ControllerListVolumeHealth tells of what is not well only. A page is one of volumes: it may hold fewer of
// these than asked for, and none, and still have a next one.
func (d *Driver) ControllerListVolumeHealth(_ context.Context, r *csi.ControllerListVolumeHealthRequest) (*csi.ControllerListVolumeHealthResponse, error) {
	list, token, err := d.page(kvol.ListOptions{Volumes: true}, r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	answer := &csi.ControllerListVolumeHealthResponse{NextToken: token}
	for i := range list {
		h, err := d.health(list[i].Name, list[i].Name)
		if isNotFound(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if len(h.GetHealthStatuses()) > 0 {
			answer.Entries = append(answer.Entries, h)
		}
	}
	return answer, nil
}

func (d *Driver) NodeGetVolumeHealth(_ context.Context, r *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	for _, path := range []string{r.GetVolumePublishPath(), r.GetStagingTargetPath()} {
		if path != "" && !filepath.IsAbs(path) {
			return nil, invalid("path %q: not an absolute one", path)
		}
	}
	h, err := d.healthOf(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: h}, nil
}

// NodeGetStorageHealth: the node's storage is its pool.
func (d *Driver) NodeGetStorageHealth(context.Context, *csi.NodeGetStorageHealthRequest) (*csi.NodeGetStorageHealthResponse, error) {
	answer := &csi.NodeGetStorageHealthResponse{}
	add := func(reason, message string) {
		answer.BackendHealth = append(answer.BackendHealth, &csi.NodeGetStorageHealthResponse_StorageBackendHealth{
			Status: csi.StorageHealthErrorType_STORAGE_DEGRADED, Reason: reason, Message: message,
		})
	}
	info, err := d.pool.Info()
	if err != nil {
		return nil, failure(err)
	}
	if info.Flags&(kvol.PoolReadOnly|kvol.PoolAudit|kvol.PoolNeedsCheck) != 0 {
		add("PoolReadOnly", "the pool takes no changes")
	}
	if info.Flags&(kvol.PoolOutOfData|kvol.PoolOutOfMetadata) != 0 {
		add("PoolOutOfSpace", "the pool is out of space")
	} else if info.Flags&(kvol.PoolLowData|kvol.PoolLowMetadata) != 0 {
		add("PoolLow", "the pool is below its reserve: nothing new is made")
	}
	return answer, nil
}
