// SPDX-License-Identifier: LGPL-2.1-or-later

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"kvol.local/kvol"
)

func TestNamesThatThePoolCannotHold(t *testing.T) {
	for _, name := range []string{"a/b", "tab\there", "snapshot:x", "sha256:y", strings.Repeat("n", 128), strings.Repeat("/", 128)} {
		v := create(t, volumeRequest(name, block(single)))
		if len(v.GetVolumeId()) > 128 {
			t.Errorf("%q: the id has %d bytes", name, len(v.GetVolumeId()))
		}
		again := create(t, volumeRequest(name, block(single)))
		if again.GetVolumeId() != v.GetVolumeId() {
			t.Errorf("%q has two ids: %q, %q", name, v.GetVolumeId(), again.GetVolumeId())
		}
		kept, err := pool.Label(v.GetVolumeId(), "csi.kvol/name")
		if v.GetVolumeId() != name && !strings.Contains(name, "\t") && (err != nil || kept != name) {
			t.Errorf("%q is kept as %q, %v", name, kept, err)
		}
	}
}

func TestAVolumeAndASnapshotOfOneName(t *testing.T) {
	v := create(t, volumeRequest("same", block(single)))
	s := snapshot(t, v.GetVolumeId(), "same")
	if s.GetSnapshotId() != "same" || v.GetVolumeId() != "same" {
		t.Errorf("ids: %q, %q", v.GetVolumeId(), s.GetSnapshotId())
	}
	// One's id is not the other's.
	_, err := main.NodePublishVolume(ctx, publishRequest("snapshot:same", target(t), block(single)))
	wantCode(t, "a snapshot is published as a volume", err, codes.NotFound)
}

func TestSizes(t *testing.T) {
	r := volumeRequest("size", block(single))
	create(t, r)
	for _, c := range []struct {
		required, limit int64
		code            codes.Code
	}{
		{16 * mib, 64 * mib, codes.OK}, {0, 0, codes.OK}, {0, 32 * mib, codes.OK},
		{33 * mib, 0, codes.AlreadyExists}, {1, 31 * mib, codes.AlreadyExists},
		{-1, 0, codes.InvalidArgument}, {2, 1, codes.InvalidArgument}, {1, 4095, codes.OutOfRange},
	} {
		r.CapacityRange = &csi.CapacityRange{RequiredBytes: c.required, LimitBytes: c.limit}
		_, err := main.CreateVolume(ctx, r)
		wantCode(t, fmt.Sprint(c.required, " to ", c.limit), err, c.code)
	}
	r = volumeRequest("tiny", mount("xfs", single))
	r.CapacityRange = &csi.CapacityRange{RequiredBytes: 1 * mib}
	_, err := main.CreateVolume(ctx, r)
	wantCode(t, "an xfs of 1 MiB", err, codes.OutOfRange)
}

func TestParameters(t *testing.T) {
	r := volumeRequest("parameters", block(single))
	r.Parameters = map[string]string{
		"label.team": "storage", "csi.storage.k8s.io/pvc/name": "claim", "csi.storage.k8s.io/pvc/namespace": "default",
	}
	create(t, r)
	labels, err := pool.Labels("parameters")
	must(t, err)
	if fmt.Sprint(labels) != "map[csi.storage.k8s.io/pvc.name:claim csi.storage.k8s.io/pvc.namespace:default team:storage]" {
		t.Errorf("the labels are %v", labels)
	}
	for key, value := range map[string]string{
		"unknown": "", "encrypted": "perhaps", "label.csi.kvol/name": "x", "label.not a key": "", "label.x": "a\nb",
	} {
		r := volumeRequest("refused", block(single))
		r.Parameters = map[string]string{key: value}
		_, err := main.CreateVolume(ctx, r)
		wantCode(t, key, err, codes.InvalidArgument)
	}
	r = volumeRequest("refused", mount("ntfs", single))
	_, err = main.CreateVolume(ctx, r)
	wantCode(t, "an unknown file system", err, codes.InvalidArgument)
	r = volumeRequest("refused", block(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER))
	_, err = main.CreateVolume(ctx, r)
	wantCode(t, "several nodes", err, codes.InvalidArgument)
}

