// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"kvol.local/kvol"
)

type accessMode = csi.VolumeCapability_AccessMode_Mode

// A way to publish.
type way struct {
	access   kvol.Access
	readOnly bool
}

// A pool belongs to one host at a time, so there is nothing for several nodes. What may be published
// once only, as a reader too, is the library's single writer.
var ways = map[accessMode]way{
	csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER:        {kvol.AccessSingleWriter, false},
	csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY:   {kvol.AccessSingleWriter, true},
	csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER: {kvol.AccessSingleWriter, false},
	csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:  {kvol.AccessMultiWriter, false},
}

// malformed tells what is wrong with capabilities as such.
func malformed(list ...*csi.VolumeCapability) error {
	if len(list) == 0 || list[0] == nil {
		return missing("volume capability")
	}
	for _, c := range list {
		if c.GetAccessMode().GetMode() == csi.VolumeCapability_AccessMode_UNKNOWN {
			return missing("access mode")
		}
		if c.GetMount() == nil && c.GetBlock() == nil {
			return missing("access type")
		}
	}
	return nil
}

// unsupported tells, in words, why there can be no volume with all these capabilities; "": there can.
func unsupported(list []*csi.VolumeCapability) string {
	fs := ""
	for _, c := range list {
		if _, ok := ways[c.GetAccessMode().GetMode()]; !ok {
			return fmt.Sprintf("access mode %s: the pool is one node's", c.GetAccessMode().GetMode())
		}
		if t := c.GetMount().GetFsType(); t != "" {
			if fs != "" && fs != t {
				return fmt.Sprintf("both %s and %s", fs, t)
			}
			fs = t
		}
	}
	return ""
}

// unfit tells why a volume cannot be used so; "": it can.
func unfit(info *kvol.Info, c *csi.VolumeCapability) string {
	want := c.GetMount().GetFsType()
	switch {
	case c.GetMount() == nil:
		return ""
	case info.FSType == "":
		return fmt.Sprintf("volume %q is a raw one: it cannot be mounted", info.Name)
	case want != "" && want != info.FSType:
		return fmt.Sprintf("volume %q has %s, not %s", info.Name, info.FSType, want)
	}
	return ""
}

// wants tells if any of them is a mount, and of what ("": of anything).
func wants(list []*csi.VolumeCapability) (mount bool, fs string) {
	for _, c := range list {
		if c.GetMount() != nil {
			mount = true
		}
		if t := c.GetMount().GetFsType(); t != "" {
			fs = t
		}
	}
	return mount, fs
}
