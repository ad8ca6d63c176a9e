// SPDX-License-Identifier: LGPL-2.1-or-later

package kvol

// #include <kvol/kvol.h>
import "C"

// RepairOptions are struct kvol_repair_opts.
type RepairOptions struct {
	Check     bool // KVOL_REPAIR_CHECK: look and tell, change nothing
	Force     bool
	Accept    bool
	Takeover  bool
	BackupDir string
}

// Faults are what can be wrong with a pool.
type Faults uint32

const (
	FaultTable      = Faults(C.KVOL_FAULT_TABLE)
	FaultCatalogue  = Faults(C.KVOL_FAULT_CATALOGUE)
	FaultDatabase   = Faults(C.KVOL_FAULT_DATABASE)
	FaultMetadata   = Faults(C.KVOL_FAULT_METADATA)
	FaultNeedsCheck = Faults(C.KVOL_FAULT_NEEDS_CHECK)
	FaultVolumes    = Faults(C.KVOL_FAULT_VOLUMES)
	FaultEpoch      = Faults(C.KVOL_FAULT_EPOCH)
	FaultStrays     = Faults(C.KVOL_FAULT_STRAYS)
)

// RepairInfo is struct kvol_repair_info.
type RepairInfo struct {
	Found  Faults
	Mended Faults
	Lost   uint64
	Short  uint64
	Strays uint64
	Backup string
}

// Repair checks an inactive pool, and mends what can be.
func (c *Context) Repair(path string, o *RepairOptions) (RepairInfo, error) {
	var i C.struct_kvol_repair_info
	if o == nil {
		o = &RepairOptions{}
	}
	err := c.call(func(a *arena, e *C.struct_kvol_error) C.int {
		opts := C.struct_kvol_repair_opts{
			size: C.sizeof_struct_kvol_repair_opts,
			flags: flag(o.Check, C.KVOL_REPAIR_CHECK) | flag(o.Force, C.KVOL_REPAIR_FORCE) |
				flag(o.Accept, C.KVOL_REPAIR_ACCEPT) | flag(o.Takeover, C.KVOL_REPAIR_TAKEOVER),
			backup_dir: a.str(o.BackupDir),
		}
		i.size = C.sizeof_struct_kvol_repair_info
		cpath := a.must(path)
		return a.run(func() C.int { return C.kvol_pool_repair(c.c, cpath, &opts, &i, e) })
	})
	if err != nil {
		return RepairInfo{}, err
	}
	return RepairInfo{
		Found:  Faults(i.found),
		Mended: Faults(i.mended),
		Lost:   uint64(i.n_lost),
		Short:  uint64(i.n_short),
		Strays: uint64(i.n_strays),
		Backup: C.GoString(&i.backup[0]),
	}, nil
}
