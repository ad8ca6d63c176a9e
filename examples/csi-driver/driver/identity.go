// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"kvol.local/kvol"
)

func (d *Driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{
		Name:          d.Name,
		VendorVersion: Version,
		Manifest:      map[string]string{"libkvol": kvol.Version()},
	}, nil
}

func (d *Driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	r := &csi.GetPluginCapabilitiesResponse{}
	service := func(t csi.PluginCapability_Service_Type) {
		r.Capabilities = append(r.Capabilities, &csi.PluginCapability{
			Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{Type: t}},
		})
	}
	if d.Mode != Node {
		service(csi.PluginCapability_Service_CONTROLLER_SERVICE)
	}
	service(csi.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS)
	// ONLINE is both: whether it is published or not.
	r.Capabilities = append(r.Capabilities, &csi.PluginCapability{
		Type: &csi.PluginCapability_VolumeExpansion_{VolumeExpansion: &csi.PluginCapability_VolumeExpansion{
			Type: csi.PluginCapability_VolumeExpansion_ONLINE,
		}},
	})
	return r, nil
}

// Probe is ready as long as the pool answers.
func (d *Driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	if _, err := d.pool.Info(); err != nil {
		return nil, failure(err)
	}
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}
