// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// A volume is where its pool is: on this node.
func (d *Driver) topology() *csi.Topology {
	return &csi.Topology{Segments: map[string]string{d.topologyKey(): d.NodeID}}
}

func (d *Driver) topologyKey() string {
	return d.Name + "/node"
}

// here tells if a topology holds this node: it names no other one. Other keys are not the driver's.
func (d *Driver) here(t *csi.Topology) bool {
	node, ok := t.GetSegments()[d.topologyKey()]
	return ok && node == d.NodeID
}

// reachable tells if a volume may be placed here.
func (d *Driver) reachable(r *csi.TopologyRequirement) bool {
	list := r.GetRequisite()
	if len(list) == 0 {
		list = r.GetPreferred()
	}
	return len(list) == 0 || slices.ContainsFunc(list, d.here)
}
