// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"errors"
	"io/fs"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

// What each of the library's reasons is in CSI.
var reasonCodes = map[kvol.Reason]codes.Code{
	kvol.ErrInvalid:         codes.InvalidArgument,
	kvol.ErrNotFound:        codes.NotFound,
	kvol.ErrExistsDifferent: codes.AlreadyExists,
	kvol.ErrBusyOpen:        codes.FailedPrecondition,
	kvol.ErrBusyPublished:   codes.FailedPrecondition,
	kvol.ErrHasSignature:    codes.FailedPrecondition,
	kvol.ErrNotAPool:        codes.FailedPrecondition,
	kvol.ErrPoolReadOnly:    codes.FailedPrecondition,
	kvol.ErrPoolNeedsCheck:  codes.FailedPrecondition,
	kvol.ErrNoDataSpace:     codes.ResourceExhausted,
	kvol.ErrNoMetadataSpace: codes.ResourceExhausted,
	kvol.ErrLimit:           codes.ResourceExhausted,
	kvol.ErrForeignHost:     codes.FailedPrecondition,
	kvol.ErrUnsupported:     codes.InvalidArgument,
	kvol.ErrNoKernelSupport: codes.FailedPrecondition,
	kvol.ErrIO:              codes.Internal,
	kvol.ErrCorrupt:         codes.DataLoss,
	kvol.ErrSystem:          codes.Internal,
	kvol.ErrTimeout:         codes.Aborted,
	kvol.ErrAccessConflict:  codes.FailedPrecondition,
	kvol.ErrNeedsSecret:     codes.Unauthenticated,
	kvol.ErrWrongSecret:     codes.Unauthenticated,
}

// failure turns any error into one with a code. The library's messages name the object and the failed
// step, and hold no secrets: they are passed on as they are.
func failure(err error) error {
	if _, ok := status.FromError(err); ok {
		return err // nil, too
	}
	if code, ok := reasonCodes[kvol.ReasonOf(err)]; ok {
		return status.Error(code, err.Error())
	}
	switch {
	case errors.Is(err, kvol.ErrClosed):
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, fs.ErrNotExist):
		return status.Error(codes.NotFound, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

func invalid(format string, a ...any) error {
	return status.Errorf(codes.InvalidArgument, format, a...)
}

// missing is the answer to a request without a required field.
func missing(field string) error {
	return invalid("%s is missing", field)
}

func notFound(what, id string) error {
	return status.Errorf(codes.NotFound, "%s %q does not exist", what, id)
}
