// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mode says which services are served; Identity always is.
type Mode string

const (
	All        Mode = "all"
	Node       Mode = "node"
	Controller Mode = "controller"
)

// UnmarshalText is for flags.
func (m *Mode) UnmarshalText(text []byte) error {
	*m = Mode(text)
	if !slices.Contains([]Mode{All, Node, Controller}, *m) {
		return fmt.Errorf("unknown mode %q", text)
	}
	return nil
}

// MarshalText is for flags.
func (m Mode) MarshalText() ([]byte, error) {
	return []byte(m), nil
}

// Config is what the command line says.
type Config struct {
	Endpoint       string
	Pool           string
	NodeID         string
	Name           string
	Mode           Mode
	MetricsAddress string
	MountNamespace string
	RunDir         string
	HostID         string
	DefaultFS      string
	ExpandOnNode   bool
	DrainTimeout   time.Duration
}

// As the specification and Kubernetes want a driver's name.
var nameForm = regexp.MustCompile(`^[a-zA-Z]([-a-zA-Z0-9.]{0,61}[a-zA-Z])?$`)

// Check tells what is wrong with it.
func (c *Config) Check() error {
	if c.Pool == "" {
		return errors.New("--pool is needed")
	}
	if c.NodeID == "" || len(c.NodeID) > 192 {
		return errors.New("--node-id is 1 to 192 bytes long")
	}
	if !nameForm.MatchString(c.Name) {
		return fmt.Errorf("--driver-name %q: letters, digits, '-' and '.', 63 at most, from a letter to a letter", c.Name)
	}
	if _, err := c.socket(); err != nil {
		return err
	}
	return nil
}

// socket is the path in the endpoint: unix:///path, unix:/path or /path.
func (c *Config) socket() (string, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(c.Endpoint, "unix:"), "//")
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("--endpoint %q: not unix:// and an absolute path", c.Endpoint)
	}
	return path, nil
}
