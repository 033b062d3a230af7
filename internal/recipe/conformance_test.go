package recipe_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// TestRealToolsAcceptEverything writes the recipe of each node of each example to a root of a release. The programs that
// will read the files must accept them.
func TestRealToolsAcceptEverything(t *testing.T) {
	for _, name := range cluster.Span(t) {
		for example, s := range examples(t) {
			for i := range s.Nodes {
				n := &s.Nodes[i]
				t.Run(strings.Join([]string{name, example, n.Name}, "/"), func(t *testing.T) {
					r, err := release.Get(name)
					if err != nil {
						t.Fatal(err)
					}
					h := newHost(t, s, n, r)
					h.accepts(t, s)
				})
			}
		}
	}
}

// TestRealToolsAcceptAnImage checks the files of an image before it has a node's files.
func TestRealToolsAcceptAnImage(t *testing.T) {
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			s := parse(t, filepath.Join("testdata", "everything.yaml"))
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			image, err := recipe.Image(s, r)
			if err != nil {
				t.Fatal(err)
			}
			h := &host{labtest.Sandbox(t, name), image}
			h.write(t)
			h.accepts(t, s)
		})
	}
}

// host is a sandbox with the files of a recipe.
type host struct {
	*lab.Sandbox
	recipe recipe.Recipe
}

func newHost(t *testing.T, s *spec.Spec, n *spec.Node, r release.Release) *host {
	t.Helper()
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	node, err := recipe.Node(s, n, r)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{n.Interface}
	for i := range s.VIPs {
		if name := s.VIPs[i].InterfaceOn(n); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	options := []lab.SandboxOption{lab.Interfaces(names...)}
	for _, a := range n.Addresses {
		bits := a.Bits
		if bits == 0 {
			bits = a.Addr.BitLen()
		}
		options = append(options, lab.Address(n.Interface, netip.PrefixFrom(a.Addr, bits)))
	}
	h := &host{labtest.Sandbox(t, r.Name, options...), recipe.Merge(image, node)}
	h.write(t)
	return h
}

// write carries out the parts of the recipe that the programs need.
func (h *host) write(t *testing.T) {
	t.Helper()
	ctx := deadline(t)
	for _, f := range h.recipe.Files {
		if err := h.WriteFile(ctx, f.Path, f.Mode, f.Owner+":"+f.Group, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	// A rollout uses a copy of the agent that supervises the trial.
	for _, program := range []string{h.recipe.Agent, wellknown.Revisions + "/agent"} {
		if err := h.WriteFile(ctx, program, 0o755, "root:root", []byte("#!/bin/sh\nexit 0\n")); err != nil {
			t.Fatal(err)
		}
	}
	h.must(t, "systemd-sysusers", "/usr/lib/sysusers.d/hapair.conf")
	h.must(t, "systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/hapair.conf")
	for _, u := range h.recipe.Users {
		h.must(t, "id", u.Name)
	}
}

// accepts lets the real programs check the files.
func (h *host) accepts(t *testing.T, s *spec.Spec) {
	t.Helper()
	ctx := deadline(t)
	if s.Firewall && h.has("/etc/nftables.d/hapair.nft") {
		for range 2 { // the second time, the table exists already
			h.must(t, "nft", "-f", "/etc/nftables.d/hapair.nft")
		}
	}
	if h.has("/etc/ha-agent/certificates") {
		h.must(t, "/usr/lib/hapair/placeholder-certificates", "/etc/ha-agent/certificates")
	}
	if a := haproxy.Test(ctx, h.run, h.file(wellknown.HAProxyConfig)); a.Verdict != validator.Good {
		t.Errorf("haproxy's verdict is %v: %s", a.Verdict, a.Reason())
	} else if w := unexpected(a.Messages); len(w) > 0 {
		t.Errorf("haproxy warns: %s", strings.Join(w, "; "))
	}
	if a := keepalived.Test(ctx, h.run, h.file(wellknown.KeepalivedConfig)); a.Verdict != validator.Good || len(a.Messages) > 0 {
		t.Errorf("keepalived's verdict is %v: %s", a.Verdict, a.Reason())
	}
	h.verifyUnits(t)
	h.agentIsSandboxed(t)
}

// verifyUnits lets systemd check the units with their drop-ins. Its exit status is 0 even for unknown keys, so any output
// fails the test.
func (h *host) verifyUnits(t *testing.T) {
	t.Helper()
	args := []string{"verify", "--man=no", "haproxy.service", "keepalived.service"}
	for _, f := range h.recipe.Files {
		if strings.HasSuffix(f.Path, ".service") {
			args = append(args, f.Path)
		}
	}
	out, status, err := h.Run(deadline(t), "systemd-analyze", args...)
	if err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(`hapair|ha-agent|haproxy|keepalived`) // messages about units of other packages
	if status != 0 || ours.MatchString(out) {
		t.Errorf("systemd-analyze %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
}

// agentIsSandboxed checks systemd's rating of the agent's exposure, in tenths of a point from 0 (least) to 100.
func (h *host) agentIsSandboxed(t *testing.T) {
	t.Helper()
	h.must(t, "systemd-analyze", "security", "--offline=yes", "--threshold=30", "/usr/lib/systemd/system/ha-agent.service")
}

// unexpected removes expected messages of haproxy: about a server state file that no reload has written yet, and about DNS
// names, which cannot be resolved in a sandbox.
func unexpected(messages []string) []string {
	var out []string
	for _, m := range messages {
		if !strings.Contains(m, "server-state") && !strings.HasSuffix(m, "disabling server.") && !strings.Contains(m, " for nameserver ") {
			out = append(out, m)
		}
	}
	return out
}

// run is a validator.Runner in the sandbox. It replaces the path of the file, as this machine sees it, by its path in the
// sandbox.
func (h *host) run(ctx context.Context, name string, args ...string) (validator.Result, error) {
	for i, arg := range args {
		args[i] = strings.TrimPrefix(arg, h.file(""))
	}
	out, status, err := h.Run(ctx, name, args...)
	return validator.Result{Status: status, Output: out, TimedOut: ctx.Err() != nil}, err
}

// file returns the path of the sandbox's file on this machine.
func (h *host) file(path string) string { return fmt.Sprintf("/proc/%d/root%s", h.PID(), path) }

func (h *host) has(path string) bool {
	_, err := os.Stat(h.file(path))
	return err == nil
}

func (h *host) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, status, err := h.Run(deadline(t), name, args...)
	if err != nil || status != 0 {
		t.Fatalf("%s %s: status %d, %v\n%s", name, strings.Join(args, " "), status, err, out)
	}
	return out
}

// patience is the time limit for a host to do what a test waits for.
const patience = time.Minute

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
