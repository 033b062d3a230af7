package sbom

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/testing/needs"
)

func example() Image {
	return Image{
		Name: "cluster.qcow2", SHA256: strings.Repeat("0a", 32), Distribution: "ubuntu", Release: "noble", Tool: "bake-0.1.0",
		Created: time.Date(2026, 11, 1, 2, 3, 4, 5, time.FixedZone("", 3600)),
		Packages: []dpkg.Package{
			{Name: "haproxy", Version: "1:2.8.5-1ubuntu3+b1", Architecture: "amd64", Source: "haproxy", SourceVersion: "1:2.8.5-1ubuntu3",
				Maintainer: "A Team <team@example.org>", Homepage: "http://haproxy.org/"},
			{Name: "libstdc++6", Version: "14.2.0-4", Architecture: "amd64", Source: "gcc-14", SourceVersion: "14.2.0-4", MultiArchSame: true, Homepage: "no address"},
			{Name: "libstdc++6", Version: "14.2.0-4", Architecture: "i386", Source: "gcc-14", SourceVersion: "14.2.0-4", MultiArchSame: true},
		},
		Files: []Program{{"/usr/bin/ha-agent", "0.1.0", strings.Repeat("0b", 32)}},
	}
}

// valid parses a list with SPDX's own library, which checks the requirements of the specification.
func valid(t *testing.T, i Image) []byte {
	t.Helper()
	b, err := Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("the list cannot be read as SPDX: %v:\n%s", err, b)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Errorf("the list is not valid SPDX: %v:\n%s", err, b)
	}
	if len(doc.Packages) != 1+len(i.Packages)+len(i.Files) {
		t.Errorf("parsed %d packages", len(doc.Packages))
	}
	ids := map[string]bool{}
	for _, p := range doc.Packages {
		if ids[string(p.PackageSPDXIdentifier)] {
			t.Errorf("two packages have the ID %s", p.PackageSPDXIdentifier)
		}
		ids[string(p.PackageSPDXIdentifier)] = true
	}
	described, err := spdxlib.GetDescribedPackageIDs(doc)
	if err != nil || len(described) != 1 || described[0] != "Image" {
		t.Errorf("the list describes %v, %v", described, err)
	}
	return b
}

func TestMarshal(t *testing.T) {
	b := valid(t, example())
	for _, want := range []string{
		`"spdxVersion": "SPDX-2.3"`, `"primaryPackagePurpose": "OPERATING_SYSTEM"`, `"created": "2026-11-01T01:03:04Z"`, `"Tool: bake-0.1.0"`,
		`"referenceLocator": "pkg:deb/ubuntu/haproxy@1%3A2.8.5-1ubuntu3%2Bb1?arch=amd64\u0026distro=noble\u0026upstream=haproxy%401%3A2.8.5-1ubuntu3"`,
		`"originator": "Organization: A Team (team@example.org)"`, `"SPDXID": "SPDXRef-Package-libstdc.2B..2B.6-amd64"`,
		`"checksumValue": "` + strings.Repeat("0b", 32),
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the list does not contain %s:\n%s", want, b)
		}
	}
	if again := valid(t, example()); !bytes.Equal(b, again) {
		t.Error("two lists of one image differ")
	}
}

// All packages of a real system must give a valid list.
func TestMarshalThisMachine(t *testing.T) {
	f, err := os.Open(dpkg.Status)
	needs.That(t, err == nil, "this machine has no package database: %v", err)
	defer f.Close()
	i := example()
	if i.Packages, err = dpkg.Installed(f); err != nil || len(i.Packages) == 0 {
		t.Fatalf("%d packages, %v", len(i.Packages), err)
	}
	valid(t, i)
}
