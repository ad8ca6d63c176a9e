# shellcheck shell=bash
# Volumes by the calls that an orchestrator makes of the CSI driver, for the workloads of this folder. $work is a
# directory; the pool is made there, and the ids that the driver gave are kept there, since the tests run in
# subshells. KVOL_CSI_DIR has the driver and examples/csi-driver/test/call.

export LD_LIBRARY_PATH=${KVOL_INSTALLED:?}/usr/local/lib
socket=$work/csi.sock
capability='{"mount": {"fsType": "ext4"}, "accessMode": {"mode": "SINGLE_NODE_WRITER"}}'

call() { "${KVOL_CSI_DIR:?}/call" "$socket" "$@"; }

# keep_id NAME FIELD: a string field of the answer on standard input. id_of NAME: the same again.
keep_id() { sed -n "s/.*\"$2\":\"\\([^\"]*\\)\".*/\\1/p" >"$work/id.$1" && [ -s "$work/id.$1" ]; }
id_of() { cat "$work/id.$1"; }

begin_storage()
{
	"$KVOL_INSTALLED/usr/local/bin/kvolctl" format --size 4G workload "$work/pool.img" || return 1
	"$KVOL_CSI_DIR/kvol-csi" --pool "$work/pool.img" --node-id node-1 --endpoint "unix://$socket" >"$work/driver.log" 2>&1 &
	echo $! >"$work/driver.pid"
	call Identity/Probe
}

end_storage()
{
	kill -TERM "$(cat "$work/driver.pid")"
	tail -f --pid="$(cat "$work/driver.pid")" /dev/null
	"$KVOL_INSTALLED/usr/local/bin/kvolctl" -p workload deactivate
}

# made NAME REQUEST: a volume, whose id is kept.
made()
{
	call Controller/CreateVolume "$2" | keep_id "$1" volumeId
}

create()
{
	made "$1" "{\"name\": \"$1\", \"volumeCapabilities\": [$capability],
		\"capacityRange\": {\"requiredBytes\": \"$(numfmt --from=iec "$2")\"}}"
}

staged()
{
	echo "{\"volumeId\": \"$(id_of "$1")\", \"stagingTargetPath\": \"$work/stage-$1\", \"volumeCapability\": $capability}"
}

publish()
{
	mkdir -p "$work/stage-$1" && call Node/NodeStageVolume "$(staged "$1")" &&
		call Node/NodePublishVolume "$(staged "$1" | sed "s|^{|{\"targetPath\": \"$2\", |")"
}

unpublish()
{
	call Node/NodeUnpublishVolume "{\"volumeId\": \"$(id_of "$1")\", \"targetPath\": \"$2\"}" &&
		call Node/NodeUnstageVolume "{\"volumeId\": \"$(id_of "$1")\", \"stagingTargetPath\": \"$work/stage-$1\"}"
}

delete()
{
	call Controller/DeleteVolume "{\"volumeId\": \"$(id_of "$1")\"}"
}

snapshot()
{
	call Controller/CreateSnapshot "{\"name\": \"$1-$2\", \"sourceVolumeId\": \"$(id_of "$1")\"}" |
		keep_id "$1@$2" snapshotId
}

restore()
{
	made "$3" "{\"name\": \"$3\", \"volumeCapabilities\": [$capability],
		\"volumeContentSource\": {\"snapshot\": {\"snapshotId\": \"$(id_of "$1@$2")\"}}}"
}

delete_snapshot()
{
	call Controller/DeleteSnapshot "{\"snapshotId\": \"$(id_of "$1@$2")\"}"
}
