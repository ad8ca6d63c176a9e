# bash completion for kvolctl(8)                                     -*- shell-script -*-
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Commands, options, files, and the names of volumes. Names are only asked of a pool that is given
# by its name: that one is active already. A pool that is given by a path might have to be
# activated to be asked, and pressing TAB must change nothing.

# The names in the pool $1, one per line; $2 is --volumes, --snapshots or empty. A name may hold
# blanks, so it is everything before the column KIND.
_kvolctl_names()
{
	local line entry='^(.*[^ ]) +(volume|snapshot) +[0-9.]+[BKMGTPE] '

	[[ $1 && $1 != */* ]] || return 0
	timeout 2 "${COMP_WORDS[0]}" -p "$1" list $2 2>/dev/null </dev/null |
		while IFS= read -r line; do
			[[ $line =~ $entry ]] && printf '%s\n' "${BASH_REMATCH[1]}"
		done
}

_kvolctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local pool=$KVOL_POOL command= action= operands=0 i word line
	local commands='format pool set deactivate repair create snapshot clone expand change-secret publish
		unpublish delete label label-pool labels publishes list template show stat usage why limit-io version help'
	local options='--help --pool' words= files= names=no

	COMPREPLY=()
	# "--opt=value" comes as three words where '=' breaks words.
	if [[ $cur == '=' ]]; then
		cur=
	elif [[ $prev == '=' ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-p | --pool | --size | --block-size | --max-volumes | --fs | --mntns | --options | \
			--backup-dir | --access | --propagation | --userns | --uid-map | --gid-map | \
			--group | --label | --max-published | --overcommit | --publish-flags | \
			--read-bps | --write-bps | --read-iops | --write-iops | --secret-file | \
			--old-file | --new-file | --owner | --mode | --ephemeral | --from)
			((i++))
			[[ ${COMP_WORDS[i]} == '=' ]] && ((i++))
			[[ $word != -p && $word != --pool ]] || pool=${COMP_WORDS[i]}
			;;
		-p*) pool=${word#-p} ;;
		-*) ;;
		*)
			if [[ $command ]]; then
				((operands++)) || action=$word
			else
				command=$word
			fi
			;;
		esac
	done
	# What stands on the line is quoted for the shell, at most by one layer.
	pool=${pool//[\"\'\\]/}

	case $prev in
	-p | --pool | --mntns | --userns | --backup-dir | --secret-file | --old-file | --new-file) files=yes ;;
	--fs) words='ext4 xfs btrfs' ;;
	--propagation) words='default private slave shared' ;;
	--access) words='any single-writer multi-writer reader' ;;
	--size | --block-size | --max-volumes | --options | --uid-map | --gid-map | --group | --label | \
		--max-published | --overcommit | --publish-flags | --read-bps | --write-bps | \
		--read-iops | --write-iops | --owner | --mode) return 0 ;;
	*)
		case $command/$operands in
		/*) words=$commands options+=' --version' ;;
		format/1) files=yes ;;
		publish/1 | unpublish/1 | limit-io/1) files=yes ;;
		snapshot/0 | clone/0 | publish/0 | unpublish/0 | delete/0 | show/0 | stat/0 | usage/0 | why/0 | \
			limit-io/0 | label/0 | labels/0 | publishes/0) names= ;;
		expand/0) names=--volumes ;;
		change-secret/0) names= ;;
		template/0) words='make list delete' ;;
		template/1) [[ $action == list ]] || words='ext4 xfs btrfs' ;;
		help/0) words=$commands ;;
		esac
		case $command in
		format) options+=' --size --force --block-size --max-volumes' ;;
		set) options+=' --max-volumes --max-published --overcommit --publish-flags' ;;
		limit-io) options+=' --read-bps --write-bps --read-iops --write-iops' ;;
		repair) options+=' --check --backup-dir --force --accept --takeover' ;;
		create) options+=' --fs --thick --owner --mode --label --secret-file' ;;
		snapshot) options+=' --label' ;;
		change-secret) options+=' --old-file --new-file' ;;
		clone) options+=' --size --label' ;;
		publish) options+=' --ro --block --mntns --options --access --propagation --userns --uid-map
			--gid-map --group --secret-file --ephemeral --fs --from' ;;
		unpublish) options+=' --mntns' ;;
		list) options+=' --volumes --snapshots --label --json' ;;
		pool) options+=' --json --takeover' ;;
		template | show | stat | usage | why | labels | publishes) options+=' --json' ;;
		esac
		[[ $cur == -* ]] && words=$options files= names=no
		;;
	esac

	[[ ! $words ]] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
	if [[ $files ]]; then
		compopt -o filenames 2>/dev/null
		while IFS= read -r line; do
			COMPREPLY+=("$line")
		done < <(compgen -f -- "$cur")
	fi
	[[ $names != no ]] || return 0
	cur=${cur//[\"\'\\]/}
	while IFS= read -r line; do
		[[ $line == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
	done < <(_kvolctl_names "$pool" "$names")
	return 0
}

complete -F _kvolctl kvolctl
