package trial

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// question is what one node asks another: a line of JSON, which proves that it has the revision's token.
type question struct {
	ID    string `json:"id"`
	From  string `json:"from"`
	Nonce []byte `json:"nonce"`
	MAC   []byte `json:"mac"`
}

// answer is the other's answer. Its MAC is over the question's nonce, so that it cannot be an old one.
type answer struct {
	Node  string `json:"node"`
	Stand Stand  `json:"stand"`
	MAC   []byte `json:"mac"`
}

// Bounds of a question and its answer.
const (
	askTime  = 3 * time.Second
	lineSize = 4096
)

// mac proves with a token that something was said for a purpose.
func mac(token []byte, words ...string) []byte {
	h := hmac.New(sha256.New, token)
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return h.Sum(nil)
}

func (q question) proof(token []byte) []byte {
	return mac(token, "question", q.ID, q.From, string(q.Nonce))
}

func (a answer) proof(token []byte, q question) []byte {
	return mac(token, "answer", q.ID, q.From, string(q.Nonce), a.Node, string(a.Stand))
}

// Answer answers the one question that a connection brings. Who does not have the token of a revision that this node knows
// gets no answer at all.
func (s *Store) Answer(in io.Reader, out io.Writer) error {
	var q question
	if err := readLine(in, &q); err != nil {
		return fmt.Errorf("cannot read a question: %w", err)
	}
	stand, token, node, err := s.stand(q.ID)
	if err != nil {
		return fmt.Errorf("cannot answer a question: %w", err)
	}
	if !hmac.Equal(q.MAC, q.proof(token)) {
		return errors.New("cannot answer a question: it does not have the token of the revision")
	}
	a := answer{Node: node, Stand: stand}
	a.MAC = a.proof(token, q)
	return json.NewEncoder(out).Encode(a)
}

func readLine(in io.Reader, into any) error {
	line, err := bufio.NewReader(io.LimitReader(in, lineSize)).ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

// askAll asks the peers of a trial, at all their addresses, and returns what those say who answer, and why the others do not.
func askAll(ctx context.Context, t *Trial, dial func(ctx context.Context, a netip.Addr) (net.Conn, error)) (map[string]Stand, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	stands, silent := map[string]Stand{}, map[string]error{}
	for _, m := range t.Header.Nodes {
		if m.Name == t.Node {
			continue
		}
		wg.Go(func() {
			var stand Stand
			err := errors.New("it has no address")
			for _, a := range m.Addresses {
				if stand, err = ask(ctx, t, m.Name, a, dial); err == nil {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				stands[m.Name] = stand
			} else {
				silent[m.Name] = err
			}
		})
	}
	wg.Wait()
	var errs []error
	for _, m := range t.Header.Nodes {
		if err := silent[m.Name]; err != nil {
			errs = append(errs, fmt.Errorf("%s does not answer: %w", m.Name, err))
		} else if stands[m.Name] == Open {
			errs = append(errs, fmt.Errorf("%s can still be confirmed by the rollout", m.Name))
		}
	}
	return stands, errors.Join(errs...)
}

func ask(ctx context.Context, t *Trial, name string, to netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (Stand, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, err := dial(ctx, to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	q := question{ID: t.Header.Ref().ID, From: t.Node, Nonce: make([]byte, 32)}
	rand.Read(q.Nonce) // it never fails: crypto/rand
	q.MAC = q.proof(t.Header.Token)
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return "", err
	}
	var a answer
	if err := readLine(conn, &a); err != nil {
		return "", err
	}
	if a.Node != name || !hmac.Equal(a.MAC, a.proof(t.Header.Token, q)) {
		return "", errors.New("the answer does not have the token of the revision")
	}
	return a.Stand, nil
}

// dialPeer connects to another node.
func dialPeer(ctx context.Context, a netip.Addr) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, wellknown.RevisionPort).String())
}

// peers are the names of the other nodes of a trial.
func (t *Trial) peers() []string {
	var all []string
	for _, m := range t.Header.Nodes {
		if m.Name != t.Node {
			all = append(all, m.Name)
		}
	}
	return all
}

// State returns a trial as others see it.
func (s *Store) State(t *Trial) *revision.TrialState {
	if t == nil {
		return nil
	}
	return &revision.TrialState{Ref: t.Header.Ref(), Phase: t.Phase, Open: s.open(t), Away: t.Phase == revision.OnTrial && t.Maintained, Step: t.Step, Reason: t.Reason, Waits: t.Waits, Since: t.Since}
}
