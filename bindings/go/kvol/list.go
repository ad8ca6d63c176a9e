// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <stdlib.h>
// #include <kvol/kvol.h>
import "C"

import "unsafe"

// ListOptions are struct kvol_list_opts.
type ListOptions struct {
	Volumes    bool // KVOL_LIST_VOLUMES; neither of the two is both
	Snapshots  bool // KVOL_LIST_SNAPSHOTS
	Templates  bool // KVOL_LIST_TEMPLATES; by itself
	LabelKey   string
	LabelValue *string // nil: any
	Source     string
	After      string
	Limit      uint64
}

// List lists volumes and snapshots by name, as they are at the call.
func (p *Pool) List(o *ListOptions) ([]Info, error) {
	var list []Info
	if o == nil {
		o = &ListOptions{}
	}
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var iter *C.struct_kvol_iter
		opts := C.struct_kvol_list_opts{
			size: C.sizeof_struct_kvol_list_opts,
			flags: flag(o.Volumes, C.KVOL_LIST_VOLUMES) | flag(o.Snapshots, C.KVOL_LIST_SNAPSHOTS) |
				flag(o.Templates, C.KVOL_LIST_TEMPLATES),
			label_key: a.str(o.LabelKey),
			source:    a.str(o.Source),
			after:     a.str(o.After),
			limit:     C.uint64_t(o.Limit),
		}
		if o.LabelValue != nil {
			opts.label_value = a.must(*o.LabelValue)
		}
		r := a.run(func() C.int {
			if *o == (ListOptions{}) {
				return C.kvol_list(p.c, 0, &iter, e)
			}
			return C.kvol_list_filtered(p.c, &opts, &iter, e)
		})
		if r < 0 || a.err != nil {
			return r
		}
		defer C.kvol_iter_free(iter)
		for {
			var i C.struct_kvol_info
			i.size = C.sizeof_struct_kvol_info
			r = C.kvol_iter_next(iter, &i)
			if r <= 0 {
				a.err = iterResult("list the pool", r)
				return r
			}
			list = append(list, goInfo(&i))
		}
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// What the labels of an object, and of a call, are bounded by.
const (
	LabelsMax     = int(C.KVOL_LABELS_MAX)
	LabelKeyMax   = int(C.KVOL_LABEL_KEY_MAX)
	LabelValueMax = int(C.KVOL_LABEL_VALUE_MAX)
)

// SetLabels sets and removes labels of a volume or snapshot, or with the name "" of the pool.
func (p *Pool) SetLabels(name string, set map[string]string, remove ...string) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname := a.str(name)
		list, n := a.labels(set, remove)
		return a.run(func() C.int { return C.kvol_label_set(p.c, cname, list, n, e) })
	})
}

// Label is the value of one label.
func (p *Pool) Label(name, key string) (string, error) {
	var value string
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cname, ckey := a.str(name), a.must(key)
		room := C.size_t(LabelValueMax + 1)
		buffer := (*C.char)(C.malloc(room))
		a.blocks = append(a.blocks, unsafe.Pointer(buffer))
		r := a.run(func() C.int {
			return C.kvol_label_get(p.c, cname, ckey, buffer, C.uint64_t(room), e)
		})
		if r == 0 && a.err == nil {
			value = C.GoString(buffer)
		}
		return r
	})
	return value, err
}

// Labels are all labels of a volume or snapshot, or with the name "" of the pool.
func (p *Pool) Labels(name string) (map[string]string, error) {
	labels := map[string]string{}
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var iter *C.struct_kvol_label_iter
		cname := a.str(name)
		r := a.run(func() C.int { return C.kvol_label_list(p.c, cname, &iter, e) })
		if r < 0 || a.err != nil {
			return r
		}
		defer C.kvol_label_iter_free(iter)
		for {
			var l C.struct_kvol_label
			r = C.kvol_label_iter_next(iter, &l)
			if r <= 0 {
				a.err = iterResult("list labels", r)
				return r
			}
			labels[C.GoString(l.key)] = C.GoString(l.value)
		}
	})
	if err != nil {
		return nil, err
	}
	return labels, nil
}
