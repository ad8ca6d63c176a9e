// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"kvol.local/kvol"
)

func (d *Driver) NodeGetVolumeStats(_ context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	if r.GetVolumeId() == "" {
		return nil, missing("volume id")
	}
	if r.GetVolumePath() == "" {
		return nil, missing("volume path")
	}
	info, err := d.volume(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	list, err := d.pool.Publications(info.Name)
	if err != nil {
		return nil, failure(err)
	}
	path := filepath.Clean(r.GetVolumePath())
	i := slices.IndexFunc(list, func(p kvol.Publication) bool { return filepath.Clean(p.Target) == path })
	if i < 0 {
		return nil, notFound("volume "+r.GetVolumeId()+" at", path)
	}
	s, err := d.pool.VolumeStat(info.Name)
	if err != nil {
		return nil, failure(err)
	}
	answer := &csi.NodeGetVolumeStatsResponse{Usage: usage(&info, &s, list[i].Block)}
	tellStats(answer, &s)
	return answer, nil
}

// What the file system says of itself, or for a device what of it has been written.
func usage(info *kvol.Info, s *kvol.VolumeStats, block bool) []*csi.VolumeUsage {
	if block || !s.FS {
		used := min(s.Allocated, info.Bytes)
		return []*csi.VolumeUsage{{
			Unit:      csi.VolumeUsage_BYTES,
			Total:     int64(info.Bytes),
			Used:      int64(used),
			Available: int64(info.Bytes - used),
		}}
	}
	list := []*csi.VolumeUsage{{
		Unit:      csi.VolumeUsage_BYTES,
		Total:     int64(s.FSBytes),
		Used:      int64(s.FSUsed),
		Available: int64(s.FSAvailable),
	}}
	if s.Inodes > 0 {
		list = append(list, &csi.VolumeUsage{
			Unit:      csi.VolumeUsage_INODES,
			Total:     int64(s.Inodes),
			Used:      int64(s.InodesUsed),
			Available: int64(s.InodesAvailable),
		})
	}
	return list
}
