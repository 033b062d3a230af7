package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

const (
	haproxyCfg     = "/etc/haproxy/haproxy.cfg"
	keepalivedConf = "/etc/keepalived/keepalived.conf"
	trackFile      = "/run/ha-agent/haproxy.track"
	limit          = 2 * time.Minute // time limit of a condition, because the machine may be busy
)

var theVIP = netip.MustParseAddr("192.168.1.32")

// node is a controller of the example with the agent of this source.
type node struct {
	*lab.Host
	t *testing.T
}

func newNode(t *testing.T, releaseName string) *node {
	t.Helper()
	return newNodes(t, releaseName, 1)[0]
}

// newNodes boots the first controllers of the example.
func newNodes(t *testing.T, releaseName string, count int) []*node {
	t.Helper()
	return nodesIn(t, labtest.Lab(t), releaseName, count)
}

func nodesIn(t *testing.T, l *lab.Lab, releaseName string, count int) []*node {
	t.Helper()
	root := labtest.Root(t, releaseName, lab.NodePackages()...)
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	binary := gotool.Agent(t, "-tags", "faultpoints")
	var nodes []*node
	for i := range count {
		nodes = append(nodes, startNode(t, l, base, releaseName, i, binary))
	}
	return nodes
}

func startNode(t *testing.T, l *lab.Lab, base *lab.Base, releaseName string, i int, binary []byte) *node {
	t.Helper()
	hostname := fmt.Sprintf("controller-%d", i+1)
	h, err := l.AddHost(lab.HostConfig{Name: hostname, Base: base, Interfaces: []lab.Interface{
		{Name: "eth3", Network: "management"}, {Name: "eth4", Network: "public"}}})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{h, t}
	for _, f := range nodeRecipe(t, releaseName, i).Files {
		n.write(f.Path, f.Mode, f.Content)
	}
	n.write("/usr/bin/ha-agent", 0o755, binary)
	n.write("/etc/hostname", 0o644, []byte(hostname+"\n"))
	n.write("/etc/systemd/network/10-netplan-eth3.network", 0o644, fmt.Appendf(nil, "[Match]\nName=eth3\n[Network]\nAddress=192.168.56.%d/24\n", 101+i))
	n.write("/etc/systemd/network/10-netplan-eth4.network", 0o644, []byte("[Match]\nName=eth4\n[Network]\nLinkLocalAddressing=no\n"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	n.eventually("the host has booted", func() error {
		out, _, err := n.Run(ctx, "systemctl", "is-system-running")
		if out = strings.TrimSpace(out); err == nil && out != "running" && out != "degraded" { // keepalived's user does not exist yet
			err = fmt.Errorf("systemd reports %s", out)
		}
		return err
	})
	n.must("sh", "-euc", `mkdir -p /var/lib/ha-agent
		systemd-sysusers; systemd-tmpfiles --create
		systemctl enable --now systemd-networkd ha-agent
		systemctl restart haproxy keepalived`) // their packages have enabled these two
	return n
}

// nodeRecipe returns the recipe of a controller: that of its image and its own.
func nodeRecipe(t *testing.T, releaseName string, i int) recipe.Recipe {
	t.Helper()
	data, _ := examples.Get("controllers")
	s, problems := spec.Parse("controllers.yaml", data, spec.Sources{ReadFile: func(string) ([]byte, error) { return []byte("secret\n"), nil }})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	s.Log.Target, s.Image.Packages = spec.LocalLog, nil // this root has no rsyslog, and no optional packages
	r, err := release.Get(releaseName)
	if err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	own, err := recipe.Node(s, &s.Nodes[i], r)
	if err != nil {
		t.Fatal(err)
	}
	return recipe.Merge(image, own)
}

// part is one of several tests on the same node.
type part struct {
	name string
	test func(t *testing.T, n *node)
}

func (n *node) run(t *testing.T, parts []part) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.test(t, &node{n.Host, t}) })
	}
}

func (n *node) write(path string, mode os.FileMode, content []byte) {
	n.t.Helper()
	if err := n.WriteFile(path, mode, content); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) read(path string) string {
	n.t.Helper()
	b, err := n.ReadFile(path)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}

