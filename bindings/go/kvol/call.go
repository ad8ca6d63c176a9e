// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

// call is what every method does: hold the handle open, run, and take the error home.
func (g *guard) call(f func(*arena, *C.struct_kvol_error) C.int) error {
	var a arena
	var e C.struct_kvol_error
	leave, err := g.enter()
	if err != nil {
		return err
	}
	defer leave()
	defer a.free()
	r := f(&a, &e)
	if a.err != nil {
		return a.err
	}
	return result(r, &e)
}

// run calls C unless some argument could not be handed over.
func (a *arena) run(f func() C.int) C.int {
	if a.err != nil {
		return 0
	}
	return f()
}

func flag(on bool, bit C.uint32_t) C.uint32_t {
	if on {
		return bit
	}
	return 0
}
