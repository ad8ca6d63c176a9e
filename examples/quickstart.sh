#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What kvol does, shown on a real pool: quickstart.sh DIR
#
# Needs root and a kernel with device-mapper (./quickstart brings one). DIR gets a sparse pool file
# and some targets, and keeps none of it. KVOLCTL names the kvolctl to run.
set -eu

[ $# = 1 ] && [ -d "$1" ] || { echo "Usage: quickstart.sh DIR" >&2; exit 2; }
cd "$1"
for name in pool.img moved.img data data-ro copy device secret other; do
	[ ! -e $name ] || { echo "quickstart.sh: $PWD/$name is in the way" >&2; exit 2; }
done
dir=$PWD
kvolctl=${KVOLCTL:-kvolctl}
export KVOL_POOL=quickstart
bold='' dim='' red='' plain=''
[ ! -t 1 ] || bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
step='getting ready' resident=''

# A copied mount namespace keeps what is mounted in it busy.
end_resident()
{
	[ -z "$resident" ] || { kill "$resident"; wait "$resident"; } 2>/dev/null || true
	resident=
}

clean_up()
{
	code=$?
	set +e
	[ $code = 0 ] || echo "${red}quickstart: FAILED (exit $code) while: $step$plain" >&2
	end_resident
	if [ $code != 0 ]; then
		umount data data-ro copy device
		"$kvolctl" deactivate
	fi >/dev/null 2>&1
	rm -f pool.img moved.img device secret other
	rmdir data data-ro copy 2>/dev/null
	exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Says what comes next.
say()
{
	step=$*
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# A command as one would type it.
typed()
{
	local word line=''
	for word in "${@/#"$kvolctl"/kvolctl}"; do
		[[ $word =~ ^[[:alnum:]/@%+=:,.-]+$ ]] || word=${word@Q}
		line+=" $word"
	done
	printf '  $%s\n' "$line"
}

# Shows a command, runs it, shows what it printed and how long it took.
run()
{
	local begin end output code=0
	typed "$@"
	begin=${EPOCHREALTIME/[.,]/}
	output=$("$@" </dev/null 2>&1) || code=$?
	end=${EPOCHREALTIME/[.,]/}
	[ -z "$output" ] || printf '    %s\n' "${output//$'\n'/$'\n    '}"
	printf '    %s%d ms%s\n' "$dim" $(((end - begin) / 1000)) "$plain"
	return $code
}

# A demonstration that checks nothing shows nothing.
expect()
{
	[ "$1" = "$2" ] || { echo "${red}expected '$2', found '$1'$plain" >&2; exit 1; }
}

# An encrypted volume in a rootless container, which needs to get at DIR.
into_user_namespace()
{
	say "The same for a rootless container: its root is user 100000 outside"
	unshare --user --mount sleep 1000 &
	resident=$!
	until [ "$(cat /proc/$resident/comm)" = sleep ]; do sleep 0.05; done
	echo '0 100000 65536' | tee /proc/$resident/uid_map >/proc/$resident/gid_map
	run "$kvolctl" publish safe copy --secret-file other \
		--userns /proc/$resident/ns/user --mntns /proc/$resident/ns/mnt
	run nsenter -t $resident --user --mount --wd -S 0 -G 0 sh -c 'id -u && echo mine >copy/mine'
	run stat -c 'owner %u' "/proc/$resident/cwd/copy/mine"
	expect "$(stat -c %u "/proc/$resident/cwd/copy/mine")" 100000
	run "$kvolctl" unpublish safe copy --mntns /proc/$resident/ns/mnt
	end_resident
}

say "A pool: one sparse file of 20 GiB, or one disk"
run "$kvolctl" format quickstart "$dir/pool.img" --size 20G
run "$kvolctl" -p "$dir/pool.img" pool

say "A volume of 10 GiB with a file system, published at a directory"
mkdir data data-ro copy
run "$kvolctl" create data 10G --fs ext4
run "$kvolctl" publish data data
echo 'written at first' >data/file

say "A snapshot of it, while it is in use"
run "$kvolctl" snapshot data data@monday
echo 'written later' >data/file
run "$kvolctl" publish data@monday data-ro
run grep . data/file data-ro/file
expect "$(cat data-ro/file)" 'written at first'

say "A clone of the snapshot: writable, beside both of them"
run "$kvolctl" clone data@monday copy
run "$kvolctl" publish copy copy
echo 'written to the clone' >copy/file
run grep . data/file data-ro/file copy/file
expect "$(cat data/file)" 'written later'
expect "$(cat data-ro/file)" 'written at first'
run "$kvolctl" list

say "Larger, while it is in use"
run df -h data
before=$(df --output=size data | tail -n 1)
run "$kvolctl" expand data 12G
run df -h data
[ "$(df --output=size data | tail -n 1)" -gt "$before" ] || exit 1

say "Into a container: another process's mount namespace, unseen by the host"
run "$kvolctl" unpublish copy copy
unshare -m --propagation private sleep 1000 &
resident=$!
until [ "$(readlink /proc/$resident/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ] &&
	[ "$(cat /proc/$resident/comm)" = sleep ]; do sleep 0.05; done
run "$kvolctl" publish copy copy --mntns /proc/$resident/ns/mnt
run nsenter -t $resident -m cat "$dir/copy/file"
expect "$(nsenter -t $resident -m cat "$dir/copy/file")" 'written to the clone'
run ls -A copy
expect "$(ls -A copy)" ''
run "$kvolctl" unpublish copy copy --mntns /proc/$resident/ns/mnt
end_resident

say "As a block device"
: >device
run "$kvolctl" create raw 1G
run "$kvolctl" publish raw device --block
run blockdev --getsize64 device
expect "$(blockdev --getsize64 device)" $((1 << 30))

say "Encrypted: by a secret in a file, or on standard input"
head -c 32 /dev/urandom >secret
head -c 32 /dev/urandom >other
if run "$kvolctl" create safe 1G --fs ext4 --secret-file secret; then
	run "$kvolctl" publish safe copy --secret-file secret
	echo 'nobody else reads this' >copy/file
	run "$kvolctl" unpublish safe copy
	! run "$kvolctl" publish safe copy --secret-file other || exit 1
	run "$kvolctl" change-secret safe --old-file secret --new-file other
	run "$kvolctl" publish safe copy --secret-file other
	expect "$(cat copy/file)" 'nobody else reads this'
	run "$kvolctl" unpublish safe copy
	into_user_namespace
	run "$kvolctl" delete safe
else
	echo "  this build leaves encryption out"
fi

say "A volume in use is not deleted; a call that is repeated is harmless"
! run "$kvolctl" delete data || exit 1
run "$kvolctl" create data 12G --fs ext4
run "$kvolctl" unpublish data data
run "$kvolctl" unpublish data data

say "The pool moves with its file: out of use here, opened by its path there"
run "$kvolctl" unpublish data@monday data-ro
run "$kvolctl" unpublish raw device
run "$kvolctl" deactivate
run mv pool.img moved.img
run "$kvolctl" -p "$dir/moved.img" list

say "Deleting; what was cloned stays whole"
run "$kvolctl" delete data@monday
run "$kvolctl" delete data
run "$kvolctl" publish copy copy
run cat copy/file
run "$kvolctl" unpublish copy copy
run "$kvolctl" delete copy
run "$kvolctl" deactivate
printf '\n%sDone.%s\n' "$bold" "$plain"
