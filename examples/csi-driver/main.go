// SPDX-License-Identifier: LGPL-2.1-or-later

// Command kvol-csi is a CSI driver over libkvol: see README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kvol.local/csi-driver/driver"
)

func main() {
	c, log, err := parse(os.Args[1:])
	if err == flag.ErrHelp {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kvol-csi:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err = driver.Run(ctx, c, log); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func parse(arguments []string) (driver.Config, *slog.Logger, error) {
	var c driver.Config
	var format string
	var level slog.Level
	host, _ := os.Hostname()
	f := flag.NewFlagSet("kvol-csi", flag.ContinueOnError)
	f.StringVar(&c.Endpoint, "endpoint", "unix:///csi/csi.sock", "where to serve: unix://PATH")
	f.StringVar(&c.Pool, "pool", "", "path of the pool's disk or file, or the name of an active pool")
	f.StringVar(&c.NodeID, "node-id", host, "what this node is called")
	f.StringVar(&c.Name, "driver-name", "csi.kvol", "what the driver is called")
	f.TextVar(&c.Mode, "mode", driver.All, "which services: all, node or controller")
	f.StringVar(&c.MetricsAddress, "metrics-address", "", "where /metrics and /healthz are served, such as :9808; empty: nowhere")
	f.StringVar(&c.MountNamespace, "mount-namespace", "", "where volumes are published, such as /proc/1/ns/mnt; empty: here")
	f.StringVar(&c.RunDir, "run-dir", "", "libkvol's run directory (default /run/kvol)")
	f.StringVar(&c.HostID, "host-id", "", "what this host is called in its claim to the pool (default the machine's own id)")
	f.StringVar(&c.DefaultFS, "default-fs", "ext4", "file system of volumes whose class names none")
	f.BoolVar(&c.ExpandOnNode, "expand-on-node", false, "expand on the node alone: for a resizer that does not run on every node")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", time.Minute, "how long calls may go on after SIGTERM")
	f.StringVar(&format, "log-format", "text", "text or json")
	f.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := f.Parse(arguments); err != nil {
		return c, nil, err
	}
	if f.NArg() > 0 {
		return c, nil, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return c, slog.New(slog.NewTextHandler(os.Stderr, options)), c.Check()
	case "json":
		return c, slog.New(slog.NewJSONHandler(os.Stderr, options)), c.Check()
	}
	return c, nil, fmt.Errorf("unknown log format %q", format)
}
