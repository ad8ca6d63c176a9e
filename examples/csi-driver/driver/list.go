// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

// A token is the name that a page ended with: the next one begins behind it, whether it is still there.
const tokenPrefix = "v1:"

func tokenOf(name string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + name))
}

// page lists what the options ask for, and tells the token of what is left.
func (d *Driver) page(o kvol.ListOptions, token string, most int32) ([]kvol.Info, string, error) {
	if most < 0 {
		return nil, "", invalid("max_entries is negative")
	}
	if token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		after, ok := strings.CutPrefix(string(text), tokenPrefix)
		if err != nil || !ok || !usable(strings.TrimPrefix(after, snapshotPrefix)) {
			return nil, "", status.Errorf(codes.Aborted, "the starting token %q is none of this driver's", token)
		}
		o.After = after
	}
	if most > 0 {
		o.Limit = uint64(most) + 1
	}
	list, err := d.pool.List(&o)
	if err != nil {
		return nil, "", failure(err)
	}
	if most > 0 && len(list) > int(most) {
		list = list[:most]
		return list, tokenOf(list[most-1].Name), nil
	}
	return list, "", nil
}

func (d *Driver) csiVolume(info *kvol.Info) *csi.Volume {
	v := &csi.Volume{
		VolumeId:           info.Name,
		CapacityBytes:      int64(info.Bytes),
		AccessibleTopology: []*csi.Topology{d.topology()},
	}
	if id, ok := strings.CutPrefix(info.Source, snapshotPrefix); ok {
		v.ContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id},
		}}
	} else if info.Source != "" {
		v.ContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
			Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: info.Source},
		}}
	}
	return v
}

// The one node, if it has the volume.
func (d *Driver) nodesOf(info *kvol.Info) []string {
	if info.Targets == 0 {
		return nil
	}
	return []string{d.NodeID}
}

// ListVolumes tells of all that are in the pool, whoever made them.
func (d *Driver) ListVolumes(_ context.Context, r *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	list, token, err := d.page(kvol.ListOptions{Volumes: true}, r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	answer := &csi.ListVolumesResponse{NextToken: token}
	for i := range list {
		info := &list[i]
		stats, err := d.pool.VolumeStat(info.Name)
		if errors.Is(err, kvol.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, failure(err)
		}
		status := &csi.ListVolumesResponse_VolumeStatus{PublishedNodeIds: d.nodesOf(info)}
		tellListed(status, &stats)
		answer.Entries = append(answer.Entries, &csi.ListVolumesResponse_Entry{Volume: d.csiVolume(info), Status: status})
	}
	return answer, nil
}

func (d *Driver) ControllerGetVolume(_ context.Context, r *csi.ControllerGetVolumeRequest) (*csi.ControllerGetVolumeResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	info, err := d.volume(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	stats, err := d.pool.VolumeStat(info.Name)
	if err != nil {
		return nil, failure(err)
	}
	status := &csi.ControllerGetVolumeResponse_VolumeStatus{PublishedNodeIds: d.nodesOf(&info)}
	tellVolume(status, &stats)
	return &csi.ControllerGetVolumeResponse{Volume: d.csiVolume(&info), Status: status}, nil
}

// ListSnapshots tells of those with the driver's prefix: others have no id.
func (d *Driver) ListSnapshots(_ context.Context, r *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	if id := r.GetSnapshotId(); id != "" {
		return d.listOneSnapshot(id, r.GetSourceVolumeId())
	}
	options := kvol.ListOptions{Snapshots: true, Source: r.GetSourceVolumeId(), After: snapshotPrefix}
	if s := r.GetSourceVolumeId(); s != "" && !usable(s) {
		return &csi.ListSnapshotsResponse{}, nil
	}
	list, token, err := d.page(options, r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	answer := &csi.ListSnapshotsResponse{NextToken: token}
	for i := range list {
		// By name: behind the first that lacks the prefix, all do.
		if !strings.HasPrefix(list[i].Name, snapshotPrefix) {
			answer.NextToken = ""
			break
		}
		answer.Entries = append(answer.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: csiSnapshot(&list[i])})
	}
	return answer, nil
}

func (d *Driver) listOneSnapshot(id, source string) (*csi.ListSnapshotsResponse, error) {
	info, err := d.snapshot(id)
	if isNotFound(err) || err == nil && source != "" && source != info.Source {
		return &csi.ListSnapshotsResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &csi.ListSnapshotsResponse{
		Entries: []*csi.ListSnapshotsResponse_Entry{{Snapshot: csiSnapshot(&info)}},
	}, nil
}
