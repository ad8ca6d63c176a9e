// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build csi_1_13

package test

import (
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

func TestHealth(t *testing.T) {
	create(t, volumeRequest("well", block(single)))
	v := create(t, volumeRequest("ill", mount("ext4", single)))
	at := publish(t, publishRequest(v.GetVolumeId(), "", mount("", single)))
	ask := func() (*csi.VolumeHealth, *csi.VolumeHealth, []*csi.VolumeHealth) {
		n, err := main.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: v.GetVolumeId(), VolumePublishPath: at})
		must(t, err)
		c, err := main.ControllerGetVolumeHealth(ctx, &csi.ControllerGetVolumeHealthRequest{VolumeId: v.GetVolumeId()})
		must(t, err)
		l, err := main.ControllerListVolumeHealth(ctx, &csi.ControllerListVolumeHealthRequest{})
		must(t, err)
		return n.GetVolumeHealth(), c.GetVolumeHealth(), l.GetEntries()
	}
	n, c, l := ask()
	if len(n.GetHealthStatuses()) != 0 || len(c.GetHealthStatuses()) != 0 || len(l) != 0 || n.GetVolumeId() != v.GetVolumeId() {
		t.Errorf("at first: %v, %v, %v", n, c, l)
	}
	ail(t, v.GetVolumeId())
	n, c, l = ask()
	if len(l) != 1 || len(n.GetHealthStatuses()) != 1 || len(c.GetHealthStatuses()) != 1 ||
		l[0].GetVolumeId() != v.GetVolumeId() || n.GetHealthStatuses()[0].GetStatus() != csi.VolumeHealthErrorType_DEGRADED ||
		n.GetHealthStatuses()[0].GetReason() == "" || n.GetHealthStatuses()[0].GetMessage() == "" {
		t.Errorf("with an error: %v, %v, %v", n, c, l)
	}
	s, err := main.NodeGetStorageHealth(ctx, &csi.NodeGetStorageHealthRequest{})
	if err != nil || len(s.GetBackendHealth()) != 0 {
		t.Errorf("the pool: %v, %v", s, err)
	}
	_, err = main.ControllerGetVolumeHealth(ctx, &csi.ControllerGetVolumeHealthRequest{VolumeId: "none"})
	wantCode(t, "no such volume", err, codes.NotFound)
	_, err = main.NodeGetVolumeHealth(ctx, &csi.NodeGetVolumeHealthRequest{VolumeId: v.GetVolumeId(), VolumePublishPath: filepath.Base(at)})
	wantCode(t, "a path that is not absolute", err, codes.InvalidArgument)
}
