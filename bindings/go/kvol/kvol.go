// SPDX-License-Identifier: LGPL-2.1-or-later

// Package kvol is libkvol for Go: volumes for containers, from inside the calling process.
//
// Each method is one function of <kvol/kvol.h>, which is the reference manual: what a call does, what
// it waits for, and what its errors mean is said there. A failure is an *Error, which errors.Is
// compares by reason and by errno:
//
//	if errors.Is(err, kvol.ErrBusyPublished) { ... }
//
// Everything may be used from any number of goroutines. Strings and secrets are copied for the call;
// a secret's copy is in locked memory and wiped. No memory of C's outlives a call but that of the
// handles, which Close frees.
package kvol

/*
#cgo !kvol_static pkg-config: kvol
#cgo kvol_static pkg-config: --static kvol
#include <kvol/kvol.h>
#include "log.h"
*/
import "C"

import (
	"runtime/cgo"
	"sync/atomic"
)

// Version tells which libkvol is in use.
func Version() string {
	return C.GoString(C.kvol_version())
}

// ContextOptions are struct kvol_ctx_opts.
type ContextOptions struct {
	// Log gets one line at a time, with a priority of syslog(3), on the goroutine of the call.
	Log    func(priority int, msg string)
	RunDir string
	HostID string
}

// Context is struct kvol_ctx: settings and logging.
type Context struct {
	guard
	c   *C.struct_kvol_ctx
	log *logger
}

// New makes a context.
func New(o *ContextOptions) (*Context, error) {
	var a arena
	var e C.struct_kvol_error
	defer a.free()
	if o == nil {
		o = &ContextOptions{}
	}
	c := &Context{log: newLogger(o.Log)}
	opts := C.struct_kvol_ctx_opts{run_dir: a.str(o.RunDir), host_id: a.str(o.HostID)}
	opts.size = C.uint32_t(C.sizeof_struct_kvol_ctx_opts)
	if c.log != nil {
		C.kvol_go_set_log(&opts, C.uintptr_t(c.log.handle))
	}
	err := a.err
	if err == nil {
		err = result(C.kvol_new(&opts, &c.c, &e), &e)
	}
	if err != nil {
		c.log.drop()
		return nil, err
	}
	return c, nil
}

// Close frees the context, once. Pools that were opened with it stay usable.
func (c *Context) Close() {
	c.close(func() {
		C.kvol_free(c.c)
		c.log.drop()
	})
}

// A logger lives as long as the context or pool that uses it last.
type logger struct {
	handle cgo.Handle
	users  atomic.Int32
}

func newLogger(f func(int, string)) *logger {
	if f == nil {
		return nil
	}
	l := &logger{handle: cgo.NewHandle(f)}
	l.users.Store(1)
	return l
}

func (l *logger) take() *logger {
	if l != nil {
		l.users.Add(1)
	}
	return l
}

func (l *logger) drop() {
	if l != nil && l.users.Add(-1) == 0 {
		l.handle.Delete()
	}
}
