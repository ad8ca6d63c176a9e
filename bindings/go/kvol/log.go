// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <stdint.h>
import "C"

import "runtime/cgo"

//export kvolGoLog
func kvolGoLog(handle C.uintptr_t, priority C.int, msg *C.char) {
	cgo.Handle(handle).Value().(func(int, string))(int(priority), C.GoString(msg))
}