func (n *node) must(name string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), limit)
	defer cancel()
	out, err := n.Must(ctx, name, args...)
	if err != nil {
		n.t.Fatalf("%v\n%s", err, n.Logs(n.t.Context(), 60))
	}
	return out
}

// save writes a file like an editor that writes a new file and renames it.
func (n *node) save(path, content string) {
	n.t.Helper()
	n.write(path+".new", 0o640, []byte(content))
	n.must("mv", path+".new", path)
}

func (n *node) status() (control.Status, error) {
	var s control.Status
	out, code, err := n.Run(n.t.Context(), "ha-agent", "status", "--json")
	if err == nil && code > 1 { // 1 means that the node is not healthy
		err = fmt.Errorf("ha-agent status: exit status %d\n%s", code, out)
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	return s, err
}

// eventually waits until done returns nil.
func (n *node) eventually(what string, done func() error) {
	n.t.Helper()
	eventually.Nil(n.t, limit, done, func() string { return what + "\n" + n.Logs(n.t.Context(), 80) })
}

// change waits until the change after a given one has its verdict.
func (n *node) change(after int) journal.Change {
	n.t.Helper()
	var c journal.Change
	n.eventually("a change", func() error {
		s, err := n.status()
		if err != nil {
			return err
		}
		if s.LastChange == nil || s.LastChange.Number <= after {
			return fmt.Errorf("the last change is %+v", s.LastChange)
		}
		c = *s.LastChange
		return nil
	})
	n.t.Logf("change %d of %v: %s in %s %s", c.Number, c.Targets, c.Verdict, c.Took, c.Reason)
	return c
}

func (n *node) holds(want bool) error {
	has, err := n.Holds(theVIP)
	if err == nil && has != want {
		err = fmt.Errorf("the node holds the VIP: %v, %v", theVIP, has)
	}
	return err
}

func (n *node) track(want string) func() error {
	return func() error {
		if got := strings.TrimSpace(n.read(trackFile)); got != want {
			return fmt.Errorf("the track file contains %q, want %q", got, want)
		}
		return nil
	}
}

// settled waits until all targets are proven and the node holds the VIP.
func (n *node) settled() control.Status {
	n.t.Helper()
	var s control.Status
	n.eventually("all targets proven", func() (err error) {
		if s, err = n.status(); err != nil {
			return err
		}
		for _, t := range s.Targets {
			if t.Generation == 0 {
				return fmt.Errorf("%s has no last known good files", t.Name)
			}
		}
		return n.holds(true)
	})
	return s
}

// TestAgentRecoversOnANode has the long tests. They run on one release, because they do not depend on the versions of
// haproxy and keepalived.
func TestAgentRecoversOnANode(t *testing.T) {
	n := newNode(t, "trixie")
	n.settled()
	n.run(t, []part{
		{"killed at each step of a change", testKilledAtEachStep},
		{"haproxy stays stuck", testStuckTooLong},
	})
}

func TestAgentOnANode(t *testing.T) {
	for _, releaseName := range cluster.Sample(t, "noble", "trixie", "bookworm") {
		t.Run(releaseName, func(t *testing.T) {
			l := labtest.Lab(t)
			// The peer's machine answers, because an agent asks for a missing peer all the time.
			if _, err := l.AddClient(t.Context(), "peer", "management", netip.MustParsePrefix("192.168.56.102/24")); err != nil {
				t.Fatal(err)
			}
			n := nodesIn(t, l, releaseName, 1)[0]
			n.settled()
			n.run(t, []part{
				{"verify finds nothing wrong", testVerify},
				{"a good haproxy.cfg is proven", testGoodEdit},
				{"a bad haproxy.cfg is refused and kept", testRefused},
				{"an address in use is refused", testAddressInUse},
				{"a haproxy.cfg with which haproxy cannot start is rolled back", testRolledBack},
				{"two files saved together are one change", testBothAtOnce},
				{"a new VIP in keepalived.conf is held", testNewVIP},
				{"a stuck haproxy is reported to keepalived", testStuck},
				{"a killed agent continues", testKilled},
				{"a set of files is applied", testApply},
				{"the agent needs few resources", testCost},
			})
		})
	}
}
