// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"math"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	sizeUnit    = 4096 // the library's
	defaultSize = 1 << 30
)

// sizeFor chooses a size in the range, and not below the least one, which is 0 for a blank volume.
func sizeFor(r *csi.CapacityRange, least uint64) (uint64, error) {
	required, limit := r.GetRequiredBytes(), r.GetLimitBytes()
	if required < 0 || limit < 0 || limit > 0 && required > limit {
		return 0, invalid("capacity range: %d to %d bytes", required, limit)
	}
	if limit == 0 {
		limit = math.MaxInt64
	}
	if required == 0 && least == 0 {
		required = min(defaultSize, limit/sizeUnit*sizeUnit)
	}
	size := max(uint64(required), least)
	size = (size + sizeUnit - 1) / sizeUnit * sizeUnit
	if size > uint64(limit) {
		return 0, status.Errorf(codes.OutOfRange, "capacity range: the least size is %d bytes, the limit %d", size, limit)
	}
	return size, nil
}
