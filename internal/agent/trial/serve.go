package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// Server answers a rollout over ssh: requests on its standard input, answers on its standard output, a line of JSON each.
type Server struct {
	Store   *Store
	Machine Machine
	Conf    *config.Config
	// Start starts the supervisor, and the answers to other nodes' questions.
	Start func(ctx context.Context) error
	// Test tests the files of a content with the real programs, applying nothing. It returns why they are refused, or "".
	Test func(ctx context.Context, to revision.Content, conf *config.Config) (refused string, err error)
	// Exec goes on as another program of the agent. It returns only an error.
	Exec func(program string) error
}

// maxRequest is the size limit of a request, in bytes: one may bring a program, in base64.
const maxRequest = 256 << 20

// Serve answers until in ends.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	enc := json.NewEncoder(out)
	for {
		line, err := revision.ReadLine(lines, maxRequest)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read a request: %w", err)
		}
		var req revision.Request
		if err := json.Unmarshal(line, &req); err != nil {
			return fmt.Errorf("cannot read a request: %w", err)
		}
		program := ""
		resp, err := s.answer(ctx, req, &program)
		if err != nil {
			resp.Error = err.Error()
		}
		if err := enc.Encode(resp); err != nil {
			return err
		}
		if program != "" && err == nil {
			return s.Exec(program) // the client waits for the answer before it sends more
		}
	}
}

func (s *Server) answer(ctx context.Context, req revision.Request, program *string) (resp revision.Response, err error) {
	switch req.Op {
	case revision.OpShow:
		resp.Show, err = s.Show(ctx)
	case revision.OpAgent:
		var d string
		if d, err = s.Store.AddProgram(req.Program); err == nil {
			*program = s.Store.program(d)
		}
	case revision.OpCompare:
		if req.Content == nil {
			return resp, errors.New("the request has no content")
		}
		resp.Compare, err = s.compare(ctx, *req.Content)
	case revision.OpStage:
		resp.Refused, err = s.stage(ctx, req)
		if err == nil && resp.Refused == "" {
			resp.Trial, err = s.trial(req.Header.Ref())
		}
	case revision.OpTry, revision.OpRenew, revision.OpCommit, revision.OpUndo, revision.OpSettle:
		resp.Refused, err = s.act(ctx, req)
		if err == nil {
			resp.Trial, err = s.trial(revision.Ref{ID: req.ID})
		}
	default:
		err = fmt.Errorf("this version of ha-agent does not know the request %q", req.Op)
	}
	return resp, err
}

// trial returns the state of a trial, also if it is over.
func (s *Server) trial(ref revision.Ref) (*revision.TrialState, error) {
	t, err := s.Store.Trial()
	if err != nil {
		return nil, err
	}
	if t != nil && t.Header.Ref().ID == ref.ID {
		return s.Store.State(t), nil
	}
	st, err := s.Store.state()
	if err != nil {
		return nil, err
	}
	for _, e := range st.Ended {
		if e.ID != ref.ID {
			continue
		}
		over := &revision.TrialState{Ref: e.Ref, Phase: revision.Undone, Reason: e.Reason, Since: e.Time}
		if e.Outcome == revision.WasCommitted {
			over.Phase = revision.Committed
		}
		return over, nil
	}
	return nil, errGone
}

