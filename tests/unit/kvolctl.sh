#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kvolctl's command line: usage, help, sizes, exit codes and the form of its messages. Nothing here
# gets as far as a pool, so it runs anywhere and unprivileged. KVOLCTL names the program.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/tap.sh"

kvolctl=${KVOLCTL:?names the kvolctl to test}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset KVOL_POOL

# Runs kvolctl; $code, $work/out and $work/err tell what came of it.
run() {
	code=0
	"$kvolctl" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
}

show() {
	echo "exit $code"
	sed 's/^/stdout: /' "$work/out"
	sed 's/^/stderr: /' "$work/err"
}

# usage NAME TEXT ARGUMENT...: bad usage, of which standard error's first line says TEXT.
usage() {
	usage_name=$1 usage_text=$2
	shift 2
	run "$@"
	if [ $code = 2 ] && [ ! -s "$work/out" ] &&
		[ "$(head -n 1 "$work/err")" = "kvolctl: $usage_text" ]; then
		ok "$usage_name"
	else
		not_ok "$usage_name" "$(show)"
	fi
}

# refused NAME ARGUMENT...: understood, and failed with one line that ends in a reason.
refused() {
	refused_name=$1
	shift
	run "$@"
	if [ $code = 1 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
		grep -Eqx 'kvolctl: .+ \(KVOL_R_[A-Z_]+\)' "$work/err" &&
		! grep -q KVOL_R_UNKNOWN "$work/err"; then
		ok "$refused_name"
	else
		not_ok "$refused_name" "$(show)"
	fi
}

commands="format pool set deactivate repair create snapshot clone expand change-secret publish unpublish
	delete label label-pool labels publishes list template show stat usage why limit-io
	version help"
absent=$work/absent

# --- bad usage ---

usage "no command" "no command given"
usage "unknown command" "unknown command: frobnicate" frobnicate
usage "a command is not abbreviated" "unknown command: lis" -p x lis
usage "unknown long option" "unknown option: --colour" list --colour
usage "unknown short option" "unknown option: -x" list -x
usage "an option is not abbreviated" "unknown option: --js" list --js
usage "an option of another command" "list takes no option --fs" -p x list --fs ext4
usage "a value is missing" "option --fs needs a value: TYPE" -p x create v 1G --fs
usage "POOL is missing" "option --pool needs a value: POOL" list -p
usage "a switch takes no value" "option --json takes no value" -p x list --json=yes
usage "an operand is missing" "create needs VOL SIZE" -p x create v
usage "one operand too many" "delete: one argument too many: w" -p x delete v w
usage "help about an unknown command" "unknown command: frobnicate" help frobnicate
usage "a label that is none" "neither KEY=VALUE nor KEY-: key" -p x label v a=1 key
usage "a label that is no more than a dash" "neither KEY=VALUE nor KEY-: -" -p x label v -- -
usage "set without an option" "set needs an option" -p x set
usage "a publish flag that is none" "not of noexec, nosuid, nodev: nodev,suid" -p x set --publish-flags nodev,suid
usage "template without a word" "template needs make|list|delete [FS [SIZE]]" -p x template
usage "a word that template has not" "template: not make, list or delete: lis" -p x template lis
usage "a template of no file system" "template make needs FS SIZE" -p x template make
usage "a template of no size" "template make needs FS SIZE" -p x template make ext4
usage "template list takes none" "template list: one argument too many: ext4" -p x template list ext4
usage "template delete takes two" "template: one argument too many: x" -p x template delete ext4 1G x
usage "template make prints nothing" "template make takes no option --json" -p x template make ext4 1G --json
usage "template delete prints nothing" "template delete takes no option --json" -p x template delete --json
usage "no pool" "no pool given: use -p POOL or set KVOL_POOL" list
usage "an empty POOL is none" "no pool given: use -p POOL or set KVOL_POOL" -p "" list
KVOL_POOL=''
export KVOL_POOL
usage "an empty KVOL_POOL is none" "no pool given: use -p POOL or set KVOL_POOL" list
unset KVOL_POOL

# --- sizes ---

for size in 0 1 4096 1K 1k 1KiB 10M 10MiB 3g 7T 16383T 18446744073709551615 17179869183G; do
	refused "size $size is understood" -p "$absent" create v $size
done
for size in '' K -1 +1 ' 1G' '1G ' 1.5G 0x10 1GB 1Gi 1GiBs 1P 1KK ten; do
	usage "size '$size' is bad usage" "create: not a size: $size" -p "$absent" create -- v "$size"
done
for size in 18446744073709551616 16777216T 99999999999999999999G; do
	usage "size $size is too large" "create: too large a size: $size" -p "$absent" create v $size
done
usage "change-secret needs both secrets" "change-secret needs --old-file and --new-file" \
	-p "$absent" change-secret v --old-file "$absent"
refused "a secret's file has to be there" -p "$absent" create v 1G --secret-file "$absent"
for owner in '' 1 1: :1 1:2:3 root:root -1:0 4294967296:0 '1: 2'; do
	usage "owner '$owner' is bad usage" "create: not UID:GID: $owner" -p "$absent" create v 1G --owner "$owner"
done
for mode in '' 8 0o7 u+x 777777 -1; do
	usage "mode '$mode' is bad usage" "create: not an octal mode: $mode" -p "$absent" create v 1G --mode "$mode"
done
for label in key key- ''; do
	usage "--label '$label' is bad usage" "create: not KEY=VALUE: $label" \
		-p "$absent" create v 1G --label a=1 --label "$label"
done
set --
while [ $# -lt 130 ]; do set -- "$@" --label a=1; done
usage "more labels than there can be" "more than 64 times --label" -p "$absent" snapshot v s "$@"
refused "as many as there can be" -p "$absent" create v 1G --fs ext4 --owner 0:4294967295 --mode 07777 --label a=1 --label b=
usage "expand checks its size" "expand: not a size: big" -p "$absent" expand v big
usage "template make checks its size" "template: not a size: big" -p "$absent" template make ext4 big
usage "template delete checks its size" "template: not a size: -1" -p "$absent" template delete ext4 -- -1
usage "clone checks --size" "clone: not a size: big" -p "$absent" clone v w --size big
usage "format checks --size" "format: not a size: big" format p "$absent" --size=big
usage "format checks --block-size" "format: not a size: -64K" \
	format p "$absent" --block-size=-64K
usage "publish checks --access" "publish: not an access mode: sole" \
	-p "$absent" publish v "$work" --access sole
usage "publish checks --propagation" "publish: not a propagation: rshared" \
	-p "$absent" publish v "$work" --propagation rshared
usage "publish checks --fs" "publish: --fs without --ephemeral" \
	-p "$absent" publish v "$work" --fs ext4
usage "publish checks --ephemeral" "publish: not a size: 1Q" \
	-p "$absent" publish v "$work" --ephemeral 1Q
usage "publish checks --group" "publish: not a group: 4294967295" \
	-p "$absent" publish v "$work" --group 4294967295
usage "format checks --max-volumes" "format: not a number: 1K" \
	format p "$absent" --max-volumes 1K
check "bad usage of format made no file" test ! -e "$absent"

# --- failures ---

refused "a pool that is not there" -p "$absent" list
refused "options may follow operands" create v 1G --fs ext4 -p "$absent"
refused "--option=value" --pool="$absent" create --fs=ext4 v 1G
refused "-pPOOL" "-p$absent" list
refused "-- ends the options" -p "$absent" delete -- --help
refused "no JSON on failure" -p "$absent" list --json
refused "template make" -p "$absent" template make ext4 1G
refused "template list" -p "$absent" template list --json
for operands in "" ext4 "ext4 1G"; do
	# shellcheck disable=SC2086 # several words
	refused "template delete $operands" -p "$absent" template delete $operands
done
refused "a bad pool name" format --size 1G -- .hidden "$absent"
check "a refused format made no file" test ! -e "$absent"
KVOL_POOL=$absent
export KVOL_POOL
refused "KVOL_POOL" list
unset KVOL_POOL
refused "format needs no pool" format p "$absent"

code=0
"$kvolctl" version >/dev/full 2>"$work/err" || code=$?
: >"$work/out"
if [ $code = 1 ] && grep -Eq '^kvolctl: standard output: .* \(KVOL_R_SYSTEM\)$' "$work/err"; then
	ok "a full disk behind standard output"
else
	not_ok "a full disk behind standard output" "$(show)"
fi
code=0
"$kvolctl" version >&- 2>"$work/err" || code=$?
if [ $code = 1 ]; then
	ok "a closed standard output"
else
	not_ok "a closed standard output" "$(show)"
fi

# --- help and version ---

version=$(sed -n 's/^AC_INIT(\[libkvol\], \[\([0-9.]*\)\].*/\1/p' "$top/configure.ac")
run --version
check "--version" grep -qx "kvolctl $version (libkvol $version)" "$work/out"
cp "$work/out" "$work/version"
run version
check "version says the same" cmp "$work/out" "$work/version"

run --help
check "--help is all on standard output" test $code = 0 -a -s "$work/out" -a ! -s "$work/err"
cp "$work/out" "$work/help"
run help
check "help says the same" cmp "$work/out" "$work/help"
listed=$(sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' "$work/help" | sort | tr '\n' ' ')
expected=$(printf '%s\n' $commands | sort | tr '\n' ' ')
check "--help lists the commands" test "$listed" = "$expected"

manual=$top/doc/kvolctl.8
for command in $commands; do
	run "$command" --help
	if [ $code = 0 ] && [ ! -s "$work/err" ] &&
		head -n 1 "$work/out" | grep -q "^Usage: kvolctl .*$command" &&
		sed -n 2p "$work/out" | grep -q "^$command: .*\.$" &&
		grep -q '^  -h, --help ' "$work/out"; then
		ok "$command --help"
	else
		not_ok "$command --help" "$(show)"
	fi
	cp "$work/out" "$work/help"
	[ "$command" = help ] || run help "$command"
	check "help $command says the same as $command --help" cmp "$work/out" "$work/help"
	missing=
	for option in $(sed -n 's/^  \(-., \)\{0,1\}--\([a-z-]*\) .*/\2/p' "$work/help"); do
		text=$(printf '%s' "$option" | sed 's/-/\\\\-/g')
		grep -q -e "\\\\-\\\\-$text" "$manual" || missing="$missing --$option"
	done
	text=$(printf '%s' "$command" | sed 's/-/\\\\-/g')
	grep -q "^\.B.*\<$text\>" "$manual" || missing="$missing $command"
	empty "kvolctl(8) describes $command and its options" "$missing"
done
run list -h
check "-h" test $code = 0 -a -s "$work/out"
run create --help extra
check "--help needs no operands" test $code = 0 -a -s "$work/out"

# --- completion ---

completes() {
	bash -c '. "$1"; COMP_WORDS=(kvolctl "${@:2}"); COMP_CWORD=$(($# - 1)); _kvolctl
		printf "%s\n" "${COMPREPLY[@]}"' bash "$top/examples/kvolctl/kvolctl.bash" "$@" |
		sort | tr '\n' ' '
}
if command -v bash >/dev/null; then
	check "completion knows the commands" test "$(completes "")" = "$expected"
	for command in $commands; do
		run "$command" --help
		sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\) .*/\2/p' "$work/out" | sort |
			tr '\n' ' ' >"$work/options"
		case $command in
		format | version | help) echo '--pool ' >>"$work/options" ;;
		esac
		check "completion knows the options of $command" test \
			"$(completes "$command" -- | tr ' ' '\n' | sort | tr -d '\n')" = \
			"$(tr ' ' '\n' <"$work/options" | sort | tr -d '\n')"
	done
	check "completion of what template does" test "$(completes template "")" = "delete list make "
	check "completion of a template's file system" test "$(completes template make b)" = "btrfs "
	check "completion knows that template list has none" test -z "$(completes template list "" | tr -d ' ')"
	check "completion of a value" test "$(completes create v 1G --fs x)" = "xfs "
else
	skip "completion" "no bash"
fi

finish
