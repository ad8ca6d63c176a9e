// SPDX-License-Identifier: LGPL-2.1-or-later

// Package test asks a driver, over gRPC, for what csi-sanity does not. It wants root, device-mapper, and
// KVOL_CSI, the driver's path; KVOL_TEST_DIR is where the pool may be.
package test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

const (
	node = "node-1"
	mib  = 1 << 20
)

var (
	dir  string
	pool *kvol.Pool // the tests' own view of it
	// Its own, for two of these programs may run at once.
	poolName, metrics string
	main              driver // serves all tests but those that want one of their own
)

// A driver and its clients.
type driver struct {
	csi.IdentityClient
	csi.ControllerClient
	csi.NodeClient
	process *exec.Cmd
	conn    *grpc.ClientConn
	socket  string
	log     string
}

func TestMain(m *testing.M) {
	if os.Getenv("KVOL_CSI") == "" {
		fmt.Println("skipped: KVOL_CSI is not set, see harness_test.go")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if dir, err = os.MkdirTemp(os.Getenv("KVOL_TEST_DIR"), "csi"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	k, err := kvol.New(nil)
	if err != nil {
		return 0, err
	}
	defer k.Close()
	path := filepath.Join(dir, "pool.img")
	metrics = "127.0.0.1:" + strconv.Itoa(20000+os.Getpid()%10000)
	poolName = "csitest" + strconv.Itoa(os.Getpid())
	if err = k.Format(poolName, path, &kvol.FormatOptions{FileBytes: 8 << 30}); err != nil {
		return 0, err
	}
	if pool, err = k.Open(path, nil); err != nil {
		return 0, err
	}
	if main, err = start("main", "--pool", path, "--metrics-address", metrics); err != nil {
		return 0, err
	}
	code = m.Run()
	if code != 0 {
		text, _ := os.ReadFile(main.log)
		fmt.Printf("the end of the driver's log:\n%s\n", text[max(0, len(text)-4000):])
	}
	main.stop(syscall.SIGTERM)
	if err = pool.Deactivate(); err != nil && code == 0 {
		return 0, err
	}
	pool.Close()
	return code, nil
}

// start starts a driver on the pool. Arguments come behind those that all have.
func start(name string, arguments ...string) (driver, error) {
	return startCommand(name, append([]string{os.Getenv("KVOL_CSI")}, arguments...)...)
}

func startCommand(name string, command ...string) (d driver, err error) {
	d.socket = filepath.Join(dir, name+".sock")
	d.log = filepath.Join(dir, name+".log")
	command = append(command, "--endpoint", "unix://"+d.socket, "--node-id", node, "--log-level", "debug", "--drain-timeout", "30s")
	d.process = exec.Command(command[0], command[1:]...)
	d.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return d, err
	}
	defer log.Close()
	d.process.Stderr = log
	if err = d.process.Start(); err != nil {
		return d, err
	}
	retry := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1, MaxDelay: 50 * time.Millisecond}
	d.conn, err = grpc.NewClient("unix://"+d.socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: time.Second}))
	if err != nil {
		return d, err
	}
	d.IdentityClient = csi.NewIdentityClient(d.conn)
	d.ControllerClient = csi.NewControllerClient(d.conn)
	d.NodeClient = csi.NewNodeClient(d.conn)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err = d.Probe(ctx, &csi.ProbeRequest{}); err != nil {
		text, _ := os.ReadFile(d.log)
		err = fmt.Errorf("the driver does not serve: %w\n%s", err, text)
	}
	return d, err
}

func (d *driver) stop(s syscall.Signal) error {
	_ = d.conn.Close()
	_ = d.process.Process.Signal(s)
	return d.process.Wait()
}

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, what string, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("%s: wanted %s, got %v", what, code, err)
	}
}

func mount(fs string, mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: fs}},
	}
}

func block(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}},
	}
}

const (
	single = csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
	multi  = csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
)

func volumeRequest(name string, c *csi.VolumeCapability) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name:               name,
		CapacityRange:      &csi.CapacityRange{RequiredBytes: 32 * mib, LimitBytes: 32 * mib},
		VolumeCapabilities: []*csi.VolumeCapability{c},
	}
}

// create makes a volume that the test's end deletes.
func create(t *testing.T, r *csi.CreateVolumeRequest) *csi.Volume {
	t.Helper()
	answer, err := main.CreateVolume(ctx, r)
	must(t, err)
	id := answer.GetVolume().GetVolumeId()
	t.Cleanup(func() {
		_, err := main.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
		if err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	})
	return answer.GetVolume()
}

func snapshot(t *testing.T, volume, name string) *csi.Snapshot {
	t.Helper()
	answer, err := main.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{SourceVolumeId: volume, Name: name})
	must(t, err)
	t.Cleanup(func() {
		_, err := main.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: answer.GetSnapshot().GetSnapshotId()})
		if err != nil {
			t.Errorf("delete snapshot %s: %v", name, err)
		}
	})
	return answer.GetSnapshot()
}

func publishRequest(id, target string, c *csi.VolumeCapability) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{VolumeId: id, TargetPath: target, StagingTargetPath: dir, VolumeCapability: c}
}

// publish publishes at a new target until the test's end.
func publish(t *testing.T, r *csi.NodePublishVolumeRequest) string {
	t.Helper()
	if r.TargetPath == "" {
		r.TargetPath = filepath.Join(t.TempDir(), "target")
	}
	_, err := main.NodePublishVolume(ctx, r)
	must(t, err)
	t.Cleanup(func() { unpublish(t, r.VolumeId, r.TargetPath) })
	return r.TargetPath
}

func unpublish(t *testing.T, id, target string) {
	t.Helper()
	_, err := main.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: id, TargetPath: target})
	if err != nil {
		t.Errorf("unpublish %s: %v", id, err)
	}
	isGone(t, target)
}

func isGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

func write(t *testing.T, target, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(target, "file"), []byte(text), 0o600))
}

func wantText(t *testing.T, target, text string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(target, "file"))
	if err != nil || string(got) != text {
		t.Errorf("%s: wanted %q, got %q, %v", target, text, got, err)
	}
}

func logHas(t *testing.T, d *driver, text string) bool {
	t.Helper()
	log, err := os.ReadFile(d.log)
	must(t, err)
	return bytes.Contains(log, []byte(text))
}

func target(t *testing.T) string {
	return filepath.Join(t.TempDir(), "target")
}

func itoa(n int) string {
	return strconv.Itoa(n)
}

// runDriver runs a driver that is to end by itself.
func runDriver(ctx context.Context, arguments ...string) (ended bool, code int) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Getenv("KVOL_CSI"), arguments...)
	_ = c.Run()
	return ctx.Err() == nil, c.ProcessState.ExitCode()
}
