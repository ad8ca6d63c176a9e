// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

// MakeTemplate makes ready what volumes of so many bytes with a file system are cloned of.
func (p *Pool) MakeTemplate(fsType string, bytes uint64) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cfs := a.must(fsType)
		return a.run(func() C.int { return C.kvol_template_make(p.c, cfs, C.uint64_t(bytes), e) })
	})
}

// DeleteTemplates deletes the templates with a file system ("": with any) for volumes of so many bytes
// (0: of any size).
func (p *Pool) DeleteTemplates(fsType string, bytes uint64) error {
	return p.call(func(a *arena, e *C.struct_kvol_error) C.int {
		cfs := a.str(fsType)
		return a.run(func() C.int { return C.kvol_template_delete(p.c, cfs, C.uint64_t(bytes), e) })
	})
}

// Templates lists the pool's templates.
func (p *Pool) Templates() ([]Info, error) {
	return p.List(&ListOptions{Templates: true})
}
