// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

const (
	labelPrefix = "label."                 // label.KEY: a label of the volume
	kubePrefix  = "csi.storage.k8s.io/"    // what Kubernetes tells about an object
	ownPrefix   = "csi.kvol/"              // the driver's own labels
	ownName     = ownPrefix + "name"       // the name that an id is the digest of
	secretKey   = "passphrase"             // in secrets: encrypts a volume, or opens it
	isEphemeral = kubePrefix + "ephemeral" // in a volume context
)

// What a pod is told by with podInfoOnMount. Not serviceAccount.tokens, which is a secret.
var podInfo = []string{"pod.name", "pod.namespace", "pod.uid", "serviceAccount.name"}

// parameters of a storage class.
type parameters struct {
	fsType    string
	encrypted *bool
	labels    map[string]string
}

// parse takes parameters that are made only with their volume, and those that can be changed later.
func parse(fixed, mutable map[string]string) (parameters, error) {
	p := parameters{}
	labels, remove, err := mutableLabels(mutable)
	if err != nil {
		return p, err
	}
	p.labels = map[string]string{}
	for key, value := range fixed {
		switch {
		case key == "fsType":
			p.fsType = value
		case key == "encrypted":
			on, err := strconv.ParseBool(value)
			if err != nil {
				return p, invalid("parameter %q: %q is neither true nor false", key, value)
			}
			p.encrypted = &on
		case strings.HasPrefix(key, kubePrefix):
			if err := putLabel(p.labels, kubeLabel(key), value); err != nil {
				return p, err
			}
		case strings.HasPrefix(key, labelPrefix):
			if err := addLabel(p.labels, key, value); err != nil {
				return p, err
			}
		default:
			return p, invalid("unknown parameter %q", key)
		}
	}
	maps.Copy(p.labels, labels)
	for _, key := range remove {
		delete(p.labels, key)
	}
	return p, nil
}

// mutableLabels is what can be changed of a volume: its labels. An empty value removes one.
func mutableLabels(m map[string]string) (set map[string]string, remove []string, err error) {
	set = map[string]string{}
	for key, value := range m {
		if !strings.HasPrefix(key, labelPrefix) {
			return nil, nil, invalid("unknown mutable parameter %q", key)
		}
		if err = addLabel(set, key, value); err != nil {
			return nil, nil, err
		}
		if value == "" {
			key = strings.TrimPrefix(key, labelPrefix)
			delete(set, key)
			remove = append(remove, key)
		}
	}
	return set, remove, nil
}

func addLabel(labels map[string]string, key, value string) error {
	key = strings.TrimPrefix(key, labelPrefix)
	if strings.HasPrefix(key, ownPrefix) || strings.HasPrefix(key, kubePrefix) {
		return invalid("label %q: this prefix is not for parameters", key)
	}
	return putLabel(labels, key, value)
}

// The library's rule for labels, so that what is wrong with one is known before anything is done.
var labelForm = regexp.MustCompile(`^([-a-zA-Z0-9.]{1,253}/)?[a-zA-Z0-9]([-a-zA-Z0-9._]{0,61}[a-zA-Z0-9])?$`)

func putLabel(labels map[string]string, key, value string) error {
	if !labelForm.MatchString(key) {
		return invalid("label %q: not a key as Kubernetes has them", key)
	}
	if len(value) > kvol.LabelValueMax || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return invalid("label %q: its value is not up to %d bytes of printable UTF-8", key, kvol.LabelValueMax)
	}
	labels[key] = value
	return nil
}

// kubeLabel: csi.storage.k8s.io/pvc/name is no label's key, csi.storage.k8s.io/pvc.name is.
func kubeLabel(key string) string {
	return kubePrefix + strings.ReplaceAll(strings.TrimPrefix(key, kubePrefix), "/", ".")
}

func podLabels(context map[string]string) (map[string]string, error) {
	labels := map[string]string{}
	for _, key := range podInfo {
		if value, ok := context[kubePrefix+key]; ok {
			if err := putLabel(labels, kubePrefix+key, value); err != nil {
				return nil, err
			}
		}
	}
	return labels, nil
}

// secretOf is the passphrase in a request's secrets, nil without one.
func secretOf(secrets map[string]string) []byte {
	if s, ok := secrets[secretKey]; ok {
		return []byte(s)
	}
	return nil
}

// checkSecret holds a passphrase against the parameter that asks for one.
func (p *parameters) checkSecret(secret []byte) error {
	if p.encrypted == nil || *p.encrypted == (secret != nil) {
		return nil
	}
	if *p.encrypted {
		return status.Errorf(codes.Unauthenticated, "the volume is to be encrypted, and its secrets have no %q", secretKey)
	}
	return invalid("encrypted is false, and there is a secret with a %q", secretKey)
}

// quantity reads a size as Kubernetes writes it.
func quantity(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTPEki")
	units := map[string]int64{
		"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := units[text[len(digits):]]
	if err != nil || !ok || n <= 0 || n*unit/unit != n {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	return n * unit, nil
}
