// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"net/http"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
	running  prometheus.Gauge
}

func newMetrics(pool *kvol.Pool) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kvol_csi_call_seconds",
			Help:    "How long CSI calls took, by method and gRPC code.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"method", "code"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kvol_csi_calls_running", Help: "CSI calls on their way."}),
	}
	m.registry.MustRegister(m.calls, m.running, &poolCollector{pool}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) count(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	m.running.Inc()
	answer, err := next(ctx, request)
	m.running.Dec()
	m.calls.WithLabelValues(path.Base(info.FullMethod), status.Code(err).String()).Observe(time.Since(begin).Seconds())
	return answer, err
}

// poolCollector asks the pool when it is asked.
type poolCollector struct {
	pool *kvol.Pool
}

type figure struct {
	desc  *prometheus.Desc
	value func(*kvol.PoolInfo) uint64
}

func newFigure(name, help string, value func(*kvol.PoolInfo) uint64) figure {
	return figure{prometheus.NewDesc("kvol_pool_"+name, help, []string{"pool"}, nil), value}
}

func flagFigure(name, help string, flags kvol.PoolFlags) figure {
	return newFigure(name, help, func(i *kvol.PoolInfo) uint64 {
		if i.Flags&flags != 0 {
			return 1
		}
		return 0
	})
}

var figures = []figure{
	newFigure("data_bytes", "Data space.", func(i *kvol.PoolInfo) uint64 { return i.DataBytes }),
	newFigure("data_used_bytes", "Data space in use.", func(i *kvol.PoolInfo) uint64 { return i.DataUsed }),
	newFigure("metadata_bytes", "Metadata space.", func(i *kvol.PoolInfo) uint64 { return i.MetadataBytes }),
	newFigure("metadata_used_bytes", "Metadata space in use.", func(i *kvol.PoolInfo) uint64 { return i.MetadataUsed }),
	newFigure("capacity_bytes", "What new volumes can have.", func(i *kvol.PoolInfo) uint64 { return i.Capacity }),
	newFigure("provisioned_bytes", "Sum of the volumes' sizes.", func(i *kvol.PoolInfo) uint64 { return i.Provisioned }),
	newFigure("volumes", "Volumes.", func(i *kvol.PoolInfo) uint64 { return i.Volumes }),
	newFigure("snapshots", "Snapshots.", func(i *kvol.PoolInfo) uint64 { return i.Snapshots }),
	newFigure("published_volumes", "Volumes published on this node.", func(i *kvol.PoolInfo) uint64 { return i.Published }),
	flagFigure("read_only", "1: the pool takes no changes.", kvol.PoolReadOnly|kvol.PoolAudit|kvol.PoolNeedsCheck),
	flagFigure("low", "1: data or metadata space is below the reserve, or used up.",
		kvol.PoolLowData|kvol.PoolLowMetadata|kvol.PoolOutOfData|kvol.PoolOutOfMetadata),
}

func (c *poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range figures {
		out <- f.desc
	}
}

func (c *poolCollector) Collect(out chan<- prometheus.Metric) {
	info, err := c.pool.Info()
	if err != nil {
		out <- prometheus.NewInvalidMetric(figures[0].desc, err)
		return
	}
	for _, f := range figures {
		out <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, float64(f.value(&info)), info.Name)
	}
}