// act has something happen to a trial. It returns why it is refused, or "".
func (s *Server) act(ctx context.Context, req revision.Request) (refusal string, err error) {
	_, err = s.Store.change(req.ID, func(t *Trial) error {
		open := s.Store.open(t)
		advance := func(e event) error {
			to, ok := after(t.Phase, e)
			if !ok {
				return fmt.Errorf("revision %d is %s here", t.Header.Number, t.Phase)
			}
			t.Phase = to
			return nil
		}
		if !open && (req.Op == revision.OpTry || req.Op == revision.OpCommit) && !final(t.Phase) {
			return fmt.Errorf("revision %d cannot be confirmed here any more: the rollout was away for too long, or the trial has ended", t.Header.Number)
		}
		switch req.Op {
		case revision.OpTry:
			s.Store.renew(t, time.Duration(req.Seconds)*time.Second)
			if t.Within = req.Within; t.Within <= 0 {
				t.Within = time.Minute
			}
			t.AllowNoServers = req.AllowNoServers
			if t.Phase == revision.Applying || t.Phase == revision.OnTrial {
				return nil
			}
			return advance(tried)
		case revision.OpRenew:
			if open {
				s.Store.renew(t, time.Duration(req.Seconds)*time.Second)
			}
		case revision.OpCommit:
			if t.Phase == revision.Committed {
				return nil
			}
			return advance(confirmed)
		case revision.OpUndo:
			if t.Phase == revision.Undoing || t.Phase == revision.Undone || t.Phase == revision.Stuck {
				return nil
			}
			t.Reason = "the rollout gave up"
			return advance(refused)
		case revision.OpSettle:
			if open || t.Phase != revision.OnTrial {
				return fmt.Errorf("revision %d is %s here, and needs no settling", t.Header.Number, t.Phase)
			}
			t.Reason = "it was settled by hand"
			if req.Outcome == revision.WasCommitted {
				return advance(confirmed)
			}
			return advance(refused)
		}
		return nil
	})
	if errors.Is(err, errGone) {
		return "", nil // see trial
	}
	if err != nil {
		return err.Error(), nil
	}
	if req.Op == revision.OpRenew {
		return "", nil
	}
	return "", s.Start(ctx)
}

// Show returns what the node runs.
func (s *Server) Show(ctx context.Context) (*revision.Show, error) {
	st, err := s.Store.state()
	if err != nil {
		return nil, err
	}
	t, err := s.Store.Trial()
	if err != nil {
		return nil, err
	}
	show := &revision.Show{Format: revision.Format, Cluster: s.Conf.Cluster, Node: s.Conf.Node, Current: st.Current, Content: st.Content,
		Since: st.Since, By: st.By, Previous: st.Previous, Trial: s.Store.State(t)}
	if show.Agent, err = fileDigest(wellknown.Agent); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", wellknown.Agent, err)
	}
	if show.Drift, err = s.Store.Drift(); err != nil {
		return nil, err
	}
	var status control.Status
	if err := s.Machine.Ask(ctx, control.Request{Command: "status"}, &status); err != nil {
		show.Problems = []string{err.Error()}
		return show, nil
	}
	status.Judge(time.Now())
	show.Problems = status.Problems
	for _, v := range status.VIPs {
		if v.Held {
			show.Holds = append(show.Holds, v.Name)
		}
	}
	return show, nil
}

// Status returns what the last rollout brought; nil: none has reached this node, or what is kept of it cannot be read, which a
// rollout reports.
func (s *Store) Status() *control.Revision {
	st, err := s.state()
	if err != nil {
		return nil
	}
	t, err := s.Trial()
	if err != nil || t == nil && st.Current.Number == 0 {
		return nil
	}
	r := &control.Revision{Ref: st.Current, Since: st.Since, By: st.By, Trial: s.State(t)}
	r.Drift, _ = s.Drift()
	return r
}

// Drift returns the files that differ from the current revision. During a trial they are those of the trial, and nothing is
// told.
func (s *Store) Drift() ([]string, error) {
	if t, err := s.Trial(); t != nil || err != nil {
		return nil, err
	}
	current, err := s.current()
	if current == nil || err != nil {
		return nil, err
	}
	var drift []string
	for _, f := range current.Files {
		if d, err := differs(f); err != nil || d != same {
			drift = append(drift, f.Path)
		}
	}
	return drift, nil
}

