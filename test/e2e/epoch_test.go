package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// TestSameImageAgain bakes two images of one spec with SOURCE_DATE_EPOCH. Every file must be the same in both: name, type,
// mode, owner, modification time, content, link target. Both images must be clean, and must match their manifests.
func TestSameImageAgain(t *testing.T) {
	needs.InWide(t, "TestEpoch in internal/image compares small images")
	const epoch = 1_700_000_000
	t.Setenv("SOURCE_DATE_EPOCH", fmt.Sprint(epoch))
	for _, release := range cluster.Releases(t, "noble") {
		t.Run(release, func(t *testing.T) {
			b := buildFamily(t, cluster.IPv4)
			var images []string
			var trees []map[string]string
			for i := range 2 {
				file := filepath.Join(b.Dir, fmt.Sprintf("%s-%d.raw", release, i))
				b.Run(t, "image", b.Spec, "--release", release, "--format", "raw", "-o", file)
				b.Run(t, "inspect", file)
				dir := filepath.Join(t.TempDir(), "root")
				if err := image.Extract(t.Context(), file, dir); err != nil {
					t.Fatal(err)
				}
				images, trees = append(images, file), append(trees, describe(t, dir, time.Unix(epoch, 0)))
			}
			b.Run(t, "diff", images[0], images[1])
			if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
				t.Errorf("two images differ:\n%s", diff)
			}
			t.Logf("%d files are equal", len(trees[0]))
		})
	}
}

// describe returns a line for each file below a directory, by path. No file may be later than the epoch.
func describe(t *testing.T, dir string, epoch time.Time) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		line := fmt.Sprintf("%v %d:%d %v", info.Mode(), st.Uid, st.Gid, info.ModTime().UTC())
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case 0:
			digest, err := digest(path)
			if err != nil {
				return err
			}
			line += " " + digest
		}
		if info.ModTime().After(epoch) {
			t.Errorf("%s is later than the epoch: %s", path, line)
		}
		all[path[len(dir):]] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return fmt.Sprintf("%x", hash.Sum(nil)), err
}
