package maintenance

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "maintenance")
	if m, err := Read(path); m != nil || err != nil {
		t.Fatalf("without a file, the mark is %v, %v", m, err)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if err := Set(path, NewMark(now, time.Hour)); err != nil {
		t.Fatal(err)
	}
	m, err := Read(path)
	if err != nil || m == nil {
		t.Fatalf("the mark is %v, %v", m, err)
	}
	for _, c := range []struct{ at, left time.Duration }{
		{0, time.Hour}, {40 * time.Minute, 20 * time.Minute}, {time.Hour, 0}, {-3 * time.Hour, time.Hour},
	} {
		if left, ends := m.Left(now.Add(c.at)); !ends || left != c.left {
			t.Errorf("after %v: %v left, %v; want %v", c.at, left, ends, c.left)
		}
	}
	if err := Clear(path); err != nil {
		t.Fatal(err)
	}
	if m, _ := Read(path); m != nil {
		t.Error("the mark was not removed")
	}
}

func TestMarkMadeByHandHasNoEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "maintenance")
	if err := os.WriteFile(path, []byte("disk swap, ask Anna\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Read(path)
	if err != nil || m == nil {
		t.Fatalf("the mark is %v, %v", m, err)
	}
	if _, ends := m.Left(time.Now()); ends {
		t.Error("a mark made by hand has an end")
	}
}
