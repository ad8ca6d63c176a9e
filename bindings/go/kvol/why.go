// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

// HolderKind is what holds a volume.
type HolderKind uint32

const (
	HolderMount     = HolderKind(C.KVOL_WHY_MOUNT)
	HolderNamespace = HolderKind(C.KVOL_WHY_NAMESPACE)
	HolderProcess   = HolderKind(C.KVOL_WHY_PROCESS)
	HolderDevice    = HolderKind(C.KVOL_WHY_DEVICE)
)

// HolderHow is how a process holds it.
type HolderHow uint32

const (
	ByFile   = HolderHow(C.KVOL_WHY_BY_FILE)
	ByCWD    = HolderHow(C.KVOL_WHY_BY_CWD)
	ByRoot   = HolderHow(C.KVOL_WHY_BY_ROOT)
	ByExe    = HolderHow(C.KVOL_WHY_BY_EXE)
	ByMmap   = HolderHow(C.KVOL_WHY_BY_MMAP)
	ByDevice = HolderHow(C.KVOL_WHY_BY_DEVICE)
)

// Holder is struct kvol_why_info.
type Holder struct {
	Published      bool // KVOL_WHY_PUBLISHED
	Kind           HolderKind
	How            HolderHow
	PID            uint32
	UID            uint32
	MountNamespace uint64
	What           string
	Target         string
}

// Why tells who holds a volume. With an error there may be part of the list.
func (p *Pool) Why(name string) ([]Holder, error) {
	var list []Holder
	err := p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		var iter *C.struct_kvol_why_iter
		cname := a.must(name)
		r := a.run(func() C.int { return C.kvol_why(p.c, cname, 0, &iter, e) })
		if r < 0 || a.err != nil {
			return r
		}
		defer C.kvol_why_free(iter)
		for {
			var i C.struct_kvol_why_info
			i.size = C.sizeof_struct_kvol_why_info
			r = C.kvol_why_next(iter, &i)
			if r <= 0 {
				a.err = iterResult("list holders", r)
				return r
			}
			list = append(list, Holder{
				Published:      i.flags&C.KVOL_WHY_PUBLISHED != 0,
				Kind:           HolderKind(i.kind),
				How:            HolderHow(i.how),
				PID:            uint32(i.pid),
				UID:            uint32(i.uid),
				MountNamespace: uint64(i.mount_namespace),
				What:           C.GoString(&i.what[0]),
				Target:         C.GoString(&i.target[0]),
			})
		}
	})
	return list, err
}
