// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What the library logs, with syslog's priorities.
func libraryLog(log *slog.Logger) func(int, string) {
	levels := []slog.Level{
		slog.LevelError, slog.LevelError, slog.LevelError, slog.LevelError,
		slog.LevelWarn, slog.LevelInfo, slog.LevelInfo, slog.LevelDebug,
	}
	return func(priority int, msg string) {
		log.Log(context.Background(), levels[max(0, min(priority, 7))], msg, "from", "libkvol")
	}
}

// subject is what a request is about. Only these fields are ever logged: a request has secrets, too.
func subject(request any) []any {
	var a []any
	add := func(key, value string) {
		if value != "" {
			a = append(a, key, value)
		}
	}
	if r, ok := request.(interface{ GetName() string }); ok {
		add("name", r.GetName())
	}
	if r, ok := request.(interface{ GetVolumeId() string }); ok {
		add("volume", r.GetVolumeId())
	}
	if r, ok := request.(interface{ GetSnapshotId() string }); ok {
		add("snapshot", r.GetSnapshotId())
	}
	if r, ok := request.(interface{ GetSourceVolumeId() string }); ok {
		add("source", r.GetSourceVolumeId())
	}
	if r, ok := request.(interface{ GetTargetPath() string }); ok {
		add("target", r.GetTargetPath())
	}
	return a
}

func (d *Driver) logCall(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	answer, err := next(ctx, request)
	a := append([]any{"method", info.FullMethod, "code", status.Code(err).String(), "took", time.Since(begin)}, subject(request)...)
	switch status.Code(err) {
	case codes.OK:
		d.log.Debug("call", a...)
	case codes.Internal, codes.DataLoss, codes.Unknown:
		d.log.Error("call", append(a, "error", err)...)
	default:
		d.log.Info("call", append(a, "error", err)...)
	}
	return answer, err
}

// A bug in one call is no reason to end the others. What was being done is safe: the library did it or not.
func (d *Driver) recoverCall(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("panic", "method", info.FullMethod, "value", p, "stack", string(debug.Stack()))
			answer, err = nil, status.Error(codes.Internal, "a bug in the driver: see its log")
		}
	}()
	return next(ctx, request)
}
