// SPDX-License-Identifier: LGPL-2.1-or-later

// Package driver is a CSI driver over libkvol.
//
// It keeps no state: what it answers is in the pool's catalogue, in labels, and in the library's record of
// what is published. So it may be killed at any time, and whatever was asked for is asked for again.
// There are no locks either: the library's calls are idempotent and safe from anywhere.
package driver

import (
	"log/slog"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"kvol.local/kvol"
)

// Version of the driver.
const Version = "0.1.0"

// Driver is all three services.
type Driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer

	Config
	pool *kvol.Pool
	log  *slog.Logger
}
