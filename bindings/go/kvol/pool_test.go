// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// On a real pool: as root, with device-mapper, in the directory $KVOL_TEST_DIR.
func openPool(t *testing.T, log func(int, string)) *Pool {
	t.Helper()
	if os.Getenv("KVOL_TEST_DIR") == "" {
		t.Skip("KVOL_TEST_DIR is not set")
	}
	dir, err := os.MkdirTemp(os.Getenv("KVOL_TEST_DIR"), "go")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(&ContextOptions{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pool.img")
	if err = c.Format("gobinding", path, &FormatOptions{FileBytes: 2 << 30}); err != nil {
		t.Fatal(err)
	}
	p, err := c.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // the pool does not need it, nor does its log
	t.Cleanup(func() {
		if err := p.Deactivate(); err != nil {
			t.Error(err)
		}
		p.Close()
		os.RemoveAll(dir)
	})
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPool(t *testing.T) {
	p := openPool(t, func(int, string) {})
	target := t.TempDir()
	must(t, p.Create("v", 64<<20, &CreateOptions{FSType: "ext4", Labels: map[string]string{"a": "1", "b": ""}}))
	must(t, p.Publish("v", target, &PublishOptions{Labels: map[string]string{"pod": "x"}}))
	must(t, os.WriteFile(filepath.Join(target, "f"), []byte("data"), 0o600))
	must(t, p.Snapshot("v", "s", map[string]string{"kind": "snap"}))
	must(t, p.Clone("s", "c", &CreateOptions{Bytes: 96 << 20}))

	i, err := p.Stat("c")
	if err != nil || i.Bytes != 96<<20 || i.Source != "s" || i.Kind != KindVolume || i.FSType != "ext4" {
		t.Errorf("the clone: %+v %v", i, err)
	}
	s, err := p.VolumeStat("v")
	if err != nil || !s.FS || s.FSBytes == 0 || s.Condition != ConditionOK {
		t.Errorf("the statistics: %+v %v", s, err)
	}
	must(t, p.SetLabels("v", map[string]string{"c": "3"}, "a"))
	l, err := p.Labels("v")
	if err != nil || fmt.Sprint(l) != "map[b: c:3]" {
		t.Errorf("the labels: %v %v", l, err)
	}
	if v, err := p.Label("v", "c"); err != nil || v != "3" {
		t.Errorf("the label: %q %v", v, err)
	}
	if _, err := p.Label("v", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a label that is not there: %v", err)
	}
	three := "3"
	list, err := p.List(&ListOptions{Volumes: true, LabelKey: "c", LabelValue: &three})
	if err != nil || len(list) != 1 || list[0].Name != "v" {
		t.Errorf("by label: %v %v", list, err)
	}
	if list, err = p.List(nil); err != nil || len(list) != 3 {
		t.Errorf("all: %v %v", list, err)
	}
	pubs, err := p.Publications("v")
	if err != nil || len(pubs) != 1 || pubs[0].Target != target || pubs[0].Labels["pod"] != "x" {
		t.Errorf("the publishes: %v %v", pubs, err)
	}
	holders, err := p.Why("v")
	if err != nil || len(holders) == 0 || !holders[0].Published {
		t.Errorf("the holders: %v %v", holders, err)
	}
	if err = p.Delete("v"); !errors.Is(err, ErrBusyPublished) {
		t.Errorf("deleted while published: %v", err)
	}
	must(t, p.Unpublish("v", target, ""))
	two := uint64(2)
	must(t, p.SetPolicy(Policy{MaxPublished: &two}))
	if i, err := p.Info(); err != nil || i.MaxPublished != 2 || i.Volumes != 2 || i.Snapshots != 1 {
		t.Errorf("the pool: %+v %v", i, err)
	}
}

func TestPoolTemplates(t *testing.T) {
	p := openPool(t, nil)
	must(t, p.MakeTemplate("ext4", 64<<20))
	must(t, p.MakeTemplate("ext4", 32<<20))
	must(t, p.Create("v", 64<<20, &CreateOptions{FSType: "ext4"}))
	list, err := p.Templates()
	if err != nil || len(list) != 2 || list[0].Kind != KindTemplate || list[0].FSType != "ext4" {
		t.Errorf("the templates: %+v %v", list, err)
	}
	if list, err = p.List(nil); err != nil || len(list) != 1 || list[0].Name != "v" {
		t.Errorf("the volumes: %+v %v", list, err)
	}
	must(t, p.DeleteTemplates("ext4", 32<<20))
	if list, err = p.Templates(); err != nil || len(list) != 1 || list[0].Bytes != 64<<20 {
		t.Errorf("what is left of the templates: %+v %v", list, err)
	}
	must(t, p.DeleteTemplates("", 0))
	if list, err = p.Templates(); err != nil || len(list) != 0 {
		t.Errorf("they are gone: %+v %v", list, err)
	}
	if err := p.MakeTemplate("ntfs", 64<<20); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an unknown file system: %v", err)
	}
}

func TestPoolSecrets(t *testing.T) {
	p := openPool(t, nil)
	target := t.TempDir()
	must(t, p.Create("e", 64<<20, &CreateOptions{FSType: "ext4", Secret: []byte("old")}))
	must(t, p.ChangeSecret("e", []byte("old"), []byte("new")))
	if err := p.Publish("e", target, nil); !errors.Is(err, ErrNeedsSecret) {
		t.Errorf("without a secret: %v", err)
	}
	if err := p.Publish("e", target, &PublishOptions{Secret: []byte("old")}); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("with the wrong one: %v", err)
	}
	must(t, p.Publish("e", target, &PublishOptions{Secret: []byte("new")}))
	must(t, p.Unpublish("e", target, ""))
}

func TestPoolFromManyGoroutines(t *testing.T) {
	var all sync.WaitGroup
	p := openPool(t, nil)
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			name := fmt.Sprint("v", i)
			for _, err := range []error{p.Create(name, 16<<20, nil), p.Snapshot(name, name+"s", nil), p.Delete(name)} {
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	if list, err := p.List(nil); err != nil || len(list) != 8 {
		t.Errorf("%d left, %v", len(list), err)
	}
}
