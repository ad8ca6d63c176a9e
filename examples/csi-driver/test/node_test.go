// SPDX-License-Identifier: LGPL-2.1-or-later

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"kvol.local/kvol"
)

func TestEncrypted(t *testing.T) {
	const secret = "correct-horse-battery"
	r := volumeRequest("encrypted", mount("ext4", single))
	r.Parameters = map[string]string{"encrypted": "true"}
	_, err := main.CreateVolume(ctx, r)
	wantCode(t, "encrypted, and no secret", err, codes.Unauthenticated)
	r.Secrets = map[string]string{"passphrase": secret}
	v := create(t, r)
	if info, err := pool.Stat(v.GetVolumeId()); err != nil || !info.Encrypted {
		t.Errorf("it is not encrypted: %+v, %v", info, err)
	}
	p := publishRequest(v.GetVolumeId(), target(t), mount("", single))
	_, err = main.NodePublishVolume(ctx, p)
	wantCode(t, "published without the secret", err, codes.Unauthenticated)
	p.Secrets = map[string]string{"passphrase": "wrong-horse"}
	_, err = main.NodePublishVolume(ctx, p)
	wantCode(t, "published with the wrong one", err, codes.Unauthenticated)
	isGone(t, p.TargetPath)
	p.Secrets = r.Secrets
	write(t, publish(t, p), "data")
	for _, s := range []string{secret, "wrong-horse"} {
		if logHas(t, &main, s) {
			t.Errorf("%q is in the driver's log", s)
		}
	}
	r = volumeRequest("plain", block(single))
	r.Parameters = map[string]string{"encrypted": "false"}
	r.Secrets = map[string]string{"passphrase": secret}
	_, err = main.CreateVolume(ctx, r)
	wantCode(t, "not encrypted, and a secret", err, codes.InvalidArgument)
}

func ephemeralRequest(id, at string) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{
		VolumeId: id, TargetPath: at,
		VolumeCapability: mount("", csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER),
		VolumeContext: map[string]string{
			"csi.storage.k8s.io/ephemeral": "true", "csi.storage.k8s.io/pod.name": "pod-1", "size": "40Mi", "label.team": "x",
		},
	}
}

func TestEphemeral(t *testing.T) {
	r := ephemeralRequest("csi-ephemeral", target(t))
	_, err := main.NodePublishVolume(ctx, r)
	must(t, err)
	_, err = main.NodePublishVolume(ctx, r)
	must(t, err)
	write(t, r.TargetPath, "x")
	info, err := pool.Stat(r.VolumeId)
	if err != nil || info.Bytes != 40*mib || info.FSType != "ext4" || info.Targets != 1 || !info.Ephemeral {
		t.Errorf("it is %+v, %v", info, err)
	}
	list, err := pool.Publications(r.VolumeId)
	if err != nil || len(list) != 1 || fmt.Sprint(list[0].Labels) != "map[csi.storage.k8s.io/pod.name:pod-1 team:x]" {
		t.Errorf("its publish is %+v, %v", list, err)
	}
	unpublish(t, r.VolumeId, r.TargetPath)
	unpublish(t, r.VolumeId, r.TargetPath)
	if _, err = pool.Stat(r.VolumeId); !errors.Is(err, kvol.ErrNotFound) {
		t.Errorf("it outlives its publish: %v", err)
	}
}

func TestARefusedEphemeralVolumeLeavesNothing(t *testing.T) {
	r := ephemeralRequest("csi-refused", target(t))
	for key, value := range map[string]string{"size": "much", "unknown": "1", "fsType": "ntfs", "label.csi.kvol/x": ""} {
		r := ephemeralRequest(r.VolumeId, r.TargetPath)
		r.VolumeContext[key] = value
		_, err := main.NodePublishVolume(ctx, r)
		wantCode(t, key, err, codes.InvalidArgument)
	}
	// Refused late, by the mount itself.
	r.VolumeCapability.GetMount().MountFlags = []string{"no-such-option"}
	_, err := main.NodePublishVolume(ctx, r)
	wantCode(t, "a bad option", err, codes.InvalidArgument)
	isGone(t, r.TargetPath)
	if _, err = pool.Stat(r.VolumeId); !errors.Is(err, kvol.ErrNotFound) {
		t.Errorf("the volume is left: %v", err)
	}
}

func TestAnEphemeralVolumeIsNobodyElses(t *testing.T) {
	v := create(t, volumeRequest("lasting", mount("ext4", single)))
	r := ephemeralRequest(v.GetVolumeId(), target(t))
	for _, size := range []string{"32Mi", "40Mi"} {
		r.VolumeContext["size"] = size
		_, err := main.NodePublishVolume(ctx, r)
		wantCode(t, "a lasting volume as an ephemeral one", err, codes.AlreadyExists)
	}
	isGone(t, r.TargetPath)
	unpublish(t, r.VolumeId, r.TargetPath)
	if _, err := pool.Stat(v.GetVolumeId()); err != nil {
		t.Errorf("it was deleted: %v", err)
	}
}

