package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/agent/journal"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "ha-agent"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func good(n int, path, data string) Good {
	return Good{n, time.Unix(int64(n), 0).UTC(), []File{{Path: path, Digest: Digest([]byte(data)), Mode: 0o640, UID: 1, GID: 2, Data: []byte(data)}}}
}

func TestCommitReplacesOnlyItsTargets(t *testing.T) {
	s := open(t)
	first := map[string]Good{"haproxy": good(1, "/h", "one"), "keepalived": good(1, "/k", "secret")}
	if err := s.Commit(first); err != nil {
		t.Fatal(err)
	}
	second := good(2, "/h", "two")
	if err := s.Commit(map[string]Good{"haproxy": second}); err != nil {
		t.Fatal(err)
	}
	goods, err := At(s.dir).Goods()
	if err != nil || len(goods) != 2 {
		t.Fatalf("last known good files: %+v, %v; want two targets", goods, err)
	}
	for name, want := range map[string]Good{"haproxy": second, "keepalived": first["keepalived"]} {
		got, err := s.Fill(goods[name])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("last known good files of %s (-want +got): %s", name, diff)
		}
	}
	// Only files that a target names are kept, and only root can read them.
	entries, err := os.ReadDir(filepath.Join(s.dir, "good"))
	if err != nil || len(entries) != 3 {
		t.Fatalf("the store has %d files, %v; want two and the manifest", len(entries), err)
	}
	for _, e := range entries {
		if fi, err := e.Info(); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), fi.Mode(), err)
		}
	}
	if fi, err := os.Stat(filepath.Join(s.dir, "good")); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the store has mode %v, %v", fi.Mode(), err)
	}
}

func TestFillRefusesChangedBytes(t *testing.T) {
	s := open(t)
	g := good(1, "/h", "one")
	if err := s.Commit(map[string]Good{"haproxy": g}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.good(g.Files[0].Digest), []byte("rotten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fill(g); err == nil {
		t.Error("Fill accepted changed bytes")
	}
	for _, digest := range []string{"", "../../etc/shadow", g.Files[0].Digest[:60]} {
		bad := g
		bad.Files = []File{{Path: "/h", Digest: digest}}
		if _, err := s.Fill(bad); err == nil {
			t.Errorf("the manifest %q was accepted", digest)
		}
	}
}

func TestGoodsRefusesDamagedOrNewerManifest(t *testing.T) {
	s := open(t)
	for _, content := range []string{"", "{", `{"version": 2}`} {
		if err := os.WriteFile(s.good("manifest.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := s.Goods(); err == nil {
			t.Errorf("the manifest %q was read as %v, want an error", content, g)
		}
	}
}

func TestJournalSurvivesATruncatedLine(t *testing.T) {
	s := open(t)
	append1 := func(n int) {
		t.Helper()
		if err := s.Append(journal.Change{Number: n, Verdict: journal.Proven}); err != nil {
			t.Fatal(err)
		}
	}
	append1(1)
	f, err := os.OpenFile(s.journal(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"number": 2, "ver`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	append1(3)
	changes, err := s.Changes()
	if err != nil || len(changes) != 2 || changes[0].Number != 1 || changes[1].Number != 3 {
		t.Fatalf("the journal has %+v, %v; want changes 1 and 3", changes, err)
	}
}

func TestJournalIsBounded(t *testing.T) {
	s := open(t)
	long := string(bytes.Repeat([]byte("x"), 4096))
	for n := 1; n <= 3*maxJournal/4096; n++ {
		if err := s.Append(journal.Change{Number: n, Reason: long}); err != nil {
			t.Fatal(err)
		}
	}
	fi, err := os.Stat(s.journal())
	if err != nil || fi.Size() > maxJournal+8192 {
		t.Fatalf("the journal has %d bytes, %v; want at most %d", fi.Size(), err, maxJournal+8192)
	}
	changes, err := s.Changes()
	if err != nil || len(changes) == 0 || changes[len(changes)-1].Number != 3*maxJournal/4096 {
		t.Fatalf("the journal has %d changes, %v; want the last one among them", len(changes), err)
	}
}