func TestModify(t *testing.T) {
	r := volumeRequest("modify", block(single))
	r.MutableParameters = map[string]string{"label.tier": "gold", "label.old": "1"}
	v := create(t, r)
	modify := func(m map[string]string) error {
		_, err := main.ControllerModifyVolume(ctx, &csi.ControllerModifyVolumeRequest{VolumeId: v.GetVolumeId(), MutableParameters: m})
		return err
	}
	must(t, modify(map[string]string{"label.tier": "silver", "label.old": "", "label.example.org/x": "y"}))
	wantCode(t, "an unknown key", modify(map[string]string{"label.tier": "bronze", "iops": "7"}), codes.InvalidArgument)
	labels, err := pool.Labels("modify")
	must(t, err)
	if fmt.Sprint(labels) != "map[example.org/x:y tier:silver]" {
		t.Errorf("the labels are %v", labels)
	}
	_, err = main.ControllerModifyVolume(ctx, &csi.ControllerModifyVolumeRequest{VolumeId: "none"})
	wantCode(t, "no such volume", err, codes.NotFound)
}

func TestTopology(t *testing.T) {
	there := func(name string) *csi.Topology {
		return &csi.Topology{Segments: map[string]string{"csi.kvol/node": name}}
	}
	r := volumeRequest("topology", block(single))
	r.AccessibilityRequirements = &csi.TopologyRequirement{Requisite: []*csi.Topology{there("elsewhere")}}
	_, err := main.CreateVolume(ctx, r)
	wantCode(t, "another node", err, codes.ResourceExhausted)
	r.AccessibilityRequirements = &csi.TopologyRequirement{Requisite: []*csi.Topology{there("elsewhere"), there(node)}}
	v := create(t, r)
	if len(v.GetAccessibleTopology()) != 1 || v.GetAccessibleTopology()[0].GetSegments()["csi.kvol/node"] != node {
		t.Errorf("it is at %v", v.GetAccessibleTopology())
	}
	info, err := main.NodeGetInfo(ctx, &csi.NodeGetInfoRequest{})
	must(t, err)
	if info.GetAccessibleTopology().GetSegments()["csi.kvol/node"] != node {
		t.Errorf("the node is at %v", info.GetAccessibleTopology())
	}
	for name, has := range map[string]bool{node: true, "elsewhere": false} {
		c, err := main.GetCapacity(ctx, &csi.GetCapacityRequest{AccessibleTopology: there(name)})
		must(t, err)
		if (c.GetAvailableCapacity() > 0) != has {
			t.Errorf("%s has %d bytes", name, c.GetAvailableCapacity())
		}
	}
}

func TestCapacityAndLimits(t *testing.T) {
	hundred, one, none := uint64(100), uint64(1), uint64(0)
	must(t, pool.SetPolicy(kvol.Policy{Overcommit: &hundred, MaxPublished: &one}))
	t.Cleanup(func() { must(t, pool.SetPolicy(kvol.Policy{Overcommit: &none, MaxPublished: &none})) })
	before, err := main.GetCapacity(ctx, &csi.GetCapacityRequest{})
	must(t, err)
	r := volumeRequest("limits", block(single))
	create(t, r)
	after, err := main.GetCapacity(ctx, &csi.GetCapacityRequest{})
	must(t, err)
	if before.GetAvailableCapacity()-after.GetAvailableCapacity() != 32*mib {
		t.Errorf("capacity went from %d to %d", before.GetAvailableCapacity(), after.GetAvailableCapacity())
	}
	large := volumeRequest("large", block(single))
	large.CapacityRange = &csi.CapacityRange{RequiredBytes: after.GetMaximumVolumeSize().GetValue() + 1}
	_, err = main.CreateVolume(ctx, large)
	wantCode(t, "a larger one than the largest", err, codes.ResourceExhausted)

	info, err := main.NodeGetInfo(ctx, &csi.NodeGetInfoRequest{})
	must(t, err)
	if info.GetMaxVolumesPerNode() != 1 {
		t.Errorf("the node takes %d volumes", info.GetMaxVolumesPerNode())
	}
	create(t, volumeRequest("limits2", block(single)))
	publish(t, publishRequest("limits", "", block(single)))
	second := target(t)
	_, err = main.NodePublishVolume(ctx, publishRequest("limits2", second, block(single)))
	wantCode(t, "a second volume", err, codes.ResourceExhausted)
	isGone(t, second)
}

