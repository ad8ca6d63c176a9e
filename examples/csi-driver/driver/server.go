// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"kvol.local/kvol"
)

// Run serves until the context ends, then lets the calls that are on their way come to their end. Where
// they do not in time the process may go all the same: the library is safe against that.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	pool, err := openPool(&c, log)
	if err != nil {
		return err
	}
	defer pool.Close()
	d := &Driver{Config: c, pool: pool, log: log}
	m := newMetrics(pool)
	if c.MetricsAddress != "" {
		stop, err := d.serveHTTP(m)
		if err != nil {
			return err
		}
		defer stop()
	}
	l, err := listen(&c)
	if err != nil {
		return err
	}
	server, status := d.newServer(m)
	log.Info("serving", "endpoint", c.Endpoint, "pool", c.Pool, "node", c.NodeID, "mode", c.Mode,
		"driver", c.Name, "version", Version, "libkvol", kvol.Version())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err = <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("draining")
	status.Shutdown()
	d.drain(server)
	log.Info("done")
	return nil
}

func openPool(c *Config, log *slog.Logger) (*kvol.Pool, error) {
	k, err := kvol.New(&kvol.ContextOptions{Log: libraryLog(log), RunDir: c.RunDir, HostID: c.HostID})
	if err != nil {
		return nil, err
	}
	defer k.Close()
	return k.Open(c.Pool, nil)
}

// A socket that a killed driver left is in the way.
func listen(c *Config) (net.Listener, error) {
	path, err := c.socket()
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err = os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return net.Listen("unix", path)
}

func (d *Driver) newServer(m *metrics) (*grpc.Server, *health.Server) {
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(m.count, d.logCall, d.recoverCall))
	csi.RegisterIdentityServer(s, d)
	if d.Mode != Node {
		csi.RegisterControllerServer(s, d)
	}
	if d.Mode != Controller {
		csi.RegisterNodeServer(s, d)
	}
	h := health.NewServer()
	grpc_health_v1.RegisterHealthServer(s, h)
	return s, h
}

func (d *Driver) drain(s *grpc.Server) {
	done := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(d.DrainTimeout):
		d.log.Warn("calls did not end in time")
		os.Exit(1) // Stop would wait for them, too
	}
}

func (d *Driver) serveHTTP(m *metrics) (stop func(), err error) {
	l, err := net.Listen("tcp", d.MetricsAddress)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := d.pool.Info(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("metrics", "error", err)
		}
	}()
	return func() { _ = s.Close() }, nil
}