func TestPodInfo(t *testing.T) {
	v := create(t, volumeRequest("pod", block(single)))
	r := publishRequest(v.GetVolumeId(), "", block(single))
	r.VolumeContext = map[string]string{
		"csi.storage.k8s.io/pod.name": "web-0", "csi.storage.k8s.io/pod.namespace": "shop", "csi.storage.k8s.io/pod.uid": "1-2-3",
		"csi.storage.k8s.io/serviceAccount.name": "default", "csi.storage.k8s.io/serviceAccount.tokens": "top-secret-token",
		"csi.storage.k8s.io/ephemeral": "false",
	}
	at := publish(t, r)
	list, err := pool.Publications(v.GetVolumeId())
	must(t, err)
	if len(list) != 1 || list[0].Target != at || fmt.Sprint(list[0].Labels) != "map[csi.storage.k8s.io/pod.name:web-0 "+
		"csi.storage.k8s.io/pod.namespace:shop csi.storage.k8s.io/pod.uid:1-2-3 csi.storage.k8s.io/serviceAccount.name:default]" {
		t.Errorf("what is known of it: %+v", list)
	}
	if logHas(t, &main, "top-secret-token") {
		t.Error("a token is in the log")
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	must(t, syscall.Statfs(path, &st))
	return int64(st.Blocks) * st.Bsize
}

func TestExpansion(t *testing.T) {
	v := create(t, volumeRequest("grow", mount("ext4", multi)))
	id := v.GetVolumeId()
	at := publish(t, publishRequest(id, "", mount("", multi)))
	f, err := os.Create(filepath.Join(at, "open"))
	must(t, err)
	defer f.Close()
	expand := func(bytes int64) *csi.CapacityRange {
		return &csi.CapacityRange{RequiredBytes: bytes, LimitBytes: bytes}
	}
	before := size(t, at)
	c, err := main.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: expand(64 * mib)})
	must(t, err)
	if c.GetCapacityBytes() != 64*mib || c.GetNodeExpansionRequired() || size(t, at) < before+24*mib {
		t.Errorf("online: %v, the file system went from %d to %d bytes", c, before, size(t, at))
	}
	before = size(t, at)
	n, err := main.NodeExpandVolume(ctx, &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: at, CapacityRange: expand(96 * mib)})
	must(t, err)
	if n.GetCapacityBytes() != 96*mib || size(t, at) < before+24*mib {
		t.Errorf("on the node: %v, the file system went from %d to %d bytes", n, before, size(t, at))
	}
	_, err = main.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: expand(32 * mib)})
	wantCode(t, "a limit below the size", err, codes.OutOfRange)
	c, err = main.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 1}})
	if err != nil || c.GetCapacityBytes() != 96*mib {
		t.Errorf("to less than it has: %v, %v", c, err)
	}
	f.Close()
	unpublish(t, id, at)
	_, err = main.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: expand(128 * mib)})
	must(t, err)
	if at = publish(t, publishRequest(id, "", mount("", multi))); size(t, at) < before+48*mib {
		t.Errorf("offline: the file system has %d bytes", size(t, at))
	}
}

func TestBlockReadOnly(t *testing.T) {
	v := create(t, volumeRequest("device", block(multi)))
	rw := publish(t, publishRequest(v.GetVolumeId(), "", block(multi)))
	r := publishRequest(v.GetVolumeId(), "", block(multi))
	r.Readonly = true
	ro := publish(t, r)
	f, err := os.OpenFile(rw, os.O_WRONLY|os.O_SYNC, 0)
	must(t, err)
	_, err = f.Write([]byte(strings.Repeat("w", 4096)))
	must(t, err)
	must(t, f.Close())
	f, err = os.OpenFile(ro, os.O_RDWR, 0)
	if err == nil {
		_, err = f.Write([]byte(strings.Repeat("r", 4096)))
		if err == nil {
			err = f.Sync()
		}
		f.Close()
	}
	if err == nil {
		t.Error("the read-only device takes writes")
	}
	f, err = os.Open(ro)
	must(t, err)
	defer f.Close()
	text := make([]byte, 4)
	if _, err = f.Read(text); err != nil || string(text) != "wwww" {
		t.Errorf("it reads %q, %v", text, err)
	}
	s, err := main.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: ro})
	if err != nil || s.GetUsage()[0].GetTotal() != 32*mib {
		t.Errorf("its statistics: %v, %v", s, err)
	}
}

