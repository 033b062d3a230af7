// Package trial keeps the revisions that rollouts bring to this node: it tests them, applies them on trial, and confirms or
// undoes them, whatever becomes of the rollout's connection, of the agent's daemon and of this machine meanwhile.
package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/revision"
)

// Store is /var/lib/ha-agent/revisions: the current revision, what the node can go back to, and the trial. Processes share it
// by a lock.
type Store struct {
	Dir   string
	Clock Clock
	Now   func() time.Time
}

// Clock measures a trial's deadline. It counts while the machine is suspended, and nobody can set it.
type Clock interface {
	// Boot is the ID of the boot. A deadline of another boot is over.
	Boot() string
	// Uptime is the time since the boot.
	Uptime() time.Duration
}

// Trial is a revision that is neither confirmed nor undone yet.
type Trial struct {
	Header  revision.Header `json:"header"`
	Node    string          `json:"node"`    // this node's name in the header
	Content string          `json:"content"` // the digest of its content
	Phase   revision.Phase  `json:"phase"`
	// The rollout can confirm it until Deadline, an uptime of this boot.
	Boot     string        `json:"boot"`
	Deadline time.Duration `json:"deadline"`
	Since    time.Time     `json:"since"`
	// Within is how long the node may take to become healthy.
	Within time.Duration `json:"within"`
	// AllowNoServers keeps the revision even if it leaves a backend without servers.
	AllowNoServers bool   `json:"allow_no_servers,omitempty"`
	Last           bool   `json:"last,omitempty"`   // all other nodes have it on trial
	Before         string `json:"before,omitempty"` // the digest of the content that was there before; empty: nothing was applied
	// Disk are the digests of the files that it replaces, as they were when it was staged; empty: there was none.
	Disk       map[string]string `json:"disk"`
	Maintained bool              `json:"maintained,omitempty"` // the node is in maintenance because of it
	Step       string            `json:"step,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Waits      string            `json:"waits,omitempty"`
}

// state is state.json: what does not change during a trial.
type state struct {
	Current  revision.Ref   `json:"current"`
	Content  string         `json:"content,omitempty"`
	Since    time.Time      `json:"since,omitzero"`
	By       string         `json:"by,omitempty"`
	Previous *revision.Kept `json:"previous,omitempty"`
	Ended    []ended        `json:"ended,omitempty"` // the last trials, the newest last
}

// ended is a trial that is over, about which peers may still ask.
type ended struct {
	revision.Ref
	Token   []byte           `json:"token"`
	Node    string           `json:"node"`
	Outcome revision.Outcome `json:"outcome"`
	Time    time.Time        `json:"time"`
	Reason  string           `json:"reason,omitempty"`
}

// mostEnded is how many trials are remembered.
const mostEnded = 50

func (s *Store) path(names ...string) string {
	return filepath.Join(append([]string{s.Dir}, names...)...)
}

// TrialFile is there while there is a trial.
const TrialFile = "trial.json"

// Lock runs f while no other process changes the store.
func (s *Store) Lock(f func() error) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of revisions: %w", err)
	}
	lock, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the revisions: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("cannot lock the revisions: %w", err)
	}
	return f()
}

func (s *Store) read(name string, into any) (found bool, err error) {
	b, err := regular.ReadFile(s.path(name), regular.MaxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return false, fmt.Errorf("cannot read %s: %w", s.path(name), err)
	}
	return true, nil
}

func (s *Store) write(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", s.path(name), err)
	}
	return durable.WriteFile(s.path(name), append(b, '\n'), 0o600, durable.Keep, durable.Keep)
}

// Trial returns the trial; nil: there is none.
func (s *Store) Trial() (*Trial, error) {
	var t Trial
	found, err := s.read(TrialFile, &t)
	if !found || err != nil {
		return nil, err
	}
	return &t, nil
}

func (s *Store) state() (state, error) {
	var st state
	_, err := s.read("state.json", &st)
	return st, err
}

// open reports whether the rollout can still confirm a trial.
func (s *Store) open(t *Trial) bool { return standOf(t.Phase, s.leased(t)) == Open }

// leased reports whether the rollout was there lately.
func (s *Store) leased(t *Trial) bool {
	return t.Boot == s.Clock.Boot() && s.Clock.Uptime() < t.Deadline
}

// renew puts a trial's deadline off.
func (s *Store) renew(t *Trial, d time.Duration) {
	t.Boot, t.Deadline = s.Clock.Boot(), s.Clock.Uptime()+d
}

// errGone says that there is no such trial.
var errGone = errors.New("there is no such trial on this node")

// change changes the trial of an ID under the lock: f may change it, and returns an error if it must stay as it is.
func (s *Store) change(id string, f func(t *Trial) error) (t *Trial, err error) {
	err = s.Lock(func() error {
		if t, err = s.Trial(); err != nil {
			return err
		}
		if t == nil || t.Header.Ref().ID != id {
			return errGone
		}
		if err := f(t); err != nil {
			return err
		}
		return s.inReserve(func() error { return s.write(TrialFile, t) })
	})
	return t, err
}

// happen has an event happen to a trial; reason is why, or empty. An event that is not possible changes nothing.
func (s *Store) happen(id string, e event, reason string) (*Trial, error) {
	return s.change(id, func(t *Trial) error {
		to, ok := after(t.Phase, e)
		if !ok {
			return fmt.Errorf("the trial is %s: it cannot be %s", t.Phase, e)
		}
		t.Phase, t.Step, t.Waits = to, "", ""
		if reason != "" && t.Reason == "" {
			t.Reason = reason
		}
		return nil
	})
}

// stand returns what this node says of a revision, with the token that it proves it with.
func (s *Store) stand(id string) (stand Stand, token []byte, node string, err error) {
	t, err := s.Trial()
	if err != nil {
		return "", nil, "", err
	}
	if t != nil && t.Header.Ref().ID == id {
		return standOf(t.Phase, s.leased(t)), t.Header.Token, t.Node, nil
	}
	st, err := s.state()
	if err != nil {
		return "", nil, "", err
	}
	for _, e := range slices.Backward(st.Ended) {
		if e.ID == id && e.Outcome == revision.WasCommitted {
			return Confirmed, e.Token, e.Node, nil
		} else if e.ID == id {
			return Closed, e.Token, e.Node, nil
		}
	}
	return "", nil, "", errGone
}

// finish moves a trial that is over to the state. It is repeated after any interruption.
func (s *Store) finish() error {
	return s.Lock(func() error {
		t, err := s.Trial()
		if err != nil || t == nil || !final(t.Phase) {
			return err
		}
		st, err := s.state()
		if err != nil {
			return err
		}
		ref := t.Header.Ref()
		if !slices.ContainsFunc(st.Ended, func(e ended) bool { return e.ID == ref.ID }) {
			e := ended{Ref: ref, Token: t.Header.Token, Node: t.Node, Outcome: revision.WasUndone, Time: s.Now().UTC(), Reason: t.Reason}
			if t.Phase == revision.Committed {
				e.Outcome = revision.WasCommitted
				before := t.Before
				if st.Current.Number > 0 {
					before = st.Content // as it was rolled out, not as it was edited since
				}
				st.Previous = &revision.Kept{Ref: st.Current, Content: before}
				st.Current, st.Content, st.Since, st.By = ref, t.Content, s.Now().UTC(), t.Header.By
			}
			st.Ended = append(st.Ended, e)
			st.Ended = st.Ended[max(0, len(st.Ended)-mostEnded):]
			if err := s.inReserve(func() error { return s.write("state.json", st) }); err != nil {
				return err
			}
		}
		if err := durable.Remove(s.path(TrialFile)); err != nil {
			return err
		}
		s.useRoom()
		s.sweep(st)
		return nil
	})
}

// keep keeps a content, and returns its digest.
func (s *Store) keep(c revision.Content) (string, error) {
	d := c.Digest()
	if err := os.MkdirAll(s.path("contents"), 0o700); err != nil {
		return "", fmt.Errorf("cannot keep a revision: %w", err)
	}
	return d, s.write(filepath.Join("contents", d+".json"), c)
}

// content reads a content from the disk, by its digest.
func (s *Store) content(digest string) (revision.Content, error) {
	var c revision.Content
	if filepath.Base(digest) != digest {
		return c, fmt.Errorf("cannot read a revision: %q is not a digest", digest)
	}
	found, err := s.read(filepath.Join("contents", digest+".json"), &c)
	if err == nil && !found {
		err = fmt.Errorf("cannot read a revision: this node has kept none with the digest %.12s", digest)
	}
	if err == nil && c.Digest() != digest {
		err = fmt.Errorf("cannot use a revision: what was kept of %.12s is damaged", digest)
	}
	if err == nil {
		err = c.Check()
	}
	return c, err
}

// sweep removes contents, and programs of the agent, to which nothing leads any more.
func (s *Store) sweep(st state) {
	wanted := map[string]bool{st.Content + ".json": true}
	programs := map[string]bool{}
	keep := []string{st.Content}
	if st.Previous != nil {
		wanted[st.Previous.Content+".json"] = true
		keep = append(keep, st.Previous.Content)
	}
	for _, d := range keep {
		if c, err := s.content(d); err == nil {
			programs[c.Agent], programs[filepath.Base(s.packageOf(c.Agent))] = true, true
		}
	}
	for dir, named := range map[string]map[string]bool{"contents": wanted, "agents": programs} {
		entries, _ := os.ReadDir(s.path(dir))
		for _, e := range entries {
			if !named[e.Name()] {
				os.Remove(s.path(dir, e.Name()))
			}
		}
	}
}
