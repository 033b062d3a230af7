package image

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

// link returns a function that adds symbolic links to a toy system.
func link(t *testing.T, links map[string]string) func(string) {
	return func(tree string) {
		for name, target := range links {
			if err := os.Symlink(target, filepath.Join(tree, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Links in an image that would lead out of it if they were resolved on this machine must be resolved inside the image.
func TestUploadStaysInTheImage(t *testing.T) {
	host := t.TempDir()
	write(t, filepath.Join(host, "secret"), "of this machine\n")
	base := toyBase(t, link(t, map[string]string{
		"absolute": host,
		"relative": "../../../../../../../.." + host,
	}))
	o := toyOptions(t, base)
	bake(t, o, func(ctx context.Context, m *Machine) error {
		for _, dir := range []string{"/absolute", "/relative"} {
			if err := m.Upload(ctx, dir+"/planted", 0o644, strings.NewReader("x")); err == nil {
				t.Errorf("%s/planted was written although the image has no %s", dir, host)
			}
			if err := m.Download(ctx, dir+"/secret", &bytes.Buffer{}); err == nil {
				t.Errorf("%s/secret of this machine was read", dir)
			}
		}
		// If the image has a directory with the same path, a link leads to that directory.
		if err := m.Run(ctx, "mkdir -p '"+host+"'", nil); err != nil {
			return err
		}
		for _, dir := range []string{"/absolute", "/relative"} {
			if err := m.Upload(ctx, dir+"/planted", 0o644, strings.NewReader("x")); err != nil {
				t.Error(err)
			}
		}
		return m.Run(ctx, "cat '"+host+"/planted'", nil)
	})
	entries, err := os.ReadDir(host)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "secret" {
		t.Errorf("this machine's directory has now %v", entries)
	}
}

// A link in place of the file is replaced, and its target is not changed.
func TestUploadReplacesALink(t *testing.T) {
	host := filepath.Join(t.TempDir(), "victim")
	write(t, host, "untouched")
	o := toyOptions(t, toyBase(t, link(t, map[string]string{"etc/motd": host})))
	m := bake(t, o, put("new"))
	if b, err := os.ReadFile(host); err != nil || string(b) != "untouched" {
		t.Errorf("this machine's file is now %q, %v", b, err)
	}
	if m.Files["/etc/motd"].Digest == "" {
		t.Errorf("the file is not in the image: %v", m.Files)
	}
}

// If a system directory is a link, nothing is mounted at its target.
func TestSystemDirectoryIsALink(t *testing.T) {
	base := toyBase(t, func(tree string) {
		if err := os.Remove(filepath.Join(tree, "run")); err != nil {
			t.Fatal(err)
		}
		link(t, map[string]string{"run": "/etc"})(tree)
	})
	o := toyOptions(t, base)
	_, err := Bake(context.Background(), o, put("never"))
	if err == nil || !strings.Contains(err.Error(), "/run is not a directory") {
		t.Errorf("error %v", err)
	}
	wantEmpty(t, filepath.Dir(o.Output))
}

// Opening a pipe in place of a file must not block.
func TestDownloadRefusesAPipe(t *testing.T) {
	base := toyBase(t, func(tree string) {
		if out, err := exec.Command("mkfifo", filepath.Join(tree, "etc/pipe")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	bake(t, toyOptions(t, base), func(ctx context.Context, m *Machine) error {
		if err := m.Download(ctx, "/etc/pipe", &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error %v", err)
		}
		return nil
	})
}

func TestUploadDir(t *testing.T) {
	src := t.TempDir()
	if err := os.MkdirAll(filepath.Join(src, "sub/deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(src, "sub/deep/file"), "deep")
	write(t, filepath.Join(src, "left-out"), "x")
	link(t, map[string]string{"sub/link": "deep/file"})(src)
	bake(t, toyOptions(t, toyBase(t)), func(ctx context.Context, m *Machine) error {
		if err := m.UploadDir(ctx, "/opt/new", src, []string{"left-out"}); err != nil {
			return err
		}
		var got bytes.Buffer
		if err := m.Download(ctx, "/opt/new/sub/link", &got); err != nil || got.String() != "deep" {
			t.Errorf("through the link: %q, %v", got.String(), err)
		}
		return m.Run(ctx, "! [ -e /opt/new/left-out ]", nil)
	})
}

// The file system of a machine that was not shut down lacks data that was not written.
func TestNeedsRecovery(t *testing.T) {
	base := toyBase(t)
	f, err := os.OpenFile(base, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	incompat := make([]byte, 1)
	const at = rootStart + superblockOffset + 0x60
	if _, err := f.ReadAt(incompat, at); err != nil {
		t.Fatal(err)
	}
	incompat[0] |= incompatRecover
	if _, err := f.WriteAt(incompat, at); err != nil {
		t.Fatal(err)
	}
	o := toyOptions(t, base)
	_, err = Bake(context.Background(), o, put("never"))
	if err == nil || !strings.Contains(err.Error(), "partition 1 was not unmounted") {
		t.Errorf("error %v", err)
	}
	wantEmpty(t, filepath.Dir(o.Output))
}

// A qcow2 image can name another file as its backing file, which could be any file of this machine.
func TestBackingFileIsRefused(t *testing.T) {
	needs.Lab(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), strings.Repeat("of this machine\n", 1000))
	base := filepath.Join(dir, "base.qcow2")
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", filepath.Join(dir, "secret"), "-F", "raw", base).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err = Bake(context.Background(), toyOptions(t, base), put("never"))
	if err == nil || !strings.Contains(err.Error(), "it is incomplete") {
		t.Errorf("error %v", err)
	}
}

func TestOtherRelease(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	o.Release.Name = "noble"
	_, err := Bake(context.Background(), o, put("never"))
	if err == nil || !strings.Contains(err.Error(), "its release is trixie, but the image's must be noble") {
		t.Errorf("error %v", err)
	}
}

// A partition table without partitions cannot be enlarged.
func TestEmptyPartitionTable(t *testing.T) {
	needs.Lab(t)
	base := filepath.Join(t.TempDir(), "base.raw")
	disk, err := os.Create(base)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := disk.Truncate(8 << 20); err != nil {
		t.Fatal(err)
	}
	if err := partitionDisk(t.Context(), disk, "label: gpt\n"); err != nil {
		t.Fatal(err)
	}
	o := toyOptions(t, base)
	o.Size = 16 << 20
	if _, err := Bake(t.Context(), o, put("never")); err == nil || !strings.Contains(err.Error(), errNoRoot.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestNoPartitions(t *testing.T) {
	needs.Lab(t)
	base := filepath.Join(t.TempDir(), "base.raw")
	write(t, base, strings.Repeat("no disk ", 1<<16))
	_, err := Bake(context.Background(), toyOptions(t, base), put("never"))
	if err == nil || !strings.Contains(err.Error(), "cannot read the image's partition table") {
		t.Errorf("error %v", err)
	}
}
