// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

import (
	"errors"
	"syscall"
)

// Reason says why a call failed: a KVOL_R_*. It is an error itself, for errors.Is.
type Reason uint32

// The reasons, as the header explains them.
const (
	ErrInvalid         = Reason(C.KVOL_R_INVALID)
	ErrNotFound        = Reason(C.KVOL_R_NOT_FOUND)
	ErrExistsDifferent = Reason(C.KVOL_R_EXISTS_DIFFERENT)
	ErrBusyOpen        = Reason(C.KVOL_R_BUSY_OPEN)
	ErrBusyPublished   = Reason(C.KVOL_R_BUSY_PUBLISHED)
	ErrHasSignature    = Reason(C.KVOL_R_HAS_SIGNATURE)
	ErrNotAPool        = Reason(C.KVOL_R_NOT_A_POOL)
	ErrPoolReadOnly    = Reason(C.KVOL_R_POOL_READ_ONLY)
	ErrPoolNeedsCheck  = Reason(C.KVOL_R_POOL_NEEDS_CHECK)
	ErrNoDataSpace     = Reason(C.KVOL_R_NO_DATA_SPACE)
	ErrNoMetadataSpace = Reason(C.KVOL_R_NO_METADATA_SPACE)
	ErrLimit           = Reason(C.KVOL_R_LIMIT)
	ErrForeignHost     = Reason(C.KVOL_R_FOREIGN_HOST)
	ErrUnsupported     = Reason(C.KVOL_R_UNSUPPORTED)
	ErrNoKernelSupport = Reason(C.KVOL_R_NO_KERNEL_SUPPORT)
	ErrIO              = Reason(C.KVOL_R_IO)
	ErrCorrupt         = Reason(C.KVOL_R_CORRUPT)
	ErrSystem          = Reason(C.KVOL_R_SYSTEM)
	ErrTimeout         = Reason(C.KVOL_R_TIMEOUT)
	ErrAccessConflict  = Reason(C.KVOL_R_ACCESS_CONFLICT)
	ErrNeedsSecret     = Reason(C.KVOL_R_NEEDS_SECRET)
	ErrWrongSecret     = Reason(C.KVOL_R_WRONG_SECRET)
	reasonNone         = Reason(C.KVOL_R_NONE)
)

// ErrClosed is what calls on a closed Context or Pool give.
var ErrClosed = errors.New("kvol: the handle is closed")

// String is the reason's name, such as "KVOL_R_BUSY_OPEN".
func (r Reason) String() string {
	return C.GoString(C.kvol_reason_str(C.uint32_t(r)))
}

func (r Reason) Error() string {
	return r.String()
}

// Error is struct kvol_error.
type Error struct {
	Errno  syscall.Errno
	Reason Reason
	Index  uint32 // the failing element of a list
	Msg    string
}

func (e *Error) Error() string {
	return e.Msg
}

// Is lets errors.Is compare with a Reason or with a syscall.Errno.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Reason:
		return e.Reason == t
	case syscall.Errno:
		return e.Errno == t
	}
	return false
}

// ReasonOf is the reason of a failure of this package, else 0.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return reasonNone
}

func result(r C.int, e *C.struct_kvol_error) error {
	if r >= 0 {
		return nil
	}
	return &Error{
		Errno:  syscall.Errno(-e.code),
		Reason: Reason(e.reason),
		Index:  uint32(e.index),
		Msg:    C.GoString(&e.msg[0]),
	}
}

// Iterators tell an errno alone.
func iterResult(what string, r C.int) error {
	if r >= 0 {
		return nil
	}
	errno, reason := syscall.Errno(-r), ErrSystem
	switch errno {
	case syscall.ETIMEDOUT:
		reason = ErrTimeout
	case syscall.E2BIG:
		reason = ErrLimit
	case syscall.EINVAL, syscall.ECHILD:
		reason = ErrInvalid
	}
	return &Error{Errno: errno, Reason: reason, Msg: what + ": " + errno.Error()}
}
