// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"errors"
	"io/fs"
	"os"
)

// makeTarget makes a target and tells if it was not there. Its parent is the orchestrator's.
func makeTarget(path string, block bool) (bool, error) {
	var err error
	if block {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
			err = f.Close()
		}
	} else {
		err = os.Mkdir(path, 0o750)
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil // the library tells if it is of the right kind
	}
	return err == nil, err
}

// removeTarget removes what makeTarget made. Not what is mounted, nor a directory with something in it.
func removeTarget(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
