package change

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

// service is a target whose file decides what happens: "bad" is refused, "none" gets no verdict, "broken" fails its proof,
// and any other text is proven.
type service struct {
	is      string
	file    string
	runs    string // content of the file when it was loaded last
	stopped bool
	failing bool // it fails every proof
	down    bool // it does not stay up on a broken file
	unasked bool
	onTake  func()
	// onValidate is called before each verdict. answer replaces the next verdict.
	onValidate func()
	answer     *validator.Answer
	since      time.Time // argument of the last call of Take
}

func (s *service) Name() string    { return s.is }
func (s *service) Unit() string    { return s.is + ".service" }
func (s *service) Paths() []string { return []string{s.file} }
func (s *service) text() string    { b, _ := os.ReadFile(s.file); return string(b) }

func (s *service) Ready(context.Context) error {
	switch {
	case s.stopped:
		return target.ErrNotRunning
	case s.down && strings.Contains(s.text(), "broken"):
		return target.ErrFailing
	}
	return nil
}

func (s *service) Validate(context.Context) validator.Answer {
	if s.onValidate != nil {
		s.onValidate()
	}
	if a := s.answer; a != nil {
		s.answer = nil
		return *a
	}
	switch text := s.text(); {
	case text == "":
		return target.Bad("empty")
	case strings.Contains(text, "bad"):
		return target.Bad("it is bad")
	case strings.Contains(text, "none"):
		return validator.Answer{}
	}
	return validator.Answer{Verdict: validator.Good}
}

func (s *service) Take(_ context.Context, changed time.Time) error {
	s.since = changed
	if s.unasked {
		return systemd.ErrNotAsked
	}
	if s.onTake != nil {
		s.onTake()
	}
	s.runs = s.text()
	if s.failing || strings.Contains(s.runs, "broken") {
		return errors.New("the proof failed")
	}
	return nil
}

type bench struct {
	*Changer
	a, b *service
	dir  string
	t    *testing.T
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	bn := &bench{t: t, dir: dir, a: &service{is: "a", file: filepath.Join(dir, "a.conf")}, b: &service{is: "b", file: filepath.Join(dir, "b.conf")}}
	bn.Changer = New(Config{Targets: []target.Target{bn.a, bn.b}, Store: st, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	bn.write(bn.a, "a1")
	bn.write(bn.b, "b1")
	bn.expect(journal.Proven, "b") // the last of two changes: each target has its first proof alone
	bn.runsOn("a1", "b1")
	return bn
}

func (bn *bench) write(s *service, text string) {
	bn.t.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o640); err != nil {
		bn.t.Fatal(err)
	}
}

// round carries out all changes, and returns the last one, or nil if there is none.
func (bn *bench) round() (*journal.Change, error) {
	bn.t.Helper()
	changed, err := bn.look()
	if err != nil || len(changed) == 0 {
		return nil, err
	}
	var last *journal.Change
	for _, group := range bn.groups(changed) {
		ch, e := bn.change(bn.t.Context(), group, nil, time.Now())
		if e != nil {
			err = e
			continue
		}
		last = &ch
	}
	return last, err
}

func (bn *bench) expect(verdict journal.Verdict, targets ...string) journal.Change {
	bn.t.Helper()
	ch, err := bn.round()
	if err != nil || ch == nil {
		bn.t.Fatalf("round = %+v, %v; want %s", ch, err, verdict)
	}
	if ch.Verdict != verdict || fmt.Sprint(ch.Targets) != fmt.Sprint(targets) {
		bn.t.Fatalf("change %+v, want %s of %v", *ch, verdict, targets)
	}
	return *ch
}

func (bn *bench) nothing() {
	bn.t.Helper()
	if ch, err := bn.round(); ch != nil || err != nil {
		bn.t.Fatalf("round = %+v, %v; want no change", ch, err)
	}
}

func (bn *bench) runsOn(a, b string) {
	bn.t.Helper()
	if bn.a.runs != a || bn.b.runs != b {
		bn.t.Fatalf("the services run on %q and %q, want %q and %q", bn.a.runs, bn.b.runs, a, b)
	}
}

func (bn *bench) aside(s *service) []string {
	bn.t.Helper()
	found, err := filepath.Glob(s.file + ".rejected-*")
	if err != nil {
		bn.t.Fatal(err)
	}
	var texts []string
	for _, f := range found {
		b, _ := os.ReadFile(f)
		texts = append(texts, string(b))
	}
	return texts
}

func TestUnchangedFilesCauseNoChange(t *testing.T) {
	bn := newBench(t)
	bn.nothing()
	bn.write(bn.a, "a1")
	bn.nothing()
}

func TestBadFileIsRefusedOnceAndKept(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "bad")
	if ch := bn.expect(journal.Refused, "a"); !strings.Contains(ch.Reason, "it is bad") {
		t.Fatalf("the reason is %q", ch.Reason)
	}
	bn.nothing()
	if bn.a.text() != "bad" {
		t.Error("the refused file was changed")
	}
	bn.runsOn("a1", "b1")
	// The service still runs on the previous file, so restoring it is not a change.
	bn.write(bn.a, "a1")
	bn.nothing()
}

