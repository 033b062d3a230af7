package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseFormat(t *testing.T) {
	for _, c := range []struct {
		name, output string
		want         Format
	}{
		{"", "x", QCOW2}, {"", "x.img", QCOW2}, {"", "x.raw", QCOW2}, {"", "x.vmdk", VMDK}, {"", "dir.ova/x.VHD", VHD}, {"", "x.ova", OVA},
		{"raw", "x.ova", Raw}, {"ova", "x", OVA},
	} {
		if got, err := ParseFormat(c.name, c.output); err != nil || got != c.want {
			t.Errorf("ParseFormat(%q, %q) is %q, %v; want %q", c.name, c.output, got, err, c.want)
		}
	}
	if _, err := ParseFormat("vdi", "x"); err == nil || err.Error() != `cannot write an image as "vdi": the format must be qcow2, raw, vmdk, vhd or ova` {
		t.Errorf("error %v", err)
	}
}

// bakeAs bakes a toy base, and returns the image and its manifest.
func bakeAs(t *testing.T, base, name string, format Format) (string, Manifest) {
	t.Helper()
	o := toyOptions(t, base)
	o.Output, o.Format = filepath.Join(filepath.Dir(o.Output), name), format
	m := bake(t, o, put("formats\n"))
	if b, err := os.ReadFile(o.Output); err != nil || m.Image != fmt.Sprintf("sha256:%x", sha256.Sum256(b)) || m.Format != format {
		t.Fatalf("manifest: image %s, format %s; error %v", m.Image, m.Format, err)
	}
	return o.Output, m
}

