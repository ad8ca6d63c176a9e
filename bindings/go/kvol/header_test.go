// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each function, constant and field of options or info of the header, and of what it includes, is used
// by the binding.
func TestTheWholeHeaderIsBound(t *testing.T) {
	dir, err := exec.Command("pkg-config", "--variable=includedir", "kvol").Output()
	if err != nil {
		t.Skip("pkg-config does not know kvol here")
	}
	root := os.Getenv("PKG_CONFIG_SYSROOT_DIR")
	path := filepath.Join(strings.TrimSpace(string(dir)), "kvol")
	if !strings.HasPrefix(path, root) {
		path = filepath.Join(root, path)
	}
	var header, source strings.Builder
	for _, name := range []string{"kvol.h", "template.h"} {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		header.Write(text)
	}
	files, _ := filepath.Glob("*.go")
	for _, name := range append(files, "log.c") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	text := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(header.String(), "")
	used := func(name string) bool {
		return regexp.MustCompile(`\b` + name + `\b`).MatchString(source.String())
	}
	n := 0
	for _, pattern := range []string{`\b(kvol_[a-z_]+)\(`, `(?m)^#define (KVOL_\w+)`} {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			n++
			if !used(m[1]) && !strings.HasSuffix(m[1], "_H") {
				t.Errorf("%s is not bound", m[1])
			}
		}
	}
	for _, s := range regexp.MustCompile(`(?s)struct kvol_\w+ \{(.*?)\n\};`).FindAllStringSubmatch(text, -1) {
		for _, m := range regexp.MustCompile(`(\w+)(?:\[\d+\])?;`).FindAllStringSubmatch(s[1], -1) {
			n++
			if !used(m[1]) && !strings.HasPrefix(m[1], "reserved") {
				t.Errorf("the field %s is not bound", m[1])
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d names were found in %s", n, path)
	}
}
