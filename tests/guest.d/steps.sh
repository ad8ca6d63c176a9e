# shellcheck shell=bash
# For scripts that do long things step by step: one line of progress each, logs, builds. Needs $top, the
# source tree.

# step TEXT LOG COMMAND... runs a command that may take long, with its output in LOG, and says on standard
# error what is going on; it keeps quiet about what took no time. A failure shows the end of the log.
step()
{
	local text=$1 log=$2 begin=$SECONDS code=0 clock="" result=""
	shift 2
	mkdir -p "${log%/*}"
	if [ -t 2 ]; then
		show_clock "$text" &
		clock=$!
	fi
	# In the foreground, so that Ctrl-C reaches it.
	("$@") >"$log" 2>&1 </dev/null || code=$?
	if [ -n "$clock" ]; then
		kill "$clock"
		wait "$clock" 2>/dev/null || true
		printf '\r\e[K' >&2
	fi
	[ $code = 0 ] || result=", FAILED"
	if [ $code != 0 ] || [ $SECONDS -gt $((begin + 1)) ]; then
		echo "$text ... $((SECONDS - begin)) s$result" >&2
	fi
	[ $code = 0 ] || show_end "$log"
	return $code
}

# Ends with the script, however that ends.
show_clock()
{
	local begin=$SECONDS
	while kill -0 $$ 2>/dev/null; do
		printf '\r%s ... %d s' "$1" $((SECONDS - begin)) >&2
		sleep 0.2
	done
}

show_end()
{
	echo "the end of $1:" >&2
	tail -n 30 "$1" | sed 's/^/    /' >&2
}

# build_tree NAME TARGETS [CONFIGURE-OPTION...]: a tree of its own below build/, configured anew only
# when something asks for it: other options, a newer configure, or cmocka that was not there before.
build_tree()
{
	local tree=${top:?}/build/$1 targets=$2 log=$top/build/log with
	shift 2
	with="$* cmocka $(pkg-config --modversion cmocka 2>/dev/null || echo missing)"
	if [ ! -e "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ]; then
		step "preparing the source tree" "$log/autogen.log" "$top/autogen.sh" || return 1
	fi
	mkdir -p "$tree"
	if ! [ "$tree/config.status" -nt "$top/configure" ] ||
		[ "$(cat "$tree/configured-with" 2>/dev/null)" != "$with" ]; then
		step "configuring ${tree#"$top"/}" "$log/configure-${tree##*/}.log" \
			configure_tree "$tree" "$@" || return 1
		echo "$with" >"$tree/configured-with"
	fi
	# shellcheck disable=SC2086 # several targets
	step "building ${tree#"$top"/}" "$log/build-${tree##*/}.log" make -C "$tree" -j"$(nproc)" $targets
}

configure_tree()
{
	cd "$1" || return 1
	shift
	"$top/configure" --quiet "$@"
}
