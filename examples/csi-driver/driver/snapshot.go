// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"errors"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kvol.local/kvol"
)

func csiSnapshot(info *kvol.Info) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId:     strings.TrimPrefix(info.Name, snapshotPrefix),
		SourceVolumeId: info.Source,
		SizeBytes:      int64(info.Bytes),
		CreationTime:   timestamppb.New(info.Created),
		ReadyToUse:     true,
	}
}

func (d *Driver) CreateSnapshot(_ context.Context, r *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if r.GetName() == "" {
		return nil, missing("name")
	}
	if r.GetSourceVolumeId() == "" {
		return nil, missing("source volume id")
	}
	p, err := parse(r.GetParameters(), nil)
	if err != nil {
		return nil, err
	}
	if p.fsType != "" || p.encrypted != nil {
		return nil, invalid("fsType and encrypted are no parameters of snapshots")
	}
	id := idOf(r.GetName())
	keepName(p.labels, id, r.GetName())
	// The snapshot first: it outlives its source, and then a repeat is to find it.
	info, err := d.snapshot(id)
	if isNotFound(err) {
		if _, err = d.volume(r.GetSourceVolumeId()); err != nil {
			return nil, err
		}
		err = d.pool.Snapshot(r.GetSourceVolumeId(), snapshotPrefix+id, p.labels)
		if err == nil || errors.Is(err, kvol.ErrExistsDifferent) {
			info, err = d.snapshot(id)
		}
	}
	if err != nil {
		return nil, failure(err)
	}
	if info.Source != r.GetSourceVolumeId() {
		return nil, status.Errorf(codes.AlreadyExists, "snapshot %q is there, and of volume %q", id, info.Source)
	}
	return &csi.CreateSnapshotResponse{Snapshot: csiSnapshot(&info)}, nil
}

func (d *Driver) DeleteSnapshot(_ context.Context, r *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	if r.GetSnapshotId() == "" {
		return nil, missing("snapshot id")
	}
	info, err := d.snapshot(r.GetSnapshotId())
	if err == nil {
		err = failure(d.pool.Delete(info.Name))
	}
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

func (d *Driver) GetSnapshot(_ context.Context, r *csi.GetSnapshotRequest) (*csi.GetSnapshotResponse, error) {
	if r.GetSnapshotId() == "" {
		return nil, missing("snapshot id")
	}
	info, err := d.snapshot(r.GetSnapshotId())
	if err != nil {
		return nil, err
	}
	return &csi.GetSnapshotResponse{Snapshot: csiSnapshot(&info)}, nil
}
