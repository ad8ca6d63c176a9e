// SPDX-License-Identifier: LGPL-2.1-or-later

package test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func own(t *testing.T, arguments ...string) driver {
	t.Helper()
	d, err := start(t.Name(), append([]string{"--pool", poolName}, arguments...)...)
	must(t, err)
	return d
}

func TestModes(t *testing.T) {
	d := own(t, "--mode", "node")
	_, err := d.ListVolumes(ctx, &csi.ListVolumesRequest{})
	wantCode(t, "the controller of a node", err, codes.Unimplemented)
	_, err = d.NodeGetInfo(ctx, &csi.NodeGetInfoRequest{})
	must(t, err)
	c, err := d.GetPluginCapabilities(ctx, &csi.GetPluginCapabilitiesRequest{})
	must(t, err)
	for _, c := range c.GetCapabilities() {
		if c.GetService().GetType() == csi.PluginCapability_Service_CONTROLLER_SERVICE {
			t.Error("a node announces a controller")
		}
	}
	must(t, d.stop(syscall.SIGTERM))

	d = own(t, "--mode", "controller", "--expand-on-node")
	_, err = d.NodeGetInfo(ctx, &csi.NodeGetInfoRequest{})
	wantCode(t, "the node of a controller", err, codes.Unimplemented)
	l, err := d.ControllerGetCapabilities(ctx, &csi.ControllerGetCapabilitiesRequest{})
	must(t, err)
	if slices.ContainsFunc(l.GetCapabilities(), func(c *csi.ControllerServiceCapability) bool {
		return c.GetRpc().GetType() == csi.ControllerServiceCapability_RPC_EXPAND_VOLUME
	}) {
		t.Error("--expand-on-node, and the controller announces it")
	}
	must(t, d.stop(syscall.SIGTERM))
}

func TestHealthAndMetrics(t *testing.T) {
	h, err := grpc_health_v1.NewHealthClient(main.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil || h.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("gRPC health: %v, %v", h, err)
	}
	get := func(path string) string {
		r, err := http.Get("http://" + metrics + path)
		must(t, err)
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		must(t, err)
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
		return string(text)
	}
	if get("/healthz") != "ok\n" {
		t.Error("not healthy")
	}
	_, _ = main.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{})
	text := get("/metrics")
	for _, name := range []string{
		`kvol_csi_call_seconds_count{code="InvalidArgument",method="NodeStageVolume"}`, `kvol_pool_data_bytes{pool="` + poolName + `"}`,
		"kvol_csi_calls_running 0", `kvol_pool_read_only{pool="` + poolName + `"} 0`, "process_cpu_seconds_total",
	} {
		if !strings.Contains(text, name) {
			t.Errorf("no metric %s", name)
		}
	}
}

// SIGTERM: what was begun is answered, nothing new is taken.
func TestDraining(t *testing.T) {
	d := own(t)
	done := make(chan error, 1)
	r := volumeRequest("drained", mount("ext4", single))
	remove := func() {
		_, err := main.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: "drained"})
		must(t, err)
	}
	// Until one is seen while it is on its way; each of a size that the pool has no template of.
	for seen := false; !seen; {
		r.CapacityRange.RequiredBytes += mib
		r.CapacityRange.LimitBytes += mib
		go func() {
			_, err := d.CreateVolume(ctx, r)
			done <- err
		}()
		for ended := false; !ended && !seen; {
			select {
			case err := <-done:
				must(t, err)
				remove()
				ended = true
			default:
				seen = isRunning(t, &d)
			}
		}
	}
	must(t, d.process.Process.Signal(syscall.SIGTERM))
	if err := <-done; err != nil {
		t.Errorf("the call on its way: %v", err)
	}
	if err := d.process.Wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
	_, err := d.Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(false))
	wantCode(t, "a call after the end", err, codes.Unavailable)
	isGone(t, d.socket)
	remove()
}

// isRunning: a driver's mkfs is a child of its.
func isRunning(t *testing.T, d *driver) bool {
	t.Helper()
	list, err := filepath.Glob("/proc/" + itoa(d.process.Process.Pid) + "/task/*/children")
	must(t, err)
	for _, path := range list {
		if text, _ := os.ReadFile(path); len(text) > 0 {
			return true
		}
	}
	return false
}

// Killed and started anew in another mount namespace, as a pod is, the driver finds what it published in the
// node's.
func TestPublishesOutliveTheDriversMountNamespace(t *testing.T) {
	v := create(t, volumeRequest("outlive", mount("ext4", multi)))
	// As a node's /var/lib/kubelet: mounts show up in the pod's copy.
	shared := t.TempDir()
	must(t, syscall.Mount(shared, shared, "", syscall.MS_BIND, ""))
	defer func() { must(t, syscall.Unmount(shared, 0)) }()
	must(t, syscall.Mount("", shared, "", syscall.MS_SHARED, ""))
	at := filepath.Join(shared, "target")
	begin := func() driver {
		d, err := startCommand(t.Name(), "unshare", "--mount", "--propagation", "slave", os.Getenv("KVOL_CSI"),
			"--pool", poolName, "--mount-namespace", "/proc/1/ns/mnt")
		must(t, err)
		return d
	}
	d := begin()
	_, err := d.NodePublishVolume(ctx, publishRequest(v.GetVolumeId(), at, mount("", multi)))
	must(t, err)
	write(t, at, "seen from here")
	s, err := d.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: v.GetVolumeId(), VolumePath: at})
	if err != nil || len(s.GetUsage()) != 2 {
		t.Errorf("the statistics of a publish in the node's namespace: %v, %v", s, err)
	}
	_ = d.stop(syscall.SIGKILL)
	d = begin()
	_, err = d.NodePublishVolume(ctx, publishRequest(v.GetVolumeId(), at, mount("", multi)))
	must(t, err)
	if list, err := pool.Publications(v.GetVolumeId()); err != nil || len(list) != 1 {
		t.Errorf("it is published %d times, %v", len(list), err)
	}
	_, err = d.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: at})
	must(t, err)
	isGone(t, at)
	must(t, d.stop(syscall.SIGTERM))
}

func TestUsage(t *testing.T) {
	for _, arguments := range [][]string{
		{}, {"--pool", "p", "--mode", "both"}, {"--pool", "p", "--driver-name", "1"}, {"--pool", "p", "--endpoint", "tcp://x"},
		{"--pool", "p", "--node-id", ""}, {"--pool", "p", "more"}, {"--pool", "p", "--log-format", "xml"},
	} {
		ended, code := runDriver(context.Background(), arguments...)
		if !ended || code != 2 {
			t.Errorf("%v: exit code %d", arguments, code)
		}
	}
	if ended, code := runDriver(context.Background(), "--pool", "no-such-pool"); !ended || code != 1 {
		t.Errorf("no such pool: exit code %d", code)
	}
}
