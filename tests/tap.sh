# shellcheck shell=sh
# TAP for the scripts of this folder: `. tests/tap.sh`, then ok/not_ok/check/skip, then finish.
# The exit code is 0, or 1 if anything failed; skip_all exits with 77.

tap_n=0
tap_failed=0

ok() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1"
}

# not_ok NAME [DETAIL...]
not_ok() {
	tap_n=$((tap_n + 1))
	tap_failed=1
	echo "not ok $tap_n - $1"
	shift
	if [ $# -gt 0 ]; then
		printf '%s\n' "$*" | sed 's/^/#   /'
	fi
}

# empty NAME TEXT: ok if TEXT, the list of what is wrong, is empty.
empty() {
	if [ -z "$2" ]; then
		ok "$1"
	else
		not_ok "$1" "$2"
	fi
}

# check NAME COMMAND...: ok if the command succeeds.
check() {
	tap_name=$1
	shift
	if tap_out=$("$@" 2>&1); then
		ok "$tap_name"
	else
		not_ok "$tap_name" "$tap_out"
	fi
}

skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 77
}

# Sets $python: to $PYTHON, the system's, or the first one. What comes first in PATH may be a script that
# looks for the version that is wanted: twenty processes, and ten times as long.
find_python() {
	for python in ${PYTHON:-/usr/bin/python3 python3}; do
		command -v "$python" > /dev/null && return
	done
}

# The same, one that has pytest.
need_pytest() {
	for python in ${PYTHON:-/usr/bin/python3 python3}; do
		"$python" -c 'import sys, pytest; sys.exit(sys.version_info < (3, 9))' 2> /dev/null && return
	done
	skip_all "there is no Python of at least 3.9 with pytest (package python3-pytest)"
}

finish() {
	echo "1..$tap_n"
	exit $tap_failed
}
