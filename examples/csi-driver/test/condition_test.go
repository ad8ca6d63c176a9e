// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !csi_1_13

package test

import (
	"fmt"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

func TestCondition(t *testing.T) {
	v := create(t, volumeRequest("ill", mount("ext4", single)))
	at := publish(t, publishRequest(v.GetVolumeId(), "", mount("", single)))
	ask := func() (*csi.VolumeCondition, *csi.VolumeCondition, *csi.VolumeCondition) {
		s, err := main.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: at})
		must(t, err)
		g, err := main.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: v.GetVolumeId()})
		must(t, err)
		if fmt.Sprint(g.GetStatus().GetPublishedNodeIds()) != "["+node+"]" {
			t.Errorf("it is on %v", g.GetStatus().GetPublishedNodeIds())
		}
		l, err := main.ListVolumes(ctx, &csi.ListVolumesRequest{})
		must(t, err)
		return s.GetVolumeCondition(), g.GetStatus().GetVolumeCondition(), l.GetEntries()[0].GetStatus().GetVolumeCondition()
	}
	a, b, c := ask()
	if a.GetAbnormal() || b.GetAbnormal() || c.GetAbnormal() || a.GetMessage() == "" {
		t.Errorf("at first: %v, %v, %v", a, b, c)
	}
	ail(t, v.GetVolumeId())
	a, b, c = ask()
	if !a.GetAbnormal() || !b.GetAbnormal() || !c.GetAbnormal() || a.GetMessage() == "" {
		t.Errorf("with an error: %v, %v, %v", a, b, c)
	}
}
