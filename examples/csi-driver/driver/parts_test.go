// SPDX-License-Identifier: LGPL-2.1-or-later

package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvol.local/kvol"
)

func TestEveryReasonHasACode(t *testing.T) {
	for r := kvol.Reason(1); r.String() != "KVOL_R_UNKNOWN"; r++ {
		code := status.Code(failure(&kvol.Error{Reason: r, Msg: "x"}))
		if _, ok := reasonCodes[r]; !ok || code == codes.Unknown || code == codes.OK {
			t.Errorf("%s is %s", r, code)
		}
	}
	for err, code := range map[error]codes.Code{
		kvol.ErrClosed: codes.Unavailable, fs.ErrNotExist: codes.NotFound, errors.New("x"): codes.Internal, missing("x"): codes.InvalidArgument,
	} {
		if status.Code(failure(err)) != code {
			t.Errorf("%v is %s", err, status.Code(failure(err)))
		}
	}
	if failure(nil) != nil {
		t.Error("nil became an error")
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"a", "pvc-1", ".", "..", "ä", strings.Repeat("x", 128), strings.Repeat("x", 129), "a/b", "a\nb", "a\x00b", "\xff",
		"snapshot:a", "sha256:a", "a\u0085",
	} {
		id := idOf(name)
		if !usable(id) || seen[id] != "" {
			t.Errorf("%q is %q, as %q is", name, id, seen[id])
		}
		seen[id] = name
	}
	if idOf("pvc-1") != "pvc-1" || len(idOf("a/b")) != len(digestPrefix)+64 {
		t.Errorf("%q, %q", idOf("pvc-1"), idOf("a/b"))
	}
	if usable("") || usable("a/b") || usable(strings.Repeat("x", 129)) {
		t.Error("usable takes what is not")
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "4096": 4096, "1Ki": 1024, "3M": 3e6, "2Gi": 2 << 30, "7Ei": 7 << 60, "5k": 5000,
		"": 0, "0": 0, "-1": 0, "1.5Gi": 0, "Gi": 0, "1GiB": 0, "1iG": 0, "8Ei": 0, "99999999999999999999": 0, "1 Gi": 0,
	} {
		n, err := quantity(text)
		if n != want || (err == nil) != (want != 0) {
			t.Errorf("%q is %d, %v", text, n, err)
		}
	}
}

func TestSizesInARange(t *testing.T) {
	for _, c := range []struct {
		required, limit int64
		least, want     uint64
		code            codes.Code
	}{
		{0, 0, 0, defaultSize, codes.OK}, {0, 5000, 0, 4096, codes.OK}, {5000, 0, 0, 8192, codes.OK}, {5000, 8192, 0, 8192, codes.OK},
		{5000, 8000, 0, 0, codes.OutOfRange}, {1, 4096, 8192, 0, codes.OutOfRange}, {1, 0, 8192, 8192, codes.OK},
		{0, 0, 8192, 8192, codes.OK}, {-1, 0, 0, 0, codes.InvalidArgument}, {0, -1, 0, 0, codes.InvalidArgument},
		{2, 1, 0, 0, codes.InvalidArgument}, {math.MaxInt64, 0, 0, 0, codes.OutOfRange},
	} {
		n, err := sizeFor(&csi.CapacityRange{RequiredBytes: c.required, LimitBytes: c.limit}, c.least)
		if n != c.want || status.Code(err) != c.code {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
}

func TestOnlyWhatARequestIsAboutIsLogged(t *testing.T) {
	text := fmt.Sprint(subject(&csi.NodePublishVolumeRequest{
		VolumeId: "v", TargetPath: "/t", Secrets: map[string]string{"passphrase": "s3cret"},
		VolumeContext: map[string]string{"csi.storage.k8s.io/serviceAccount.tokens": "s3cret"},
	})) + fmt.Sprint(subject(&csi.CreateVolumeRequest{Name: "n", Secrets: map[string]string{"passphrase": "s3cret"}}))
	if text != "[volume v target /t][name n]" {
		t.Error(text)
	}
}

func TestTokensOfOthers(t *testing.T) {
	d := &Driver{}
	for _, token := range []string{"invalid-token", "djE", tokenOf(""), tokenOf("a/b"), "!!"} {
		if _, _, err := d.page(kvol.ListOptions{}, token, 1); status.Code(err) != codes.Aborted {
			t.Errorf("%q: %v", token, err)
		}
	}
	if _, _, err := d.page(kvol.ListOptions{}, "", -1); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	d := &Driver{log: slog.New(slog.DiscardHandler)}
	_, err := d.recoverCall(t.Context(), nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { panic("x") })
	if status.Code(err) != codes.Internal {
		t.Error(err)
	}
}
