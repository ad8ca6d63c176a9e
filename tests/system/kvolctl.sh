#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kvolctl on a real pool: each command, its exit codes, the form of its messages, and its JSON. KVOLCTL
# names the program. What needs no pool is tested by tests/unit/kvolctl.sh.
set -u
. "$KV_SRCDIR/tests/tap.sh"

(: <>/dev/mapper/control) 2>/dev/null || skip_all "no device-mapper here"
[ "$(id -u)" = 0 ] || skip_all "not root"

kvolctl=${KVOLCTL:?names the kvolctl to test}
# What libtool puts there is a script that starts twenty processes.
if [ -x "${kvolctl%/*}/.libs/kvolctl" ]; then
	kvolctl=${kvolctl%/*}/.libs/kvolctl
	export LD_LIBRARY_PATH="$KV_BUILDDIR/lib/.libs"
fi
base=${KVOL_TEST_DIR:-${KVOL_GUEST_SCRATCH:-/scratch}}
work=$(mktemp -d "$base/kvolctl-XXXXXX") || exit 1
pool=kvolctl-$$
unset KVOL_POOL

clean_up() {
	exec 3>&- 4<&-
	umount "$work"/a "$work"/b "$work"/node 2>/dev/null
	"$kvolctl" -p "$pool" deactivate >/dev/null 2>&1
	rm -rf "$work"
}
trap clean_up EXIT

# One interpreter for all of the JSON: it takes expressions, each with a full stop on a line of its own behind
# it, and answers each with a line.
find_python
mkfifo "$work/ask" "$work/answer"
"$python" -I -S -u -X utf8 -c 'import json, sys
asked = ""
for line in sys.stdin:
    if line != ".\n":
        asked += line
        continue
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            v = json.load(file)
        print("yes" if eval("(" + asked + ")") else "no: " + json.dumps(v))
    except Exception as error:
        print(repr(error))
    asked = ""' "$work/out" <"$work/ask" >"$work/answer" &
exec 3>"$work/ask" 4<"$work/answer"

# Runs kvolctl; $code, $work/out and $work/err tell what came of it.
run() {
	code=0
	"$kvolctl" "$@" >"$work/out" 2>"$work/err" </dev/null 3>&- 4<&- || code=$?
}

show() {
	echo "exit $code"
	sed 's/^/stdout: /' "$work/out"
	sed 's/^/stderr: /' "$work/err"
}

# done_ NAME ARGUMENT...: succeeds, and says nothing on standard error.
done_() {
	name=$1
	shift
	run "$@"
	if [ $code = 0 ] && [ ! -s "$work/err" ]; then ok "$name"; else not_ok "$name" "$(show)"; fi
}

# quiet NAME ARGUMENT...: a command that changes something says nothing at all.
quiet() {
	name=$1
	shift
	run "$@"
	if [ $code = 0 ] && [ ! -s "$work/err" ] && [ ! -s "$work/out" ]; then
		ok "$name"
	else
		not_ok "$name" "$(show)"
	fi
}

# one_line PATTERN: that is all of what it said on standard error. The shell looks by itself: processes are what
# takes the time here.
one_line() {
	{ read -r line && ! read -r more && [ -z "$more" ]; } <"$work/err" || return 1
	# shellcheck disable=SC2254 # a pattern
	case $line in $1) return 0 ;; esac
	return 1
}

# refused NAME REASON ARGUMENT...: exit code 1 and one line "kvolctl: MSG (REASON)".
refused() {
	name=$1 reason=$2
	shift 2
	run "$@"
	if [ $code = 1 ] && [ ! -s "$work/out" ] && one_line "kvolctl: ?* ($reason)"; then
		ok "$name"
	else
		not_ok "$name" "expected $reason" "$(show)"
	fi
}

# json NAME PYTHON: the last output is JSON of which the expression holds.
json() {
	answer="the interpreter is gone"
	printf '%s\n.\n' "$2" >&3
	read -r answer <&4
	if [ "$answer" = yes ]; then ok "$1"; else not_ok "$1" "$2" "$answer"; fi
}

devices=$(dmsetup ls | grep -c kvol-)
mkdir "$work/a" "$work/b"
: >"$work/node"

quiet "format" format "$pool" "$work/pool" --size 4G
quiet "format again" format "$pool" "$work/pool" --size 4G
refused "format by another name" KVOL_R_EXISTS_DIFFERENT format other "$work/pool"
truncate -s 1G "$work/swap"
mkswap "$work/swap" >/dev/null 2>&1
refused "format what is somebody's" KVOL_R_HAS_SIGNATURE format other "$work/swap"
quiet "format --force" format other "$work/swap" --force
refused "format without a size" KVOL_R_NOT_FOUND format other "$work/absent"
refused "an inactive pool by its name" KVOL_R_NOT_FOUND -p "$pool" pool
refused "no pool" KVOL_R_NOT_A_POOL -p "$work/node" pool

done_ "pool by its path" -p "$work/pool" pool
KVOL_POOL=$pool
export KVOL_POOL
done_ "pool by its name, from the environment" pool
grep -q "$pool" "$work/out" && ok "pool shows its name" || not_ok "pool shows its name" "$(show)"
done_ "pool --json" pool --json
json "pool --json has the info's fields" "v['name'] == '$pool' and v['n_volumes'] == 0 and
	v['device'] == '$work/pool' and v['data_bytes'] > 0 and v['block_bytes'] == 65536 and
	set(('data_used', 'metadata_bytes', 'metadata_used', 'n_snapshots', 'uuid', 'flags')) <= set(v)"

quiet "create" create raw 8M
quiet "create again" create raw 8M
refused "create with another size" KVOL_R_EXISTS_DIFFERENT create raw 9M
quiet "create --fs" create fs 32M --fs ext4
quiet "create --owner --mode --label" create owned 32M --fs ext4 --owner 1000:2000 --mode 2770 --label a=1 --label b/c=
quiet "snapshot --label" snapshot --label of=owned owned owned@1
quiet "clone --label" clone owned@1 owned2 --label d=2
check "all labels of create are set" test "$("$kvolctl" labels owned | xargs)" = "a=1 b/c="
check "those of snapshot" test "$("$kvolctl" labels owned@1)" = of=owned
check "those of clone" test "$("$kvolctl" labels owned2)" = d=2
mkdir -p "$work/owned"
quiet "publish what has an owner" publish owned "$work/owned"
check "its root directory is the owner's" test "$(stat -c %u:%g:%a "$work/owned")" = 1000:2000:2770
quiet "unpublish it" unpublish owned "$work/owned"
for name in owned owned@1 owned2; do quiet "delete $name" delete "$name"; done
quiet "create --thick" create thick 8M --thick
refused "a thick one again as a thin one" KVOL_R_EXISTS_DIFFERENT create thick 8M
done_ "show it" show thick --json
json "all of it is allocated" "v['allocated'] == 8 << 20 and v['flags'] == 2"
done_ "usage" usage thick --json
json "all of it is its own" "v == {'flags': 0, 'exclusive': 8 << 20, 'shared': 0}"
quiet "delete it" delete thick
refused "an owner of a raw volume" KVOL_R_INVALID create x 32M --owner 1:2
refused "create too small" KVOL_R_INVALID create tiny 4K --fs ext4
refused "create with an unknown file system" KVOL_R_UNSUPPORTED create x 1G --fs ntfs
refused "create with a bad name" KVOL_R_INVALID create a/b 1G
quiet "template make" template make ext4 32M
quiet "template make again" template make ext4 32M
quiet "template make of another size" template make ext4 48M
refused "template make with an unknown file system" KVOL_R_UNSUPPORTED template make ntfs 1G
refused "template make too small" KVOL_R_INVALID template make ext4 4K
done_ "template list" template list
check "it has a line for each" test "$(grep -c '^template/ext4/[0-9]*/[0-9a-f]*  *template ' "$work/out")" = 2
done_ "template list --json" template list --json
json "create has made one, and make the other" "[(i['kind'], i['fs_type'], i['bytes'], i['name'].split('/')[:3]) for i in v] ==
	[('template', 'ext4', n, ['template', 'ext4', str(n)]) for n in (32 << 20, 48 << 20)]"
done_ "list" list --json
json "templates are no volumes" "[i['name'] for i in v] == ['fs', 'raw']"
refused "show does not find one" KVOL_R_INVALID show template/ext4/33554432/0
quiet "template delete of a size" template delete ext4 48M
quiet "template delete of it again" template delete ext4 48M
quiet "template delete of another file system" template delete xfs
refused "template delete of an unknown file system" KVOL_R_UNSUPPORTED template delete ntfs
done_ "template list --json after it" template list --json
json "the other is left" "[i['bytes'] for i in v] == [32 << 20]"
quiet "template delete of all" template delete
done_ "template list --json of none" template list --json
json "none is left" "v == []"
quiet "set" set --overcommit 150 --max-published 9 --publish-flags nosuid,nodev
refused "a policy that is none" KVOL_R_INVALID set --max-volumes 999999999
done_ "pool --json with a policy" pool --json
json "the policy is told" "v['overcommit'] == 150 and v['max_published'] == 9 and v['publish_flags'] == 6 and
	v['provisioned'] == 40 << 20 and v['capacity'] > v['data_bytes']"
refused "create beyond the policy" KVOL_R_LIMIT create huge 100G
quiet "set back" set --overcommit 0 --max-published 0 --publish-flags ''
quiet "label" label fs tier=gold 'kvol.io/note=two words'
quiet "label again, and remove one" label fs tier=silver none-
quiet "label-pool" label-pool zone=b
refused "a label's key" KVOL_R_INVALID label fs 'a b=c'
refused "label what is not there" KVOL_R_NOT_FOUND label absent a=b
done_ "labels" labels fs
check "labels are lines" sh -c "printf 'kvol.io/note=two words\ntier=silver\n' | cmp - '$work/out'"
done_ "labels --json" labels --json
json "the pool's labels" "v == {'zone': 'b'}"
done_ "list --label" list --label tier=silver --json
json "what has the label" "[i['name'] for i in v] == ['fs']"
done_ "list --label of another value" list --label tier=gold --json
json "nothing has it" "v == []"
quiet "publish" publish fs "$work/a"
done_ "publishes" publishes fs
check "publishes tells the target" grep -q "^fs  *$work/a  *rw " "$work/out"
done_ "publishes --json" publishes --json
json "publishes --json" "[(i['volume'], i['target'], i['flags'], i['labels']) for i in v] ==
	[('fs', '$work/a', 0, {})]"
echo text >"$work/a/file"
quiet "publish again" publish fs "$work/a"
done_ "stat" stat fs
done_ "stat --json" stat fs --json
json "stat tells of the file system" "v['condition'] == 'ok' and v['message'] == '' and v['fs_bytes'] > 20 << 20 and
	v['fs_used'] > 0 and v['fs_inodes_used'] > 10"
refused "publish with other options" KVOL_R_EXISTS_DIFFERENT publish fs "$work/a" --ro
refused "publish on nothing" KVOL_R_NOT_FOUND publish fs "$work/absent"
refused "publish what is not there" KVOL_R_NOT_FOUND publish absent "$work/b"
refused "publish with a bad option" KVOL_R_INVALID publish fs "$work/b" --options loop
quiet "snapshot" snapshot fs fs@1
quiet "clone" clone fs@1 copy --size 64M
refused "clone too small" KVOL_R_INVALID clone fs@1 copy2 --size 1M
quiet "publish the clone with options" publish copy "$work/b" --options noatime,nodev
check "the clone has the contents" grep -qx text "$work/b/file"
quiet "unpublish" unpublish copy "$work/b"
quiet "publish --access" publish copy "$work/b" --access single-writer
mkdir "$work/c"
refused "publish beside a single writer" KVOL_R_ACCESS_CONFLICT publish copy "$work/c"
done_ "show a single writer's" show copy
check "it tells its access" grep -qx 'Access: *single-writer' "$work/out"
quiet "unpublish the single writer's" unpublish copy "$work/b"
quiet "publish --ro" publish fs@1 "$work/b" --ro
check "read-only is read-only" sh -c "! touch '$work/b/x' 2>/dev/null"
quiet "unpublish the snapshot" unpublish fs@1 "$work/b"
quiet "publish --block" publish raw "$work/node" --block
check "a device appeared" test -b "$work/node"
done_ "publishes of it" publishes raw --json
json "its device's number is told" "[(i['dev_major'], i['dev_minor']) for i in v] ==
	[($(stat -Lc '0x%t, 0x%T' "$work/node"))]"
done_ "list" list
check "list tells the number" grep -q "^raw .* $(($(stat -Lc 0x%t "$work/node"))):$(($(stat -Lc 0x%T "$work/node"))) " \
	"$work/out"
quiet "expand a device in use" expand raw 16M
check "it has its size" test "$(blockdev --getsize64 "$work/node")" = 16777216
quiet "unpublish the device" unpublish raw "$work/node"
quiet "expand a file system in use" expand fs 64M
refused "expand a snapshot" KVOL_R_UNSUPPORTED expand fs@1 64M

quiet "publish --ephemeral" publish scratch "$work/b" --ephemeral 16M --fs ext4
done_ "show it" show scratch
check "it tells that it is ephemeral" grep -qx 'Kind: *volume, ephemeral' "$work/out"
refused "publish it with another size" KVOL_R_EXISTS_DIFFERENT publish scratch "$work/c" --ephemeral 32M --fs ext4
quiet "unpublish it" unpublish scratch "$work/b"
refused "show what is gone" KVOL_R_NOT_FOUND show scratch
quiet "publish --from" publish scratch "$work/b" --from fs@1
check "it has the template's contents" grep -qx text "$work/b/file"
quiet "unpublish it, too" unpublish scratch "$work/b"
refused "show what is gone, too" KVOL_R_NOT_FOUND show scratch

printf %s "open sesame" >"$work/secret"
printf %s "swordfish" >"$work/other"
run create safe 64M --fs ext4 --secret-file "$work/secret"
if grep -q 'there is no libcryptsetup in this library' "$work/err"; then
	skip "encrypted volumes" "$(cat "$work/err")"
else
	quiet "create an encrypted volume" create safe 64M --fs ext4 --secret-file "$work/secret"
	refused "publish without its secret" KVOL_R_NEEDS_SECRET publish safe "$work/b"
	refused "publish by another" KVOL_R_WRONG_SECRET publish safe "$work/b" --secret-file "$work/other"
	quiet "publish by its secret" publish safe "$work/b" --secret-file "$work/secret"
	quiet "change its secret" change-secret safe --old-file "$work/secret" --new-file "$work/other"
	quiet "unpublish it" unpublish safe "$work/b"
	if printf swordfish | "$kvolctl" publish safe "$work/b" --secret-file -; then
		ok "publish by a secret on standard input"
	else
		not_ok "publish by a secret on standard input"
	fi
	done_ "show it" show safe --json
	json "it is encrypted" "v['flags'] == 1"
	quiet "unpublish it again" unpublish safe "$work/b"
	quiet "delete it" delete safe
fi

unshare -m --propagation private sleep 1000 &
resident=$!
until [ "$(readlink /proc/$resident/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ] &&
	[ "$(cat /proc/$resident/comm)" = sleep ]; do sleep 0.05; done
quiet "publish --mntns" publish copy "$work/b" --mntns /proc/$resident/ns/mnt
check "it is there" nsenter -t $resident -m grep -qx text "$work/b/file"
check "and not here" test ! -e "$work/b/file"
quiet "unpublish --mntns" unpublish copy "$work/b" --mntns /proc/$resident/ns/mnt
kill $resident
wait $resident 2>/dev/null

done_ "why" why fs
check "it tells of the publish" grep -q "^mount .*published .*$work/a" "$work/out"
done_ "why --json" why fs --json
json "it is an array of holders" "any(i['kind'] == 'mount' and i['target'] == '$work/a' for i in v)"
refused "why of what is not there" KVOL_R_NOT_FOUND why absent
refused "delete what is published" KVOL_R_BUSY_PUBLISHED delete fs
refused "deactivate with something published" KVOL_R_BUSY_PUBLISHED deactivate
done_ "list" list
check "list has all names" sh -c "for n in copy fs fs@1 raw; do grep -q \"^\$n \" '$work/out' || exit 1; done"
done_ "list --json" list --json
json "list --json is a list in order" "[i['name'] for i in v] == ['copy', 'fs', 'fs@1', 'raw']"
json "its items have the info's fields" "all(set(('bytes', 'allocated', 'created', 'kind', 'n_targets',
	'name', 'source', 'fs_type', 'uuid', 'device')) <= set(i) for i in v)"
done_ "list --snapshots" list --snapshots --json
json "only the snapshot" "[i['name'] for i in v] == ['fs@1']"
done_ "show" show fs
done_ "show --json" show fs --json
json "show --json" "v['name'] == 'fs' and v['bytes'] == 64 << 20 and v['n_targets'] == 1 and
	v['fs_type'] == 'ext4' and v['device'].startswith('/dev/')"
refused "show what is not there" KVOL_R_NOT_FOUND show absent
quiet "an odd name" create 'x"\ %s ä' 1M
done_ "show an odd name" show 'x"\ %s ä' --json
json "JSON quotes it" "v['name'] == 'x\"\\\\ %s ä'"
quiet "unpublish the last" unpublish fs "$work/a"
quiet "unpublish again" unpublish fs "$work/a"
for name in copy fs fs@1 raw 'x"\ %s ä'; do
	quiet "delete $name" delete "$name"
done
quiet "delete again" delete fs
done_ "list nothing" list --json
json "an empty list" "v == []"
quiet "deactivate" deactivate
refused "it is inactive" KVOL_R_NOT_FOUND list
check "no device is left" test "$(dmsetup ls | grep -c kvol-)" = "$devices"
finish
