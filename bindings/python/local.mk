# The Python package is pure and is installed by pip (see its README): it loads libkvol.so.0.
EXTRA_DIST += \
	bindings/python/README.md \
	bindings/python/pyproject.toml \
	bindings/python/kvol/__init__.py \
	bindings/python/kvol/_arguments.py \
	bindings/python/kvol/_constants.py \
	bindings/python/kvol/_context.py \
	bindings/python/kvol/_enums.py \
	bindings/python/kvol/_errors.py \
	bindings/python/kvol/_functions.py \
	bindings/python/kvol/_handle.py \
	bindings/python/kvol/_library.py \
	bindings/python/kvol/_pool.py \
	bindings/python/kvol/_structs.py \
	bindings/python/kvol/_types.py \
	bindings/python/kvol/py.typed
