// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

/*
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <kvol/kvol.h>

// Whole pages of its own: never swapped, dumped, or shared with what is not secret.
static void *secret_new(const void *from, size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mlock(p, n) < 0 || madvise(p, n, MADV_DONTDUMP) < 0) {
		munmap(p, n);
		return NULL;
	}
	memcpy(p, from, n);
	return p;
}

static void secret_free(void *p, size_t n)
{
	explicit_bzero(p, n);
	munmap(p, n);
}
*/
import "C"

import (
	"sort"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// An arena holds what one call hands to C. Its first error stays, and the call is not to be made.
type arena struct {
	blocks  []unsafe.Pointer
	secrets []secret
	err     error
}

type secret struct {
	p unsafe.Pointer
	n C.size_t
}

func (a *arena) free() {
	for _, p := range a.blocks {
		C.free(p)
	}
	for _, s := range a.secrets {
		C.secret_free(s.p, s.n)
	}
}

// Zeroed memory. C.malloc does not return nil: Go ends the process before.
func (a *arena) alloc(n, size C.size_t) unsafe.Pointer {
	p := C.malloc(n * size)
	C.memset(p, 0, n*size)
	a.blocks = append(a.blocks, p)
	return p
}

// An optional string: "" is NULL.
func (a *arena) str(s string) *C.char {
	if s == "" {
		return nil
	}
	return a.must(s)
}

func (a *arena) must(s string) *C.char {
	if strings.IndexByte(s, 0) >= 0 {
		a.fail("a string with a NUL in it")
		s = ""
	}
	p := C.CString(s)
	a.blocks = append(a.blocks, unsafe.Pointer(p))
	return p
}

func (a *arena) fail(msg string) {
	if a.err == nil {
		a.err = &Error{Errno: syscall.EINVAL, Reason: ErrInvalid, Msg: msg}
	}
}

// The copy of a secret. Nil is none; an empty one is an error for the library to find.
func (a *arena) secret(s []byte) (unsafe.Pointer, C.uint64_t) {
	if s == nil {
		return nil, 0
	}
	n := C.size_t(max(len(s), 1))
	from := unsafe.Pointer(unsafe.SliceData(append([]byte(nil), 0)))
	if len(s) > 0 {
		from = unsafe.Pointer(&s[0])
	}
	p := C.secret_new(from, n)
	if p == nil {
		a.err = &Error{Errno: syscall.ENOMEM, Reason: ErrSystem, Msg: "a secret: no locked memory"}
		return nil, 0
	}
	a.secrets = append(a.secrets, secret{p, n})
	return p, C.uint64_t(len(s))
}

// Labels in the order of their keys; those of remove get no value.
func (a *arena) labels(set map[string]string, remove []string) (*C.struct_kvol_label, C.uint64_t) {
	n := len(set) + len(remove)
	if n == 0 {
		return nil, 0
	}
	p := a.alloc(C.size_t(n), C.sizeof_struct_kvol_label)
	list := unsafe.Slice((*C.struct_kvol_label)(p), n)
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for i, key := range keys {
		list[i].key, list[i].value = a.must(key), a.must(set[key])
	}
	for i, key := range remove {
		list[len(keys)+i].key = a.must(key)
	}
	return &list[0], C.uint64_t(n)
}

func goLabels(list *C.struct_kvol_label, n C.uint64_t) map[string]string {
	m := make(map[string]string, int(n))
	for _, l := range unsafe.Slice(list, int(n)) {
		m[C.GoString(l.key)] = C.GoString(l.value)
	}
	return m
}

// A guard keeps a handle from being closed under a call. Closing waits for the calls.
type guard struct {
	lock   sync.RWMutex
	closed bool
}

// enter returns what ends the call.
func (g *guard) enter() (func(), error) {
	g.lock.RLock()
	if g.closed {
		g.lock.RUnlock()
		return nil, ErrClosed
	}
	return g.lock.RUnlock, nil
}

func (g *guard) close(free func()) {
	g.lock.Lock()
	defer g.lock.Unlock()
	if !g.closed {
		g.closed = true
		free()
	}
}
