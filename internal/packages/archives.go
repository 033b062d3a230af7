package packages

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/hapair/hapair/internal/version"
)

// File is a file of an archive.
type File struct {
	Name    string // relative
	Mode    fs.FileMode
	Content []byte
}

// Tar writes a compressed tar archive of files, all below one directory.
func Tar(w io.Writer, dir string, files []File) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	slices.SortFunc(files, func(a, b File) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	for _, f := range files {
		h := &tar.Header{Name: dir + "/" + f.Name, Mode: int64(f.Mode), Size: int64(len(f.Content)), ModTime: Time, Format: tar.FormatGNU}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.Content); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

// pluginAPI is the version of the protocol between Packer and its plugins, which is part of a plugin's file name.
const pluginAPI = "x5.0"

// PluginName returns the name that Packer expects of the plugin's program: packer-plugin-hapair_v0.1.0_x5.0_linux_amd64.
func PluginName(arch string) string {
	return fmt.Sprintf("packer-plugin-hapair_v%s_%s_linux_%s", version.Version, pluginAPI, arch)
}

// PluginSums is the name of the file with the digests of the plugin's archives, which `packer init` reads.
func PluginSums() string {
	return fmt.Sprintf("packer-plugin-hapair_v%s_SHA256SUMS", version.Version)
}

// Plugin writes the archive that `packer init` downloads: the program under its full name.
func Plugin(w io.Writer, arch string, program []byte) error {
	z := zip.NewWriter(w)
	h := &zip.FileHeader{Name: PluginName(arch), Method: zip.Deflate, Modified: Time}
	h.SetMode(0o755)
	f, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	if _, err := f.Write(program); err != nil {
		return err
	}
	return z.Close()
}