// extracted returns a file of an image in any format that qemu-img reads.
func extracted(t *testing.T, image, format string) string {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "disk.raw")
	qemu(t, "convert", "-f", format, "-O", "raw", image, raw)
	dir := filepath.Join(t.TempDir(), "root")
	if err := Extract(context.Background(), raw, dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "etc/motd"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func qemu(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("qemu-img", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("qemu-img %v: %v\n%s%s", args, err, out, stderr.Bytes())
	}
	return out
}

func TestVMDK(t *testing.T) {
	out, m := bakeAs(t, toyBase(t), "node.vmdk", VMDK)
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
		Specific    struct {
			Data struct {
				CreateType string `json:"create-type"`
				Extents    []struct{ Compressed bool }
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(qemu(t, "info", "-f", "vmdk", "--output=json", out), &info); err != nil {
		t.Fatal(err)
	}
	if info.VirtualSize != m.Size || info.Specific.Data.CreateType != "streamOptimized" || !info.Specific.Data.Extents[0].Compressed {
		t.Errorf("qemu-img reports %+v", info)
	}
	if got := extracted(t, out, "vmdk"); got != "formats\n" {
		t.Errorf("/etc/motd is %q", got)
	}
	head := make([]byte, 4096)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Contains(head, []byte(`SPARSE "node.vmdk"`)) {
		t.Errorf("the descriptor names another file: %q, %v", head[512:1024], err)
	}
}

// The same disk must give the same bytes each time, although qemu-img chooses a random identifier.
func TestVMDKIsTheSameEachTime(t *testing.T) {
	base, err := os.Open(toyBase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	var digests []string
	for i := range 2 {
		f, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := writeVMDK(t.Context(), base, f, "a b.vmdk"); err != nil {
			t.Fatal(err)
		}
		digest, err := fileDigest(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("digests %v", digests)
	}
}

// The base has a size that is not possible for a VHD.
func TestVHD(t *testing.T) {
	base := toyBase(t)
	if err := os.Truncate(base, toySize+3*512); err != nil {
		t.Fatal(err)
	}
	out, m := bakeAs(t, base, "node.vhd", VHD)
	if m.Size != toySize+mib {
		t.Errorf("size %d, want %d", m.Size, toySize+mib)
	}
	if info, err := os.Stat(out); err != nil || info.Size() != m.Size+vhdFooter {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal(qemu(t, "info", "-f", "vpc", "--output=json", out), &info); err != nil || info.VirtualSize != m.Size {
		t.Errorf("qemu-img sees %d bytes, want %d; %v", info.VirtualSize, m.Size, err)
	}
	if got := extracted(t, out, "vpc"); got != "formats\n" {
		t.Errorf("/etc/motd is %q", got)
	}
}

// The geometries must equal those of disks that qemu-img makes (subformat=fixed,force_size=on).
func TestVHDFooterIsQEMUs(t *testing.T) {
	for _, size := range []int64{1 << 20, 64 << 20, 600 << 20, 2 << 30, 40 << 30, 200 << 30} {
		file := filepath.Join(t.TempDir(), "disk.vhd")
		qemu(t, "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on", file, fmt.Sprint(size))
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var theirs [vhdFooter]byte
		if _, err := f.ReadAt(theirs[:], size); err != nil {
			t.Fatal(err)
		}
		ours := newVHDFooter(size, [16]byte{1})
		// These fields may differ: time and creator (24 to 39), checksum (64) and identifier (68).
		for _, part := range [][2]int{{0, 24}, {40, 56}, {60, 64}, {84, 512}} {
			if !bytes.Equal(ours[part[0]:part[1]], theirs[part[0]:part[1]]) {
				t.Errorf("%d MiB: bytes %d to %d are %x, qemu's %x", size/mib, part[0], part[1], ours[part[0]:part[1]], theirs[part[0]:part[1]])
			}
		}
	}
}

func TestVHDGeometry(t *testing.T) {
	for _, c := range []struct {
		sectors    int64
		cylinders  uint16
		heads, spt uint8
	}{
		{2048 * 64, 963, 8, 17}, {2048 * 2048, 4161, 16, 63}, {1 << 40, 65535, 16, 255},
	} {
		cylinders, heads, spt := vhdGeometry(c.sectors)
		if product := int64(cylinders) * int64(heads) * int64(spt); product > c.sectors {
			t.Errorf("%d sectors: the geometry has %d", c.sectors, product)
		}
		if cylinders != c.cylinders || heads != c.heads || spt != c.spt {
			t.Errorf("%d sectors: %d/%d/%d, want %d/%d/%d", c.sectors, cylinders, heads, spt, c.cylinders, c.heads, c.spt)
		}
	}
}

func TestOVA(t *testing.T) {
	out, m := bakeAs(t, toyBase(t), "my node.ova", OVA)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	var names []string
	sums := map[string]string{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Format&tar.FormatUSTAR == 0 || h.Typeflag != tar.TypeReg || strings.Contains(h.Name, "/") {
			t.Errorf("the member %+v is not a plain file of a ustar", h)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		sums[h.Name] = fmt.Sprintf("%x", sha256.Sum256(b))
		if err := os.WriteFile(filepath.Join(dir, h.Name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"my_node.ovf", "my_node.mf", "my_node-disk1.vmdk"}; !slices.Equal(names, want) {
		t.Fatalf("members %q, want %q", names, want)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "my_node.mf"))
	if want := "SHA256(my_node.ovf)= " + sums["my_node.ovf"] + "\nSHA256(my_node-disk1.vmdk)= " + sums["my_node-disk1.vmdk"] + "\n"; err != nil || string(manifest) != want {
		t.Errorf("manifest %q, want %q; %v", manifest, want, err)
	}
	checkOVF(t, dir, m)
	if got := extracted(t, filepath.Join(dir, "my_node-disk1.vmdk"), "vmdk"); got != "formats\n" {
		t.Errorf("/etc/motd is %q", got)
	}
}

// checkOVF reads the descriptor as an importer does: by namespaces, from the machine's disk to the file.
func checkOVF(t *testing.T, dir string, m Manifest) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "my_node.ovf"))
	if err != nil {
		t.Fatal(err)
	}

	var d struct {
		XMLName xml.Name `xml:"http://schemas.dmtf.org/ovf/envelope/1 Envelope"`
		File    struct {
			ID   string `xml:"http://schemas.dmtf.org/ovf/envelope/1 id,attr"`
			Href string `xml:"http://schemas.dmtf.org/ovf/envelope/1 href,attr"`
			Size int64  `xml:"http://schemas.dmtf.org/ovf/envelope/1 size,attr"`
		} `xml:"References>File"`
		Disk struct {
			ID       string `xml:"http://schemas.dmtf.org/ovf/envelope/1 diskId,attr"`
			FileRef  string `xml:"http://schemas.dmtf.org/ovf/envelope/1 fileRef,attr"`
			Capacity int64  `xml:"http://schemas.dmtf.org/ovf/envelope/1 capacity,attr"`
		} `xml:"DiskSection>Disk"`
		Networks []struct {
			Name string `xml:"http://schemas.dmtf.org/ovf/envelope/1 name,attr"`
		} `xml:"NetworkSection>Network"`
		Items []struct {
			ID           string `xml:"InstanceID"`
			Type         int    `xml:"ResourceType"`
			Parent       string `xml:"Parent"`
			HostResource string `xml:"HostResource"`
			Connection   string `xml:"Connection"`
		} `xml:"VirtualSystem>VirtualHardwareSection>Item"`
	}
	if err := xml.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, d.File.Href))
	if err != nil || info.Size() != d.File.Size || d.Disk.FileRef != d.File.ID || d.Disk.Capacity != m.Size {
		t.Errorf("file %+v, disk %+v; %v", d.File, d.Disk, err)
	}
	parents := map[string]int{}
	for _, item := range d.Items {
		parents[item.ID] = item.Type
	}
	var disks, cards int
	for _, item := range d.Items {
		switch item.Type {
		case 17:
			disks++
			if item.HostResource != "ovf:/disk/"+d.Disk.ID || parents[item.Parent] != 20 {
				t.Errorf("disk %+v", item)
			}
		case 10:
			cards++
			if item.Connection != d.Networks[0].Name {
				t.Errorf("network card %+v", item)
			}
		}
	}
	if disks != 1 || cards != 1 || len(parents) != len(d.Items) {
		t.Errorf("%d disks, %d network cards, items %+v", disks, cards, d.Items)
	}
}

// An image for another architecture must be refused before any of its programs is run.
func TestForeignArchitecture(t *testing.T) {
	base := toyBase(t, func(dir string) {
		shell := filepath.Join(dir, "bin/sh")
		b, err := os.ReadFile(shell)
		if err != nil {
			t.Fatal(err)
		}
		b[18], b[19] = 183, 0 // e_machine: EM_AARCH64
		if err := os.WriteFile(shell, b, 0o755); err != nil {
			t.Fatal(err)
		}
	})
	_, err := Bake(t.Context(), toyOptions(t, base), put(""))
	if err == nil || !strings.Contains(err.Error(), "its architecture is arm64, but this machine's is amd64") {
		t.Errorf("error %v", err)
	}
}

// A VMDK can name other files of the machine that opens it. Such a VMDK must not be opened.
func TestVMDKThatNamesOtherFilesIsRefused(t *testing.T) {
	out, _ := bakeAs(t, toyBase(t), "node.vmdk", VMDK)
	good, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"a parent":       {"parentCID=ffffffff", "parentCID=12345678"},
		"another extent": {`createType="streamOptimized"`, `createType="monolithicFlat"`},
	} {
		hostile := filepath.Join(t.TempDir(), "hostile.vmdk")
		data := bytes.Replace(good, []byte(edit[0]), []byte(edit[1]), 1)
		if bytes.Equal(data, good) {
			t.Fatalf("%s: the descriptor does not contain %s", name, edit[0])
		}
		if err := os.WriteFile(hostile, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(t.Context(), hostile, t.TempDir()); err == nil || !strings.Contains(err.Error(), "lacks the line "+edit[0]) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// qemu-img writes the random identifier without leading zeros.
func TestDescribeVMDKWithAShortIdentifier(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "short.vmdk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, 4*512)
	copy(data, vmdkMagic)
	data[28], data[36] = 1, 2 // the descriptor has two sectors, from the first one on
	copy(data[512:], "# Disk DescriptorFile\nversion=1\nCID=9abcde\nparentCID=ffffffff\nRW 8 SPARSE \"/proc/self/fd/4\"\n")
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := describeVMDK(f, "01234567", "a.vmdk"); err != nil {
		t.Fatal(err)
	}
	text, _, err := vmdkDescriptor(f)
	if want := "# Disk DescriptorFile\nversion=1\nCID=01234567\nparentCID=ffffffff\nRW 8 SPARSE \"a.vmdk\"\n"; err != nil || string(text) != want {
		t.Errorf("the descriptor is %q, %v; want %q", text, err, want)
	}
}
