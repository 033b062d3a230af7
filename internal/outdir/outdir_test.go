package outdir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mark = ".mark"

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"/etc/haproxy/haproxy.cfg": []byte("a"), "user-data": []byte("b")}
	marked := func(folder, cluster string) {
		m := NewMark(cluster)
		for name, content := range files {
			write(t, filepath.Join(dir, folder), name, string(content))
			m.Add(name, content)
		}
		if err := m.Write(filepath.Join(dir, folder), mark); err != nil {
			t.Fatal(err)
		}
	}
	for folder, cluster := range map[string]string{"stays": "c", "gone": "c", "edited": "c", "kept": "c", "other": "d", "linked": "c"} {
		marked(folder, cluster)
	}
	write(t, dir, "edited/user-data", "mine")
	write(t, dir, "kept/etc/haproxy/notes", "mine")
	write(t, dir, "unmarked/user-data", "b")
	write(t, dir, "older/"+mark, "")
	write(t, dir, "older/user-data", "b")
	write(t, dir, "file", "")
	// A mark must not lead out of its folder.
	write(t, dir, "hostile/"+mark, `{"cluster": "c", "files": {"../file": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "/x": "", "": ""}}`)
	if err := os.RemoveAll(filepath.Join(dir, "linked/etc")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../stays/etc", filepath.Join(dir, "linked/etc")); err != nil {
		t.Fatal(err)
	}
	got, err := Sweep(dir, mark, "c", func(folder string) bool { return folder == "stays" })
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, r := range got {
		said = append(said, strings.ReplaceAll(r.String(), dir+"/", ""))
	}
	const why = "the node is no longer in the spec"
	want := []string{
		"removed 1 file of an earlier run from edited: " + why + "; kept edited/user-data, which bake did not write or which has changed",
		"removed gone, 2 files of an earlier run: " + why,
		"removed hostile, 0 files of an earlier run: " + why,
		"removed 2 files of an earlier run from kept: " + why + "; kept kept/etc/haproxy/notes, which bake did not write or which has changed",
		"removed 1 file of an earlier run from linked: " + why + "; kept linked/etc, which bake did not write or which has changed",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	for name, there := range map[string]bool{
		"gone": false, "edited/etc": false, "edited/user-data": true, "edited/" + mark: false, "kept/etc/haproxy/notes": true, "kept/user-data": false,
		"stays/user-data": true, "stays/etc/haproxy/haproxy.cfg": true, "other/user-data": true, "unmarked/user-data": true, "older/user-data": true, "file": true,
	} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s exists: %v, want %v", name, err == nil, there)
		}
	}
}
