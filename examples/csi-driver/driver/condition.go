// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !csi_1_13

package driver

import (
	"github.com/container-storage-interface/spec/lib/go/csi"

	"kvol.local/kvol"
)

// Up to version 1.12 of the specification a volume's condition comes with other answers. For what took its
// place see health.go.

var (
	controllerHealth = []csi.ControllerServiceCapability_RPC_Type{csi.ControllerServiceCapability_RPC_VOLUME_CONDITION}
	nodeHealth       = []csi.NodeServiceCapability_RPC_Type{csi.NodeServiceCapability_RPC_VOLUME_CONDITION}
)

func conditionOf(s *kvol.VolumeStats) *csi.VolumeCondition {
	if s.Condition == kvol.ConditionOK {
		return &csi.VolumeCondition{Message: "the volume is in good order"}
	}
	return &csi.VolumeCondition{Abnormal: true, Message: s.Message}
}

func tellListed(to *csi.ListVolumesResponse_VolumeStatus, s *kvol.VolumeStats) {
	to.VolumeCondition = conditionOf(s)
}

func tellVolume(to *csi.ControllerGetVolumeResponse_VolumeStatus, s *kvol.VolumeStats) {
	to.VolumeCondition = conditionOf(s)
}

func tellStats(to *csi.NodeGetVolumeStatsResponse, s *kvol.VolumeStats) {
	to.VolumeCondition = conditionOf(s)
}
