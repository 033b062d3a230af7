package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestEpochFromEnv(t *testing.T) {
	for value, want := range map[string]int64{"0": 0, "1700000000": 1700000000, "15032385535": 15032385535} {
		got, err := EpochFromEnv(func(string) string { return value })
		if err != nil || got.Unix() != want || got.IsZero() {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"-1", "x", "1.5", "15032385536", " 1"} {
		if got, err := EpochFromEnv(func(string) string { return value }); err == nil {
			t.Errorf("%q: %v", value, got)
		}
	}
	if got, err := EpochFromEnv(func(string) string { return "" }); err != nil || !got.IsZero() {
		t.Errorf("not set: %v, %v", got, err)
	}
}

// describeTree returns a line for every file of an image: type, mode, owner, size, times, content or link target.
func describeTree(t *testing.T, image string) string {
	t.Helper()
	var lines []string
	disk, err := rawDisk(t.Context(), image, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	o, err := openDisk(t.Context(), disk, true)
	if err != nil {
		t.Fatal(err)
	}
	files := tree{o.root}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := files.Names(dir)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		for _, name := range names {
			p := path.Join(dir, name)
			info, err := files.Stat(p, false)
			if err != nil {
				t.Fatal(err)
			}
			st := info.Sys().(*unix.Stat_t)
			line := fmt.Sprintf("%s %o %d:%d %d.%09d", p, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
			switch info.Mode().Type() {
			case fs.ModeSymlink:
				target, err := files.readlink(p)
				if err != nil {
					t.Fatal(err)
				}
				line += " -> " + target
			case 0:
				b, err := files.read(p)
				if err != nil {
					t.Fatal(err)
				}
				line += fmt.Sprintf(" %d %x", len(b), sha256.Sum256(b))
			}
			lines = append(lines, line)
			if info.IsDir() {
				walk(p)
			}
		}
	}
	walk("/")
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestEpoch checks how far the same input with an epoch gives the same image. Names, types, modes, owners, modification
// times, content and links are equal, and so are the manifests, except for the digests of the image and of the list of
// software. The bytes of the image file differ: ext4 chooses different blocks, and sets its own times (ctime, crtime, mount
// times).
func TestEpoch(t *testing.T) {
	base := toyBase(t)
	epoch := time.Unix(1_700_000_000, 0)
	var trees [2]string
	var manifests [2]Manifest
	for i := range trees {
		o := toyOptions(t, base)
		o.Epoch = epoch
		var env bytes.Buffer
		manifests[i] = bake(t, o, func(ctx context.Context, m *Machine) error {
			if err := put("same\n")(ctx, m); err != nil {
				return err
			}
			return m.Run(ctx, system+"echo $SOURCE_DATE_EPOCH; mkdir -p /var/cache/ldconfig; echo $$ >/var/cache/ldconfig/aux-cache", &env)
		})
		if env.String() != "1700000000\n" {
			t.Errorf("programs got the epoch %q", env.String())
		}
		manifests[i].Image, manifests[i].SBOM = "", ""
		trees[i] = describeTree(t, o.Output)
		software, err := os.ReadFile(SoftwarePath(o.Output))
		if err != nil || !strings.Contains(string(software), `"created": "2023-11-14T22:13:20Z"`) {
			t.Errorf("the list of software does not have the time of the epoch: %v\n%s", err, software)
		}
	}
	if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
		t.Errorf("two images differ:\n%s", diff)
	}
	if diff := cmp.Diff(manifests[0], manifests[1]); diff != "" {
		t.Errorf("two manifests differ:\n%s", diff)
	}
	for line := range strings.Lines(trees[0]) {
		if stamp := strings.Fields(line)[3]; stamp > "1700000000.000000000" {
			t.Errorf("later than the epoch: %s", line)
		}
	}
	o := toyOptions(t, base)
	bakeSystem(t, o, "")
	if describeTree(t, o.Output) == trees[0] {
		t.Error("without an epoch the trees are equal too, so the test does not compare times")
	}
}
