// SPDX-License-Identifier: LGPL-2.1-or-later

// Command containerd lets the benchmark time containerd's devmapper snapshotter: it makes a thin pool on a disk,
// and does what its standard input says, a line for each. It answers with a line: how many milliseconds it took.
//
//	containerd DISK DIRECTORY
//
//	new TARGET	a volume with a file system, mounted there
//	clone TARGET	a copy of one, mounted there
//	gone TARGET	either, unmounted and removed
//	fleet N THREADS	N new volumes by so many threads; they are removed afterwards, not timed
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/snapshots/devmapper"
)

const (
	metadataSectors = 1 << 21 // 1 GiB
	origin          = "origin"
)

var (
	ctx         = namespaces.WithNamespace(context.Background(), "bench")
	snapshotter *devmapper.Snapshotter
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "containerd:", err)
		os.Exit(1)
	}
}

func run(name string, arguments ...string) string {
	out, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		check(fmt.Errorf("%s: %w: %s", name, err, out))
	}
	return strings.TrimSpace(string(out))
}

// makePool makes what an administrator has to make for it, in blocks of 64 KiB.
func makePool(disk string) {
	var sectors int
	fmt.Sscan(run("blockdev", "--getsz", disk), &sectors)
	data := (sectors - metadataSectors) / 128 * 128
	run("dd", "if=/dev/zero", "of="+disk, "bs=1M", "count=1", "conv=fsync")
	run("dmsetup", "create", "--noudevsync", "cd-meta", "--table", fmt.Sprintf("0 %d linear %s 0", metadataSectors, disk))
	run("dmsetup", "create", "--noudevsync", "cd-data", "--table", fmt.Sprintf("0 %d linear %s %d", data, disk, metadataSectors))
	run("dmsetup", "create", "--noudevsync", "cd-pool", "--table",
		fmt.Sprintf("0 %d thin-pool /dev/mapper/cd-meta /dev/mapper/cd-data 128 32768 1 skip_block_zeroing", data))
}

func appear(key, parent, target string) {
	mounts, err := snapshotter.Prepare(ctx, key, parent)
	check(err)
	check(mount.All(mounts, target))
}

func vanish(key, target string) {
	check(mount.Unmount(target, 0))
	check(snapshotter.Remove(ctx, key))
}

func fleet(dir string, n, threads int) time.Duration {
	each := func(what func(key, target string)) {
		var wait sync.WaitGroup
		for t := range threads {
			wait.Go(func() {
				for i := t; i < n; i += threads {
					what(fmt.Sprint("fleet-", i), filepath.Join(dir, fmt.Sprint("cd-fleet-", i)))
				}
			})
		}
		wait.Wait()
	}
	each(func(_, target string) { check(os.MkdirAll(target, 0o755)) })
	from := time.Now()
	each(func(key, target string) { appear(key, "", target) })
	took := time.Since(from)
	each(vanish)
	return took
}

func do(dir, line string) time.Duration {
	var what, target string
	var n, threads int
	from := time.Now()
	if _, err := fmt.Sscanf(line, "fleet %d %d", &n, &threads); err == nil {
		return fleet(dir, n, threads)
	}
	fmt.Sscan(line, &what, &target)
	switch what {
	case "new":
		appear("one", "", target)
	case "clone":
		appear("one", origin, target)
	case "gone":
		vanish("one", target)
	default:
		check(fmt.Errorf("unknown: %s", line))
	}
	return time.Since(from)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: containerd DISK DIRECTORY")
		os.Exit(2)
	}
	disk, dir := os.Args[1], os.Args[2]
	makePool(disk)
	var err error
	snapshotter, err = devmapper.NewSnapshotter(ctx, &devmapper.Config{
		RootPath: filepath.Join(dir, "cd-root"), PoolName: "cd-pool", BaseImageSize: "10g",
		FileSystemType: "ext4", FsOptions: "nodiscard", DiscardBlocks: false,
	})
	check(err)
	_, err = snapshotter.Prepare(ctx, "first", "")
	check(err)
	check(snapshotter.Commit(ctx, origin, "first"))
	fmt.Println(0)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(float64(do(dir, in.Text()).Microseconds()) / 1e3)
	}
	check(snapshotter.Remove(ctx, origin))
	check(snapshotter.Close())
	for _, name := range []string{"cd-pool", "cd-data", "cd-meta"} {
		run("dmsetup", "remove", "--noudevsync", "--retry", name)
	}
}
