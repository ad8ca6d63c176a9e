#!/bin/sh
# The Python package on a real pool. Needs root and device-mapper.
. "$KV_SRCDIR/tests/tap.sh"

need_pytest
"$python" -c 'open("/dev/mapper/control", "rb+", 0)' 2> /dev/null || skip_all "no device-mapper here"
test -n "$KV_INSTRUMENT" && skip_all "Python cannot load a library with sanitizers everywhere"

cd "$KV_SRCDIR/tests/python" || exit 1
PYTHONDONTWRITEBYTECODE=1 KVOL_LIBRARY=$KV_BUILDDIR/lib/.libs/libkvol.so exec "$python" tap.py test_pool.py
