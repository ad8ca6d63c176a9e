# shellcheck shell=bash disable=SC2034 # lists are used by their names
# The Debian packages that building, testing and demonstrating need, and their installation. Sourced;
# needs $top, the source tree, and guest.d/steps.sh.

# To build the library.
pkg_build="gcc libc6-dev make autoconf automake libtool pkg-config
	libblkid-dev libmount-dev libfdisk-dev libsqlite3-dev libcryptsetup-dev"
# The programs that the library runs.
pkg_runtime="e2fsprogs xfsprogs btrfs-progs thin-provisioning-tools"
# To build and run the tests; cryptsetup shows that an encrypted volume is what stock tools can read.
pkg_test="libcmocka-dev cryptsetup-bin g++ python3 python3-pytest python3-setuptools python3-wheel mypy gcovr
	lvm2 dmsetup udev gdisk mandoc sqlite3"
# To fuzz: Debian 12's clang and its libFuzzer. gcc builds everything else.
pkg_fuzz="clang-14 libclang-rt-14-dev"
# To build the OCI hook, and what the examples are tried with: container runtimes and a database.
pkg_examples="libjson-c-dev crun runc busybox-static postgresql"
# To boot the test guest.
pkg_guest="qemu-system-x86 linux-image-amd64 busybox-static kmod xz-utils"
# The benchmark's heavy writer.
pkg_bench="fio"
# Podman runs containers on the volume plugin's volumes, among the examples.
pkg_podman="podman crun"

# What stands for these packages where dpkg is not there to be asked.
pkg_build_commands="gcc make autoconf automake libtoolize pkg-config"
pkg_runtime_commands="mkfs.ext4 mkfs.xfs mkfs.btrfs thin_check"
pkg_test_commands="cryptsetup g++ python3 gcovr lvm dmsetup udevadm sgdisk mandoc sqlite3"
pkg_fuzz_commands="clang"
pkg_examples_commands="crun runc busybox"
pkg_bench_commands="fio"
pkg_podman_commands="podman crun"
pkg_guest_commands="qemu-system-x86_64 busybox modprobe xz"

# What a go command of 1.21 or newer fetches by itself where it is too old for a module.
pkg_go_toolchain=go1.27.3

# pkg_need LIST...: makes sure that the packages of the lists build, runtime, test, fuzz, examples, bench, podman, guest
# are installed.
# Asks dpkg alone as long as nothing is missing. Returns 77 if it cannot be helped here.
pkg_need()
{
	local list wanted="" missing=() log=${top:?}/build/log/packages.log
	PATH=$PATH:/usr/sbin:/sbin
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		pkg_need_commands "$@"
		return
	fi
	for list; do
		list=pkg_$list
		wanted="$wanted ${!list}"
	done
	# shellcheck disable=SC2086 # a list
	mapfile -t missing < <(pkg_missing $wanted)
	[ ${#missing[@]} != 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "Packages are missing. As root: apt-get install ${missing[*]}" >&2
		return 77
	fi
	step "installing ${#missing[@]} packages" "$log" pkg_install "${missing[@]}"
}

pkg_missing()
{
	local package
	for package; do
		echo "wanted $package"
	done | cat <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null) - |
		awk '$1 == "installed" { there[$2] = 1 } $1 == "wanted" && !there[$2] { print $2 }'
}

# The package lists of a fresh container are empty, and old ones name files that are no longer there.
pkg_install()
{
	export DEBIAN_FRONTEND=noninteractive
	pkg_apt_install "$@" || { apt-get update && pkg_apt_install "$@"; }
}

pkg_apt_install()
{
	apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Without apt: the commands decide. Missing libraries are reported by configure.
pkg_need_commands()
{
	local list command missing=()
	for list; do
		list=pkg_${list}_commands
		for command in ${!list}; do
			command -v "$command" >/dev/null || missing+=("$command")
		done
	done
	[ ${#missing[@]} != 0 ] || return 0
	echo "Commands are missing: ${missing[*]}" >&2
	return 77
}

# pkg_need_go MODULE: has the go command of PATH be one that the module's go.mod asks for: one that is there,
# or an older one that fetches a newer, or as root Debian's. Returns 77, and says why, if there is none.
pkg_need_go()
{
	local wanted
	wanted=$(sed -n 's/^go //p' "$1/go.mod")
	pkg_find_go "$wanted" || { pkg_install_go && pkg_find_go "$wanted"; } || {
		echo "Go $wanted is missing (or Go 1.21 and the network)" >&2
		return 77
	}
}

# The newest that is installed.
pkg_find_go()
{
	local go version best="" found=""
	for go in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		[ -x "$go" ] || continue
		version=$(cd / && GOTOOLCHAIN=local "$go" env GOVERSION) || continue
		version=${version#go}
		if [ -z "$best" ] || pkg_newer "$version" "$best"; then
			best=$version found=$go
		fi
	done
	[ -n "$found" ] || return 1
	PATH=${found%/*}:$PATH
	if pkg_newer "$best" "$1"; then
		export GOTOOLCHAIN=local
	elif pkg_newer "$best" 1.21; then
		export GOTOOLCHAIN=$pkg_go_toolchain
		step "fetching $pkg_go_toolchain" "${top:?}/build/log/go.log" go version
	else
		return 1
	fi
}

# Whether a version is the second one or newer.
pkg_newer()
{
	printf '%s\n' "$2" "$1" | sort -CV
}

# Debian's own, or where that is older than 1.21 the newest of its backports, from where its packages
# come from anyway. The system's list of sources stays as it is.
pkg_install_go()
{
	local candidate
	command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
	candidate=$(apt-cache policy golang-go | sed -n 's/^  Candidate: [0-9]*://p')
	if [ -n "$candidate" ] && pkg_newer "$candidate" 1.21; then
		step "installing Go" "$top/build/log/packages.log" pkg_install golang-go
	else
		step "installing Go from the backports" "$top/build/log/packages.log" pkg_backport_go
	fi
}

# Where a release's packages come from; nothing where their lists have never been fetched.
pkg_archive()
{
	# shellcheck disable=SC2016 # apt's own variable
	apt-get indextargets --format '$(REPO_URI)' "Codename: $1" "Component: main" | head -n 1
}

pkg_backport_go()
{
	local release lists=$top/build/apt from options package
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	from=$(pkg_archive "$release")
	if [ -z "$from" ]; then
		apt-get update || return 1
		from=$(pkg_archive "$release")
	fi
	[ -n "$from" ] || return 1
	mkdir -p "$lists/partial"
	echo "deb $from $release-backports main" >"$lists.list"
	options=(-o "Dir::Etc::sourcelist=$lists.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$lists")
	apt-get "${options[@]}" update || return 1
	package=$(apt-cache "${options[@]}" search -n '^golang-1[.][0-9]*-go$' | sort -V | tail -n 1)
	[ -n "$package" ] && pkg_apt_install "${options[@]}" "${package%% *}"
}
