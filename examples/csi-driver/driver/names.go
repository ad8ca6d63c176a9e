// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

// CSI names volumes and snapshots apart from each other, the pool has one name space: a snapshot's name there
// has a prefix. An id is the name that CSI gave, as far as the pool can hold it, else a digest of it. Thus
// ids are functions of names, and nothing has to be remembered.
const (
	snapshotPrefix = "snapshot:"
	digestPrefix   = "sha256:"
	idMax          = 128 // CSI's for all strings
)

// usable tells if a name can stand in the pool as it is. The library's own rule, but for the length.
func usable(name string) bool {
	if name == "" || len(name) > idMax || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool { return c == '/' || unicode.IsControl(c) })
}

// idOf is the id of what CSI calls by a name.
func idOf(name string) string {
	if usable(name) && !strings.HasPrefix(name, snapshotPrefix) && !strings.HasPrefix(name, digestPrefix) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return digestPrefix + hex.EncodeToString(sum[:])
}

// keepName has a label tell what a digest is of, for people, where a label can.
func keepName(labels map[string]string, id, name string) {
	if id != name {
		_ = putLabel(labels, ownName, name)
	}
}

// find looks an id up. Whatever cannot be one is not there, and that is no error over its form.
func (d *Driver) find(what string, kind kvol.Kind, id string) (kvol.Info, error) {
	if !usable(id) {
		return kvol.Info{}, notFound(what, id)
	}
	name := id
	if kind == kvol.KindSnapshot {
		name = snapshotPrefix + id
	}
	info, err := d.pool.Stat(name)
	if errors.Is(err, kvol.ErrNotFound) || err == nil && info.Kind != kind {
		return kvol.Info{}, notFound(what, id)
	}
	return info, failure(err)
}

func (d *Driver) volume(id string) (kvol.Info, error) {
	return d.find("volume", kvol.KindVolume, id)
}

func (d *Driver) snapshot(id string) (kvol.Info, error) {
	return d.find("snapshot", kvol.KindSnapshot, id)
}

func isNotFound(err error) bool {
	return status.Code(err) == codes.NotFound
}
