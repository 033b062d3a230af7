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
)

// testReleases lie on either side of noble; their archive can be reached wherever the tests run.
var testReleases = []string{"bookworm", "trixie"}

// TestRealToolsAcceptEverything writes the whole recipe of every node of every example into a root of a release and has
// the programs judge it that will read it.
func TestRealToolsAcceptEverything(t *testing.T) {
	for _, name := range testReleases {
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

// TestRealToolsAcceptAnImage judges what an image holds before it is any node.
func TestRealToolsAcceptAnImage(t *testing.T) {
	for _, name := range testReleases {
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

// host is a sandbox with a recipe in it.
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

// write carries the recipe out as far as the tools need it.
func (h *host) write(t *testing.T) {
	t.Helper()
	ctx := deadline(t)
	for _, f := range h.recipe.Files {
		if err := h.WriteFile(ctx, f.Path, f.Mode, f.Owner+":"+f.Group, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	// A rollout keeps a copy of the agent, which supervises its trial.
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

// accepts has the real tools judge what was written.
func (h *host) accepts(t *testing.T, s *spec.Spec) {
	t.Helper()
	ctx := deadline(t)
	if s.Firewall && h.has("/etc/nftables.d/hapair.nft") {
		for range 2 { // the second time the table is there already
			h.must(t, "nft", "-f", "/etc/nftables.d/hapair.nft")
		}
	}
	if h.has("/etc/ha-agent/certificates") {
		h.must(t, "/usr/lib/hapair/placeholder-certificates", "/etc/ha-agent/certificates")
	}
	if a := haproxy.Test(ctx, h.run, h.file(wellknown.HAProxyConfig)); a.Verdict != validator.Good {
		t.Errorf("haproxy says %v: %s", a.Verdict, a.Reason())
	} else if w := unexpected(a.Messages); len(w) > 0 {
		t.Errorf("haproxy warns: %s", strings.Join(w, "; "))
	}
	if a := keepalived.Test(ctx, h.run, h.file(wellknown.KeepalivedConfig)); a.Verdict != validator.Good || len(a.Messages) > 0 {
		t.Errorf("keepalived says %v: %s", a.Verdict, a.Reason())
	}
	h.verifyUnits(t)
	h.agentIsSandboxed(t)
}

// verifyUnits has systemd read the units with their drop-ins. It returns 0 on unknown keys, so that what it says counts.
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
	ours := regexp.MustCompile(`hapair|ha-agent|haproxy|keepalived`) // other packages' units may say what they like
	if status != 0 || ours.MatchString(out) {
		t.Errorf("systemd-analyze %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
}

// agentIsSandboxed has systemd rate how exposed the agent is: tenths of a point, 0 the least.
func (h *host) agentIsSandboxed(t *testing.T) {
	t.Helper()
	h.must(t, "systemd-analyze", "security", "--offline=yes", "--threshold=30", "/usr/lib/systemd/system/ha-agent.service")
}

// unexpected leaves out what haproxy says of a state that no reload has saved yet, and of DNS names, which nothing resolves
// in a sandbox: their servers start without an address.
func unexpected(messages []string) []string {
	var out []string
	for _, m := range messages {
		if !strings.Contains(m, "server-state") && !strings.HasSuffix(m, "disabling server.") && !strings.Contains(m, " for nameserver ") {
			out = append(out, m)
		}
	}
	return out
}

// run is a validator.Runner in the sandbox. The file that is judged is named as this machine sees it.
func (h *host) run(ctx context.Context, name string, args ...string) (validator.Result, error) {
	for i, arg := range args {
		args[i] = strings.TrimPrefix(arg, h.file(""))
	}
	out, status, err := h.Run(ctx, name, args...)
	return validator.Result{Status: status, Output: out, TimedOut: ctx.Err() != nil}, err
}

// file is where this machine sees a file of the sandbox.
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

// patience is how long a host may take to do what a test waits for.
const patience = time.Minute

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
