#!/bin/sh
# The Python package on a real pool. Needs root and device-mapper.
. "$KV_SRCDIR/tests/tap.sh"

command -v python3 > /dev/null 2>&1 || skip_all "python3 is not installed"
python3 -c 'open("/dev/mapper/control", "rb+", 0)' 2> /dev/null || skip_all "no device-mapper here"
test -n "$KV_INSTRUMENT" && skip_all "Python cannot load a library with sanitizers everywhere"

cd "$KV_SRCDIR/tests/python" || exit 1
PYTHONDONTWRITEBYTECODE=1 KVOL_LIBRARY=$KV_BUILDDIR/lib/.libs/libkvol.so exec python3 tap.py test_pool