func TestChangeTakesAllTargetsOrNone(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.write(bn.b, "bad")
	bn.expect(journal.Refused, "a", "b")
	bn.runsOn("a1", "b1")
	bn.nothing()
	bn.write(bn.b, "b2")
	bn.expect(journal.Proven, "a", "b")
	bn.runsOn("a2", "b2")
}

func TestGoodFileIsTakenOnceTheBadOneIsReverted(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.write(bn.b, "bad")
	bn.expect(journal.Refused, "a", "b")
	bn.write(bn.b, "b1")
	bn.expect(journal.Proven, "a")
	bn.runsOn("a2", "b1")
}

func TestOldRefusedFileDoesNotBlockOthers(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.b, "bad")
	bn.expect(journal.Refused, "b")
	bn.write(bn.a, "a2")
	bn.expect(journal.Proven, "a")
}

func TestFailedProofRollsBackTheWholeChange(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.write(bn.b, "broken")
	bn.expect(journal.RolledBack, "a", "b")
	bn.runsOn("a1", "b1")
	if bn.a.text() != "a1" || bn.b.text() != "b1" {
		t.Errorf("the files are %q and %q", bn.a.text(), bn.b.text())
	}
	if got := fmt.Sprint(bn.aside(bn.a), bn.aside(bn.b)); got != "[a2] [broken]" {
		t.Errorf("files set aside contain %s, want [a2] [broken]", got)
	}
	if fi, err := os.Stat(bn.a.file); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("the restored file has mode %v, %v; want 0640", fi.Mode(), err)
	}
	bn.nothing()
}

func TestFilesAreKeptWithoutLastKnownGoodOnes(t *testing.T) {
	bn := newBench(t)
	bn.Changer.store, _ = store.Open(filepath.Join(t.TempDir(), "new"))
	bn.write(bn.a, "broken")
	bn.expect(journal.Failed, "a")
	if bn.a.text() != "broken" || bn.aside(bn.a) != nil {
		t.Errorf("the file contains %q, and files set aside %v; want broken, and none", bn.a.text(), bn.aside(bn.a))
	}
	bn.nothing()
}

func TestEditDuringReloadIsTheNextChange(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "a2")
	bn.a.onTake = func() { bn.a.onTake = nil; bn.write(bn.a, "a3") }
	if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
		t.Fatalf("round = %+v, %v; want no verdict, because the file is not the validated one", ch, err)
	}
	bn.expect(journal.Proven, "a")
	bn.runsOn("a3", "b1")
	goods, err := bn.store.Goods()
	if err != nil || goods["a"].Files[0].Digest != store.Digest([]byte("a3")) {
		t.Errorf("last known good files of a: %+v, %v; want a3", goods["a"], err)
	}
}

func TestRollbackKeepsNewerEdit(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "broken")
	bn.a.onTake = func() { bn.a.onTake = nil; bn.write(bn.a, "broken, and newer") }
	bn.expect(journal.RolledBack, "a")
	if got := fmt.Sprint(bn.aside(bn.a)); got != "[broken, and newer]" {
		t.Errorf("files set aside contain %s, want the newer edit", got)
	}
}

func TestMissingVerdictIsRetried(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "none")
	for range 2 {
		if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
			t.Fatalf("round = %+v, %v; want no verdict", ch, err)
		}
	}
	bn.b.stopped = true
	bn.write(bn.a, "a2")
	bn.write(bn.b, "b2")
	if ch, err := bn.round(); ch != nil || !errors.Is(err, target.ErrNotRunning) {
		t.Fatalf("round = %+v, %v; want ErrNotRunning", ch, err)
	}
	bn.runsOn("a1", "b1")
	bn.b.stopped = false
	bn.expect(journal.Proven, "a", "b")
}

func TestBadFirstFilesAreRetriedButReportedOnce(t *testing.T) {
	bn := newBench(t)
	bn.targets[0].phase, bn.targets[0].runs = fresh, ""
	bn.write(bn.a, "bad")
	bn.write(bn.b, "b2")
	bn.expect(journal.Proven, "b") // the bad file does not block it
	if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
		t.Fatalf("round = %+v, %v; want no verdict", ch, err)
	}
}

func TestEndingAgentGivesNoVerdict(t *testing.T) {
	bn := newBench(t)
	bn.write(bn.a, "broken")
	ctx, cancel := context.WithCancel(t.Context())
	bn.a.onTake = cancel
	changed, err := bn.look()
	if err != nil {
		t.Fatal(err)
	}
	if ch, err := bn.change(ctx, changed, nil, time.Now()); !errors.Is(err, ErrNoVerdict) || ch.Number != 0 {
		t.Fatalf("change = %+v, %v; want no verdict", ch, err)
	}
	if bn.a.text() != "broken" {
		t.Error("the file was changed")
	}
}
