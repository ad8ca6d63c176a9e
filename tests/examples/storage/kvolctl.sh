# shellcheck shell=bash
# Volumes by kvolctl, for the workloads of this folder. $work is a directory; the pool is made there.

kvolctl=${KVOL_INSTALLED:?}/usr/local/bin/kvolctl
export LD_LIBRARY_PATH=$KVOL_INSTALLED/usr/local/lib KVOL_POOL=$work/pool.img

begin_storage() { "$kvolctl" format --size 4G workload "$KVOL_POOL"; }
end_storage() { "$kvolctl" deactivate; }
create() { "$kvolctl" create --fs ext4 "$1" "$2"; }
publish() { "$kvolctl" publish "$1" "$2"; }
unpublish() { "$kvolctl" unpublish "$1" "$2"; }
delete() { "$kvolctl" delete "$1"; }
snapshot() { "$kvolctl" snapshot "$1" "$1@$2"; }
restore() { "$kvolctl" clone "$1@$2" "$3"; }
delete_snapshot() { "$kvolctl" delete "$1@$2"; }
