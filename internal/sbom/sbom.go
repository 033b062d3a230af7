// Package sbom writes the list of an image's software as SPDX 2.3 in JSON; see https://spdx.github.io/spdx-spec/v2.3.
package sbom

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/dpkg"
)

// Image is the image that a list describes.
type Image struct {
	Name         string // of the image file
	SHA256       string // of the image file, in hexadecimal
	Distribution string // ubuntu or debian
	Release      string // noble
	Tool         string // the program that makes the list, with its version: bake-0.1.0
	Created      time.Time
	Packages     []dpkg.Package
	Files        []Program
}

// Program is a program that does not belong to a package, such as the agent.
type Program struct{ Name, Version, SHA256 string }

type document struct {
	Version       string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	CreationInfo  creationInfo   `json:"creationInfo"`
	Describes     []string       `json:"documentDescribes"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creationInfo struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID               string        `json:"SPDXID"`
	Name             string        `json:"name"`
	Version          string        `json:"versionInfo,omitempty"`
	FileName         string        `json:"packageFileName,omitempty"`
	Purpose          string        `json:"primaryPackagePurpose,omitempty"`
	Originator       string        `json:"originator,omitempty"`
	Homepage         string        `json:"homepage,omitempty"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	Checksums        []checksum    `json:"checksums,omitempty"`
	SourceInfo       string        `json:"sourceInfo,omitempty"`
	LicenseConcluded string        `json:"licenseConcluded"`
	LicenseDeclared  string        `json:"licenseDeclared"`
	Copyright        string        `json:"copyrightText"`
	References       []externalRef `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const (
	documentID = "SPDXRef-DOCUMENT"
	imageID    = "SPDXRef-Image"
	none       = "NOASSERTION"
)

// Marshal returns the list of an image. Equal images give equal lists.
func Marshal(i Image) ([]byte, error) {
	d := document{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: documentID, Name: i.Name,
		// The namespace must be unique, but need not be a reachable URL.
		Namespace:    "https://hapair.invalid/spdx/sha256-" + i.SHA256,
		CreationInfo: creationInfo{i.Created.UTC().Format("2006-01-02T15:04:05Z"), []string{"Tool: " + i.Tool}},
		Describes:    []string{imageID},
	}
	image := newPackage(imageID, i.Name, i.Release)
	// The JSON schema has an underscore, although the specification's text has a hyphen.
	image.FileName, image.Purpose = i.Name, "OPERATING_SYSTEM"
	image.Checksums = []checksum{{"SHA256", i.SHA256}}
	d.add(image, documentID, "DESCRIBES")
	for _, p := range i.Packages {
		d.add(debian(i, p), imageID, "CONTAINS")
	}
	for n, f := range i.Files {
		p := newPackage(fmt.Sprintf("SPDXRef-File-%d-%s", n, idString(f.Name)), f.Name, f.Version)
		p.Purpose = "APPLICATION"
		p.Checksums = []checksum{{"SHA256", f.SHA256}}
		d.add(p, imageID, "CONTAINS")
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write the list of software: %w", err)
	}
	return append(b, '\n'), nil
}

func (d *document) add(p spdxPackage, from, relation string) {
	d.Packages = append(d.Packages, p)
	d.Relationships = append(d.Relationships, relationship{from, relation, p.ID})
}

func newPackage(id, name, version string) spdxPackage {
	return spdxPackage{ID: id, Name: name, Version: version, DownloadLocation: none, LicenseConcluded: none, LicenseDeclared: none, Copyright: none}
}

// debian describes a package of the distribution.
func debian(i Image, p dpkg.Package) spdxPackage {
	out := newPackage("SPDXRef-Package-"+idString(p.Name+"-"+p.Architecture), p.Name, p.Version)
	out.SourceInfo = fmt.Sprintf("built from the source package %s %s", p.Source, p.SourceVersion)
	if p.Maintainer != "" {
		// Most maintainers are teams. Individuals are also identified by their mail address.
		out.Originator = "Organization: " + contact(p.Maintainer)
	}
	if u, err := url.Parse(p.Homepage); err == nil && u.IsAbs() && u.Host != "" {
		out.Homepage = u.String()
	}
	out.References = []externalRef{{"PACKAGE-MANAGER", "purl", purl(i, p)}}
	return out
}

// contact returns a maintainer in SPDX's format: Name (mail).
func contact(maintainer string) string {
	name, mail, found := strings.Cut(maintainer, "<")
	if !found {
		return maintainer
	}
	return strings.TrimSpace(name) + " (" + strings.TrimSuffix(strings.TrimSpace(mail), ">") + ")"
}

// purl returns the package URL: see the type deb on https://github.com/package-url/purl-spec.
func purl(i Image, p dpkg.Package) string {
	q := url.Values{"arch": {p.Architecture}, "distro": {i.Release}}
	if p.Source != p.Name || p.SourceVersion != p.Version {
		q.Set("upstream", p.Source+"@"+p.SourceVersion)
	}
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return fmt.Sprintf("pkg:deb/%s/%s@%s?%s", escape(i.Distribution), escape(p.Name), escape(p.Version), q.Encode())
}

// idString converts s to the characters of an SPDX identifier: letters, digits, dots and dashes. Different names give
// different results.
func idString(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, ".%02X.", c)
		}
	}
	return b.String()
}