func TestTwoPods(t *testing.T) {
	v := create(t, volumeRequest("shared", mount("ext4", multi)))
	one := publish(t, publishRequest(v.GetVolumeId(), "", mount("", multi)))
	two := publish(t, publishRequest(v.GetVolumeId(), "", mount("", multi)))
	r := publishRequest(v.GetVolumeId(), "", mount("", multi))
	r.Readonly = true
	three := publish(t, r)
	write(t, one, "one")
	wantText(t, two, "one")
	write(t, two, "two")
	wantText(t, three, "two")
	if err := os.WriteFile(filepath.Join(three, "file"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("the read-only publish takes writes: %v", err)
	}
	r.Readonly = false
	_, err := main.NodePublishVolume(ctx, r)
	wantCode(t, "the same target, not read-only", err, codes.AlreadyExists)
	for _, mode := range []csi.VolumeCapability_AccessMode_Mode{single, csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY} {
		at := target(t)
		_, err = main.NodePublishVolume(ctx, publishRequest(v.GetVolumeId(), at, mount("", mode)))
		wantCode(t, mode.String(), err, codes.FailedPrecondition)
		isGone(t, at)
	}
	_, err = main.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
	wantCode(t, "deleted while published", err, codes.FailedPrecondition)
}

func TestMountGroup(t *testing.T) {
	v := create(t, volumeRequest("group", mount("ext4", multi)))
	write(t, publish(t, publishRequest(v.GetVolumeId(), "", mount("", multi))), "x")
	c := mount("", multi)
	c.GetMount().VolumeMountGroup = "4711"
	at := publish(t, publishRequest(v.GetVolumeId(), "", c))
	var st syscall.Stat_t
	must(t, syscall.Stat(filepath.Join(at, "file"), &st))
	if st.Gid != 4711 || st.Mode&0o060 != 0o060 {
		t.Errorf("the file belongs to %d, mode %o", st.Gid, st.Mode)
	}
	c.GetMount().VolumeMountGroup = "staff"
	_, err := main.NodePublishVolume(ctx, publishRequest(v.GetVolumeId(), target(t), c))
	wantCode(t, "a group's name", err, codes.InvalidArgument)
}

func TestPublishing(t *testing.T) {
	v := create(t, volumeRequest("raw", block(single)))
	at := target(t)
	_, err := main.NodePublishVolume(ctx, publishRequest(v.GetVolumeId(), at, mount("", single)))
	wantCode(t, "a raw volume, mounted", err, codes.InvalidArgument)
	isGone(t, at)
	r := publishRequest(v.GetVolumeId(), at, block(single))
	r.StagingTargetPath = ""
	_, err = main.NodePublishVolume(ctx, r)
	wantCode(t, "not staged", err, codes.FailedPrecondition)
	_, err = main.NodePublishVolume(ctx, publishRequest("none", at, block(single)))
	wantCode(t, "no such volume", err, codes.NotFound)
	_, err = main.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{VolumeId: "none", StagingTargetPath: dir, VolumeCapability: block(single)})
	wantCode(t, "no such volume is staged", err, codes.NotFound)
	_, err = main.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{VolumeId: "raw", StagingTargetPath: dir, VolumeCapability: mount("", single)})
	wantCode(t, "a raw volume is staged", err, codes.InvalidArgument)

	// What is not the driver's stays: a file in the target, and a mount of somebody else's.
	must(t, os.Mkdir(at, 0o700))
	write(t, at, "mine")
	if _, err = main.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: at}); err == nil {
		t.Error("a directory with a file in it was removed")
	}
	wantText(t, at, "mine")
}

func TestStatistics(t *testing.T) {
	v := create(t, volumeRequest("full", mount("ext4", single)))
	at := publish(t, publishRequest(v.GetVolumeId(), "", mount("", single)))
	ask := func() (bytes, inodes *csi.VolumeUsage) {
		s, err := main.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: at + "/"})
		must(t, err)
		return s.GetUsage()[0], s.GetUsage()[1]
	}
	before, nodes := ask()
	write(t, at, strings.Repeat("x", 4*mib))
	f, err := os.Open(at)
	must(t, err)
	must(t, f.Sync())
	f.Close()
	syscall.Sync()
	after, nodes2 := ask()
	if after.GetUsed()-before.GetUsed() != 4*mib || nodes2.GetUsed()-nodes.GetUsed() != 1 {
		t.Errorf("4 MiB in 1 file: from %v, %v to %v, %v", before, nodes, after, nodes2)
	}
}

// ail has a volume's file system meet an error.
func ail(t *testing.T, id string) {
	t.Helper()
	info, err := pool.Stat(id)
	must(t, err)
	device, err := filepath.EvalSymlinks(info.Device)
	must(t, err)
	must(t, os.WriteFile("/sys/fs/ext4/"+filepath.Base(device)+"/trigger_fs_error", []byte("a test"), 0))
}