// compare compares the node with a content, whose files need no data but agent.yaml.
func (s *Server) compare(ctx context.Context, to revision.Content) (*revision.Comparison, error) {
	current, err := s.Store.current()
	if err != nil {
		return nil, err
	}
	a := &application{Machine: s.Machine, store: s.Store, to: to, gone: removed(ours(current), to)}
	if err := a.plan(); err != nil {
		return nil, err
	}
	c := &revision.Comparison{Removed: a.gone, Effects: a.effects.words(), Moves: a.effects.moves()}
	for _, f := range a.changed {
		if a.kinds[f.Path] == isNew {
			c.New = append(c.New, f.Path)
		} else {
			c.Changed = append(c.Changed, f.Path)
		}
	}
	if c.Agent, err = a.otherAgent(); err != nil {
		return nil, err
	}
	if c.Packages, err = missingPackages(ctx, s.Machine.Run, to.Packages); err != nil {
		return nil, err
	}
	for _, u := range to.Units {
		if now := unitState(ctx, s.Machine.Run, u.Name); now != u.State {
			c.Units = append(c.Units, fmt.Sprintf("%s: %s, now %s", u.Name, u.State, now))
		}
	}
	c.Drift, err = s.Store.Drift()
	c.FirstBoot = current != nil && current.FirstBoot != to.FirstBoot
	return c, err
}

// stage keeps a revision and tests it. It returns why it is refused, or "".
func (s *Server) stage(ctx context.Context, req revision.Request) (refusal string, err error) {
	h := req.Header
	if h == nil || req.Seconds <= 0 {
		return "", errors.New("the request is not complete")
	}
	if h.Format != revision.Format {
		return "", fmt.Errorf("this version of ha-agent understands format %d of revisions, not %d", revision.Format, h.Format)
	}
	if len(h.Token) < 32 {
		return "", errors.New("the revision has no token")
	}
	m, ok := h.Member(req.Node)
	if !ok || req.Node != s.Conf.Node || h.Cluster != s.Conf.Cluster {
		return fmt.Sprintf("this is node %s of cluster %s, and the revision is for node %s of cluster %s", s.Conf.Node, s.Conf.Cluster, req.Node, h.Cluster), nil
	}
	to, err := s.brought(req)
	if err != nil {
		return "", err
	}
	if to.Digest() != m.Content {
		return "", errors.New("the content is not the one that the revision names")
	}
	if refused, err := s.vacant(ctx, h, m); refused != "" || err != nil {
		return refused, err
	}
	conf, err := agentConfig(to)
	if err != nil {
		return err.Error(), nil
	}
	if s.Conf.Release != conf.Release {
		return fmt.Sprintf("the node has release %s, and the revision is for %s: a rollout does not change the release", s.Conf.Release, conf.Release), nil
	}
	if refused, err := s.room(to); refused != "" || err != nil {
		return refused, err
	}
	if refused, err := s.program(ctx, to.Agent); refused != "" || err != nil {
		return refused, err
	}
	disk, err := s.disk(to)
	if err != nil {
		return err.Error(), nil
	}
	if refused, err := s.Test(ctx, to, conf); refused != "" || err != nil {
		return refused, err
	}
	t := Trial{Header: *h, Node: req.Node, Content: m.Content, Phase: revision.Staged, Since: s.Store.Now().UTC(), Disk: disk}
	err = s.Store.Lock(func() error {
		if old, err := s.Store.Trial(); err != nil || old != nil {
			return errors.Join(err, errBusy(old))
		}
		st, err := s.Store.state()
		if err != nil {
			return err
		}
		if st.Current.ID != m.Predecessor {
			return otherPredecessor(st.Current)
		}
		if _, err := s.Store.keep(to); err != nil {
			return err
		}
		s.Store.renew(&t, time.Duration(req.Seconds)*time.Second)
		return s.Store.write(TrialFile, t)
	})
	var no refusedError
	if errors.As(err, &no) {
		return no.Error(), nil
	}
	if err != nil {
		return "", err
	}
	return "", s.Start(ctx)
}

// refusedError is an answer that is no.
type refusedError string

func (r refusedError) Error() string { return string(r) }

func errBusy(t *Trial) error {
	if t == nil {
		return nil
	}
	by := ""
	if t.Header.By != "" {
		by = " by " + t.Header.By
	}
	return refusedError(fmt.Sprintf("another rollout%s is at work: revision %d is %s since %s", by, t.Header.Number, t.Phase, t.Since.Format(time.RFC3339)))
}

