package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

//go:embed ova.ovf.tmpl
var ovfText string

// ovfTemplate needs no escaping: file names are reduced to plain characters, and release titles are constants.
var ovfTemplate = template.Must(template.New("ovf").Parse(ovfText))

// ovf has the values for the descriptor.
type ovf struct {
	Name, Disk     string // of the machine; of the disk's file
	FileSize, Size int64  // of the disk's file and of the disk, in bytes
	OS             int    // CIM_OperatingSystem.OsType
	OSType, Title  string // VMware's name of the system; its name for people
}

// writeOVA writes an OVA: a tar archive of an OVF descriptor, a manifest and the disk, in the order that DSP0243 requires.
func (w *Work) writeOVA(ctx context.Context, disk, to *scratch) error {
	info, err := disk.Stat()
	if err != nil {
		return fmt.Errorf("cannot write an OVA: %w", err)
	}
	name := plainName(strings.TrimSuffix(filepath.Base(w.o.Output), filepath.Ext(w.o.Output)))
	d := ovf{Name: name, Disk: name + "-disk1.vmdk", Size: info.Size(), OS: 96, OSType: "debian10_64Guest", Title: w.o.Release.Title}
	if w.o.Release.Distribution == "ubuntu" {
		d.OS, d.OSType = 94, "ubuntu64Guest"
	}
	vmdk, err := newScratch(disk.dir)
	if err != nil {
		return err
	}
	defer vmdk.discard()
	if err := writeVMDK(ctx, disk.File, vmdk.File, d.Disk); err != nil {
		return err
	}
	if info, err = vmdk.Stat(); err != nil {
		return fmt.Errorf("cannot write an OVA: %w", err)
	}
	d.FileSize = info.Size()
	digest, err := fileDigest(ctx, vmdk.File)
	if err != nil {
		return fmt.Errorf("cannot read the VMDK: %w", err)
	}
	if _, err := vmdk.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("cannot read the VMDK: %w", err)
	}
	var descriptor bytes.Buffer
	if err := ovfTemplate.Execute(&descriptor, d); err != nil {
		return fmt.Errorf("cannot write an OVF descriptor: %w", err)
	}
	manifest := fmt.Sprintf("SHA256(%s.ovf)= %x\nSHA256(%s)= %s\n", name, sha256.Sum256(descriptor.Bytes()), d.Disk, digest)
	return writeTar(ctx, to, []member{
		{name + ".ovf", int64(descriptor.Len()), &descriptor},
		{name + ".mf", int64(len(manifest)), strings.NewReader(manifest)},
		{d.Disk, d.FileSize, vmdk},
	})
}

// member is a file of a tar archive.
type member struct {
	name    string
	size    int64
	content io.Reader
}

// writeTar writes files to a ustar archive, the format that OVA requires. The same content gives the same bytes.
func writeTar(ctx context.Context, to io.Writer, members []member) error {
	tw := tar.NewWriter(to)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: m.size, ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := tw.WriteHeader(h); err != nil {
			return fmt.Errorf("cannot add %s to the OVA: %w", m.name, err)
		}
		if _, err := io.Copy(tw, &cancelled{ctx, m.content}); err != nil {
			return fmt.Errorf("cannot add %s to the OVA: %w", m.name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return fmt.Errorf("cannot write the OVA: %w", err)
	}
	return nil
}
