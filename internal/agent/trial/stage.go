package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

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
		return fmt.Sprintf("the node has release %s, and the revision is for %s: a rollout does not change the release; write image.release: %[1]s to the spec, or replace the node by one with the new release", s.Conf.Release, conf.Release), nil
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
		if err := s.Store.keepRoom(to); err != nil {
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
			return "", fmt.Errorf("cannot determine the free space in %s: %w", dir, err)
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
