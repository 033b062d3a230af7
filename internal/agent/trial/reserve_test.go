package trial

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/revision"
)

func TestReserveIsUsedOnce(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if err := s.keepRoom(revision.Content{}); err != nil {
		t.Fatal(err)
	}
	full := func() error {
		if fi, err := os.Stat(s.path(reserveFile)); err == nil && fi.Size() >= reserveSize {
			return fmt.Errorf("cannot write: %w", unix.ENOSPC)
		}
		return nil
	}
	if err := s.inReserve(full); err != nil {
		t.Errorf("with a reserve: %v", err)
	}
	tries := 0
	if err := s.inReserve(func() error { tries++; return unix.ENOSPC }); err == nil || tries != 1 {
		t.Errorf("without a reserve: %v after %d tries, want an error after one", err, tries)
	}
}

func TestPackagesAreKeptAndSwept(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	var digests []string
	for _, program := range []string{"old", "new"} {
		d, err := s.AddProgram([]byte(program))
		if err == nil {
			err = s.addPackage(d, []byte("package of "+program))
		}
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
	}
	content, err := s.keep(revision.Content{Agent: digests[1]})
	if err != nil {
		t.Fatal(err)
	}
	s.sweep(state{Content: content})
	for i, want := range []bool{false, true} {
		if _, err := os.Stat(s.packageOf(digests[i])); (err == nil) != want {
			t.Errorf("the package of program %d is there: %v, want %v", i, err == nil, want)
		}
	}
}
