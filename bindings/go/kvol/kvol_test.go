// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func newContext(t *testing.T) *Context {
	t.Helper()
	c, err := New(&ContextOptions{RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestErrorsAreToldByReasonAndErrno(t *testing.T) {
	c := newContext(t)
	err := c.Format("-bad", "/nowhere/pool", nil)
	if !errors.Is(err, ErrInvalid) || !errors.Is(err, syscall.EINVAL) || errors.Is(err, ErrNotFound) {
		t.Errorf("a bad name: %v", err)
	}
	var e *Error
	if !errors.As(err, &e) || e.Msg == "" || ReasonOf(err).String() != "KVOL_R_INVALID" {
		t.Errorf("a bad name: %#v", e)
	}
	_, err = c.Open(filepath.Join(t.TempDir(), "none"), nil)
	if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNoKernelSupport) {
		t.Errorf("no such pool: %v", err)
	}
}

func TestNULInStringsIsRefused(t *testing.T) {
	c := newContext(t)
	// C would see the name "good" only.
	if err := c.Format("good\x00bad", filepath.Join(t.TempDir(), "p"), nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if _, err := New(&ContextOptions{HostID: "a\x00b"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestClosedHandlesAreRefused(t *testing.T) {
	c := newContext(t)
	c.Close()
	c.Close()
	if err := c.Format("x", "/x", nil); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	if _, err := c.Open("/x", nil); err != ErrClosed {
		t.Errorf("got %v", err)
	}
}

func TestClosingWaitsForCalls(t *testing.T) {
	var all sync.WaitGroup
	c := newContext(t)
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 100 {
				err := c.Format("-bad", "/nowhere", nil)
				if err != ErrClosed && !errors.Is(err, ErrInvalid) {
					t.Errorf("got %v", err)
				}
			}
		}()
	}
	c.Close()
	all.Wait()
}

func TestNilHandlesAndOptions(t *testing.T) {
	c, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if !strings.Contains(Version(), ".") {
		t.Error(Version())
	}
	if ReasonOf(nil) != 0 || ReasonOf(errors.New("x")) != 0 {
		t.Error("a reason out of nothing")
	}
}