func TestSnapshotsAndClonesHaveTheirContent(t *testing.T) {
	for fs, bytes := range map[string]int64{"ext4": 32 * mib, "btrfs": 256 * mib} {
		c := mount(fs, single)
		r := volumeRequest("origin-"+fs, c)
		r.CapacityRange = &csi.CapacityRange{RequiredBytes: bytes}
		v := create(t, r)
		at := publish(t, publishRequest(v.GetVolumeId(), "", c))
		write(t, at, "before")
		s := snapshot(t, v.GetVolumeId(), "snap-"+fs)
		write(t, at, "after")

		r = volumeRequest("restored-"+fs, c)
		r.CapacityRange = &csi.CapacityRange{RequiredBytes: bytes + 32*mib}
		r.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: s.GetSnapshotId()}}}
		restored := create(t, r)
		if restored.GetContentSource().GetSnapshot().GetSnapshotId() != s.GetSnapshotId() || restored.GetCapacityBytes() != bytes+32*mib {
			t.Errorf("%s: restored as %v", fs, restored)
		}
		there := publish(t, publishRequest(restored.GetVolumeId(), "", c))
		wantText(t, there, "before")
		if size(t, there) < size(t, at)+24*mib {
			t.Errorf("%s: the restored file system has %d bytes, its source %d", fs, size(t, there), size(t, at))
		}

		r = volumeRequest("clone-"+fs, c)
		r.CapacityRange = nil
		r.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
			Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: v.GetVolumeId()}}}
		clone := create(t, r)
		wantText(t, publish(t, publishRequest(clone.GetVolumeId(), "", c)), "after")

		r.CapacityRange = &csi.CapacityRange{RequiredBytes: 1, LimitBytes: 16 * mib}
		r.Name = "small"
		_, err := main.CreateVolume(ctx, r)
		wantCode(t, "a clone below its source's size", err, codes.OutOfRange)
	}
}

func TestARepeatedSnapshotNeedsNoSource(t *testing.T) {
	v := create(t, volumeRequest("short-lived", block(single)))
	s := snapshot(t, v.GetVolumeId(), "long-lived")
	_, err := main.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
	must(t, err)
	if again := snapshot(t, v.GetVolumeId(), "long-lived"); again.GetSnapshotId() != s.GetSnapshotId() {
		t.Errorf("another one: %v", again)
	}
}

// The spec that csi-sanity leaves pending.
func TestPagesOfAListThatChanges(t *testing.T) {
	for i := range 5 {
		create(t, volumeRequest(fmt.Sprint("page-", i), block(single)))
	}
	list := func(token string) ([]string, string) {
		l, err := main.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: 2, StartingToken: token})
		must(t, err)
		var names []string
		for _, e := range l.GetEntries() {
			names = append(names, e.GetVolume().GetVolumeId())
		}
		return names, l.GetNextToken()
	}
	first, token := list("")
	_, err := main.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: first[1]})
	must(t, err)
	create(t, volumeRequest("page-3a", block(single)))
	second, token := list(token)
	third, token := list(token)
	if got := fmt.Sprint(first, second, third); got != "[page-0 page-1] [page-2 page-3] [page-3a page-4]" || token != "" {
		t.Errorf("the pages are %s, then %q", got, token)
	}
}

func TestOnlyTheDriversSnapshotsAreListed(t *testing.T) {
	create(t, volumeRequest("mixed", block(single)))
	for _, name := range []string{"a-before", "z-behind"} {
		must(t, pool.Snapshot("mixed", name, nil))
		t.Cleanup(func() { must(t, pool.Delete(name)) })
	}
	snapshot(t, "mixed", "mine")
	for _, most := range []int32{0, 1} {
		l, err := main.ListSnapshots(ctx, &csi.ListSnapshotsRequest{MaxEntries: most, SourceVolumeId: "mixed"})
		must(t, err)
		if len(l.GetEntries()) != 1 || l.GetEntries()[0].GetSnapshot().GetSnapshotId() != "mine" {
			t.Errorf("pages of %d: %v", most, l)
		}
	}
}

func TestAVolumeOfSomebodyElse(t *testing.T) {
	must(t, pool.Create("by-hand", 32*mib, &kvol.CreateOptions{FSType: "ext4"}))
	t.Cleanup(func() { must(t, pool.Delete("by-hand")) })
	at := publish(t, publishRequest("by-hand", "", mount("", single)))
	if _, err := os.Stat(filepath.Join(at, "lost+found")); err != nil {
		t.Error(err)
	}
	_, err := main.NodePublishVolume(ctx, publishRequest("by-hand", target(t), mount("xfs", single)))
	wantCode(t, "with another file system", err, codes.InvalidArgument)
}