func otherPredecessor(current revision.Ref) error {
	return refusedError(fmt.Sprintf("the node runs %v by now, on which this rollout is not based", current))
}

// brought is the content of a request to stage.
func (s *Server) brought(req revision.Request) (revision.Content, error) {
	if req.Reuse != "" {
		return s.Store.content(req.Reuse)
	}
	if req.Content == nil {
		return revision.Content{}, errors.New("the request has no content")
	}
	return *req.Content, req.Content.Check()
}

// vacant waits for a trial that is just ending, and returns why the node cannot take a revision now.
func (s *Server) vacant(ctx context.Context, h *revision.Header, m revision.Member) (refused string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for {
		t, err := s.Store.Trial()
		if err != nil {
			return "", err
		}
		if t == nil {
			break
		}
		if s.Store.open(t) {
			return errBusy(t).Error(), nil
		}
		if err := s.Start(ctx); err != nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return errBusy(t).Error(), nil
		case <-time.After(lookEvery):
		}
	}
	st, err := s.Store.state()
	if err != nil {
		return "", err
	}
	if st.Current.ID != m.Predecessor {
		return otherPredecessor(st.Current).Error(), nil
	}
	if h.Number <= st.Current.Number {
		return fmt.Sprintf("the node runs %v already", st.Current), nil
	}
	return "", nil
}

// program makes sure that the agent's program of a revision is there and runs on this machine.
func (s *Server) program(ctx context.Context, digest string) (refused string, err error) {
	if digest == "" {
		return "", nil
	}
	if now, err := fileDigest(wellknown.Agent); err == nil && now == digest {
		if _, err := s.Store.KeepProgram(wellknown.Agent); err != nil {
			return "", err
		}
	}
	path := s.Store.program(digest)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot find the revision's ha-agent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	r, err := s.Machine.Run(ctx, path, "version")
	if err != nil || r.Status != 0 {
		return fmt.Sprintf("the revision's ha-agent does not run on this machine: %v %s", err, strings.Join(r.Lines(), "; ")), nil
	}
	return "", nil
}

// spare is how many bytes must be left on the disk besides what a revision needs.
const spare = 64 << 20

// room makes sure that the disk has room for a revision, for what was there before, and for the way back.
func (s *Server) room(to revision.Content) (refused string, err error) {
	need := int64(spare)
	for _, f := range to.Files {
		need += 4 * int64(len(f.Data))
	}
	for _, dir := range []string{filepath.Dir(s.Store.Dir), "/etc", "/usr"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return "", fmt.Errorf("cannot tell how much room %s has: %w", dir, err)
		}
		if left := int64(fs.Bavail) * fs.Bsize; left < need {
			return fmt.Sprintf("the disk is full: %s has %d MiB left, and the revision needs %d MiB", dir, left>>20, need>>20), nil
		}
	}
	return "", nil
}

// disk returns the digests of the files that a content replaces.
func (s *Server) disk(to revision.Content) (map[string]string, error) {
	all := map[string]string{}
	for _, f := range to.Files {
		if isTrials(f.Path) {
			continue // staging writes them
		}
		now, err := onDisk(f.Path)
		switch {
		case err == nil:
			all[f.Path] = now.Digest
		case errors.Is(err, os.ErrNotExist):
			all[f.Path] = ""
		default:
			return nil, fmt.Errorf("cannot replace %s: %w", f.Path, err)
		}
	}
	return all, nil
}

// Settle ends the trial of this node as a person says.
func (s *Server) Settle(ctx context.Context, outcome revision.Outcome) (refused string, err error) {
	t, err := s.Store.Trial()
	if err != nil {
		return "", err
	}
	if t == nil {
		return "there is no trial on this node", nil
	}
	return s.act(ctx, revision.Request{Op: revision.OpSettle, ID: t.Header.Ref().ID, Outcome: outcome})
}
