package audit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/image"
)

func manifest() *image.Manifest {
	return &image.Manifest{
		Version: "0.1.0", Image: "sha256:00", Release: "noble", Format: image.QCOW2, Size: 2 << 30,
		Base: image.BaseInfo{Source: "bootstrap", Digest: "sha256:01"}, Inputs: map[string]string{"spec": "sha256:02"},
		Packages: map[string]string{"haproxy": "2.8.9-1", "keepalived": "1:2.2.8-1", "socat": "1.8", "tcpdump": "4"},
		Files: map[string]image.File{
			"/etc/a": {Digest: "sha256:03", Mode: "0644", Owner: "root", Group: "root"},
			"/etc/b": {Digest: "sha256:04", Mode: "0644", Owner: "root", Group: "root"},
		},
		Units:    map[string]string{"haproxy.service": "enabled", "x.timer": "masked"},
		Sysctls:  map[string]string{"net.ipv4.ip_nonlocal_bind": "1", "kernel.core_pattern": ""},
		Accounts: map[string]image.Account{"haproxy": {UID: "101", Group: "haproxy", Home: "/var/lib/haproxy", Shell: "/usr/sbin/nologin"}},
	}
}

func TestCompare(t *testing.T) {
	a, b := manifest(), manifest()
	b.Image, b.SBOM = "sha256:ff", "sha256:fe"
	if got := Compare(a, b); got != nil {
		t.Errorf("only the image's digest differs: %v", got)
	}
	b.Release, b.Size, b.Inputs["spec"] = "trixie", 4<<30, "sha256:12"
	b.Packages = map[string]string{"haproxy": "2.8.16-1", "keepalived": "2.3-1", "socat": "1.8", "openssl": "3"}
	b.Files["/etc/a"] = image.File{Digest: "sha256:13", Mode: "0600", Owner: "root", Group: "haproxy"}
	delete(b.Files, "/etc/b")
	b.Units["x.timer"] = "enabled"
	b.Units["y.service"] = "enabled"
	b.Sysctls["net.ipv4.ip_nonlocal_bind"] = ""
	delete(b.Sysctls, "kernel.core_pattern")
	b.Accounts["haproxy"] = image.Account{UID: "102", Group: "haproxy", Home: "/var/lib/haproxy", Shell: "/usr/sbin/nologin"}
	var words strings.Builder
	if err := Words(&words, Compare(a, b)); err != nil {
		t.Fatal(err)
	}
	const want = `release: changed: noble -> trixie
size: changed: 2147483648 bytes -> 4294967296 bytes
input spec: changed: sha256:02 -> sha256:12
package haproxy: upgraded: 2.8.9-1 -> 2.8.16-1
package keepalived: downgraded: 1:2.2.8-1 -> 2.3-1
package openssl: added: 3
package tcpdump: removed: 4
file /etc/a: mode changed: 0644 -> 0600
file /etc/a: owner changed: root:root -> root:haproxy
file /etc/a: content changed: sha256:03 -> sha256:13
file /etc/b: removed: 0644 root:root sha256:04
unit x.timer: changed: masked -> enabled
unit y.service: added: enabled
sysctl kernel.core_pattern: removed: ""
sysctl net.ipv4.ip_nonlocal_bind: changed: 1 -> ""
account haproxy: changed: UID 101, group haproxy, home /var/lib/haproxy, shell /usr/sbin/nologin -> UID 102, group haproxy, home /var/lib/haproxy, shell /usr/sbin/nologin
`
	if diff := cmp.Diff(want, words.String()); diff != "" {
		t.Error(diff)
	}
	unified := string(Unified("a", a, "b", b))
	for _, line := range []string{"--- a\n+++ b\n", "\n-package haproxy: 2.8.9-1\n", "\n+package haproxy: 2.8.16-1\n", "\n package socat: 1.8\n"} {
		if !strings.Contains(unified, line) {
			t.Errorf("the unified diff lacks %q:\n%s", line, unified)
		}
	}
	if got := Unified("a", a, "b", manifest()); got != nil {
		t.Errorf("a unified diff of equal manifests:\n%s", got)
	}
}

// Every value of a manifest must be compared, except for the digests of the image and of its list of software.
func TestCompareSeesAll(t *testing.T) {
	text, err := json.Marshal(manifest())
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	for key, other := range map[string]string{
		"hapair": `"2"`, "release": `"x"`, "format": `"raw"`, "size": `1`, "base": `{"source": "x"}`, "inputs": `{}`, "packages": `{}`, "files": `{}`,
		"units": `{"a": "enabled"}`, "sysctls": `{"a": "b"}`, "accounts": `{"a": {"uid": "1"}}`,
	} {
		kept := values[key]
		values[key] = json.RawMessage(other)
		changed, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		values[key] = kept
		m, err := image.ParseManifest(changed)
		if err != nil {
			t.Fatal(err)
		}
		if len(Compare(manifest(), m)) == 0 || len(Compare(m, manifest())) == 0 {
			t.Errorf("a change of %q was not reported", key)
		}
	}
	with := manifest()
	with.Snapshot = "20260131T000000Z"
	if len(Compare(manifest(), with)) != 1 {
		t.Error("a change of the snapshot was not reported")
	}
}

// A manifest of an older version, or one made from an image alone, is compared only in the values that both have.
func TestCompareOld(t *testing.T) {
	old := manifest()
	old.Units, old.Sysctls, old.Accounts = nil, nil, nil
	old.Files["/etc/a"], old.Files["/etc/b"] = image.File{Digest: "sha256:03"}, image.File{Digest: "sha256:14"}
	alone := manifest()
	alone.Version, alone.Base, alone.Inputs = "", image.BaseInfo{}, nil
	if got := Compare(manifest(), alone); got != nil {
		t.Errorf("an image without a manifest: %v", got)
	}
	var words strings.Builder
	if err := Words(&words, Compare(old, manifest())); err != nil || words.String() != "file /etc/b: changed: sha256:14 -> sha256:04\n" {
		t.Errorf("differences from an old manifest: %s, %v", words.String(), err)
	}
}
