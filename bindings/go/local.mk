# The Go module is used from the tree (see its README).
EXTRA_DIST += \
	bindings/go/kvol/README.md \
	bindings/go/kvol/call.go \
	bindings/go/kvol/errors.go \
	bindings/go/kvol/go.mod \
	bindings/go/kvol/header_test.go \
	bindings/go/kvol/kvol.go \
	bindings/go/kvol/kvol_test.go \
	bindings/go/kvol/list.go \
	bindings/go/kvol/log.c \
	bindings/go/kvol/log.go \
	bindings/go/kvol/log.h \
	bindings/go/kvol/memory.go \
	bindings/go/kvol/memory_test.go \
	bindings/go/kvol/pool.go \
	bindings/go/kvol/pool_test.go \
	bindings/go/kvol/publish.go \
	bindings/go/kvol/repair.go \
	bindings/go/kvol/template.go \
	bindings/go/kvol/volume.go \
	bindings/go/kvol/why.go
