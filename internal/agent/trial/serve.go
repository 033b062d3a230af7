package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/revision"
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
	case revision.OpPackage:
		err = s.keepPackage(req)
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

// act has something happen to a trial. It returns why it is refused, or "".
func (s *Server) act(ctx context.Context, req revision.Request) (refusal string, err error) {
	_, err = s.Store.change(req.ID, func(t *Trial) error { return s.Store.serve(t, req) })
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

// serve changes a trial as a request says, or returns why it cannot. A request that was already served changes nothing.
func (s *Store) serve(t *Trial, req revision.Request) error {
	open := s.open(t)
	if !open && (req.Op == revision.OpTry || req.Op == revision.OpCommit) && !final(t.Phase) {
		return fmt.Errorf("revision %d cannot be confirmed here any more: the rollout was away for too long, or the trial has ended", t.Header.Number)
	}
	switch req.Op {
	case revision.OpTry:
		s.renew(t, time.Duration(req.Seconds)*time.Second)
		if t.Within = req.Within; t.Within <= 0 {
			t.Within = time.Minute
		}
		t.AllowNoServers, t.Last = req.AllowNoServers, req.Last
		if t.Phase == revision.Applying || t.Phase == revision.OnTrial {
			return nil
		}
		return t.advance(tried)
	case revision.OpRenew:
		if open {
			s.renew(t, time.Duration(req.Seconds)*time.Second)
		}
	case revision.OpCommit:
		if t.Phase == revision.Committed {
			return nil
		}
		return t.advance(confirmed)
	case revision.OpUndo:
		if t.Phase == revision.Undoing || t.Phase == revision.Undone || t.Phase == revision.Stuck {
			return nil
		}
		t.Reason = "the rollout gave up"
		return t.advance(refused)
	case revision.OpSettle:
		if open || t.Phase != revision.OnTrial {
			return fmt.Errorf("revision %d is %s here, and needs no settling", t.Header.Number, t.Phase)
		}
		t.Reason = "it was settled by hand"
		if req.Outcome == revision.WasCommitted {
			return t.advance(confirmed)
		}
		return t.advance(refused)
	}
	return nil
}

// advance moves a trial to the phase that follows an event, or returns an error if none does.
func (t *Trial) advance(e event) error {
	to, ok := after(t.Phase, e)
	if !ok {
		return fmt.Errorf("revision %d is %s here", t.Header.Number, t.Phase)
	}
	t.Phase = to
	return nil
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
