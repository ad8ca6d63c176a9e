// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// flagsOf gives the VmFlags of the mapping that an address is in, "" if there is none.
func flagsOf(t *testing.T, p unsafe.Pointer) string {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	in := false
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x ", &from, &to); n == 2 {
			in = uintptr(p) >= from && uintptr(p) < to
		}
		if flags, ok := strings.CutPrefix(s.Text(), "VmFlags:"); ok && in {
			return flags + " "
		}
	}
	return ""
}

func TestSecretsAreLockedCopies(t *testing.T) {
	var a arena
	want := []byte("correct horse")
	p, n := a.secret(want)
	if a.err != nil {
		t.Fatal(a.err)
	}
	got := unsafe.Slice((*byte)(p), int(n))
	if string(got) != string(want) || &got[0] == &want[0] {
		t.Error("not a copy")
	}
	flags := flagsOf(t, p)
	if !strings.Contains(flags, " lo ") || !strings.Contains(flags, " dd ") {
		t.Errorf("not locked and left out of dumps: %s", flags)
	}
	a.free()
	if flagsOf(t, p) != "" {
		t.Error("still mapped")
	}
}

func TestAnEmptySecretIsNotNone(t *testing.T) {
	var a arena
	defer a.free()
	if p, n := a.secret(nil); p != nil || n != 0 {
		t.Error("none became one")
	}
	if p, n := a.secret([]byte{}); p == nil || n != 0 {
		t.Error("an empty one was lost")
	}
}
