// Package rollout rolls changes out to a pair of real nodes over real ssh, while clients send requests.
package rollout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/selfsigned"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/test/cluster"
	"github.com/hapair/hapair/test/machine"
)

// Parameters of the clients: as in the fault matrix.
const (
	interval = 10 * time.Millisecond
	patience = 900 * time.Millisecond
	turns    = 25
)

// More servers answer at 192.168.56.203 to .212, for rollouts that add them.
const firstServer, lastServer = 203, 212

// converged is how soon all nodes must run one revision, whatever happened to the rollout.
const converged = 2 * time.Minute

// pair is the two nodes, and an operator who may log in to them.
type pair struct {
	*cluster.Cluster
	bake    *cluster.Bake
	admin   *machine.Admin
	release string

	// Of the scenario that is being played.
	holder, other *lab.Host    // who held the VIP at the beginning, and who did not
	before        revision.Ref // what all nodes ran at the beginning
	said          string       // the last line that bake printed
	end           string       // how it ended

	results []result
}

// spec returns the spec of the pair with more lines, and with more servers of its service.
func (p *pair) spec(more string, servers ...string) []byte {
	s := string(cluster.PairSpec(p.access() + more))
	for _, server := range servers {
		s = strings.Replace(s, "      - {name: web_1,", "      - {name: "+server+"}\n      - {name: web_1,", 1)
	}
	return []byte(s)
}

// access returns the lines of a spec that let the operator in, the release, and the packages that the tests need.
func (p *pair) access() string {
	return fmt.Sprintf("image: {release: %s, packages: [openssh-server, nftables]}\naccess: {users: [{name: ops, sudo: true, ssh_authorized_keys: [%q]}]}\n", p.release, p.admin.Key)
}

// boot bakes an image, and boots both nodes from it.
func boot(t *testing.T, release string) *pair {
	t.Helper()
	p := &pair{release: release}
	p.bake = cluster.Build(t, cluster.PairSpec(""))
	p.admin = machine.NewKey(t, "ops")
	families, _ := cluster.Families(t, cluster.IPv4)
	p.bake.Family = families[0]
	p.write(t, p.spec(""))
	image := p.bake.Image(t, release)
	p.Cluster = p.bake.Nodes(t, release, image)
	p.admin.On(p.Admin)
	if err := p.ServePair(); err != nil {
		t.Fatal(err)
	}
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("web\n")) })
	for number := firstServer; number <= lastServer; number++ {
		for _, prefix := range p.Family.Prefixes(fmt.Sprintf("192.168.56.%d/24", number)) {
			if err := p.Lab.Serve("management", prefix, cluster.PairPort, answer); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.Boot(t)
	p.Settle(t)
	return p
}

// hosts returns both nodes, in order.
func (p *pair) hosts() []*lab.Host {
	var hosts []*lab.Host
	for _, name := range slices.Sorted(maps.Keys(p.Nodes)) {
		hosts = append(hosts, p.Nodes[name])
	}
	return hosts
}

// command returns bake rollout, or another command, for the spec in its file.
func (p *pair) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(args, "--ssh-config", p.admin.Config())
	return p.admin.Command(ctx, filepath.Join(p.bake.Dir, "bake"), args...)
}

// run runs a command of bake, and returns its output and exit status.
func (p *pair) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	began := time.Now()
	cmd := p.command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	t.Logf("bake %s: %v, %v\n%s", strings.Join(args, " "), err, time.Since(began).Round(100*time.Millisecond), out.String())
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	p.heard(out.String())
	return out.String(), cmd.ProcessState.ExitCode()
}

// rollout rolls the spec out, and fails the test if the exit status is another one.
func (p *pair) rollout(t *testing.T, want int, args ...string) string {
	t.Helper()
	out, code := p.run(t, append([]string{"rollout", p.bake.Spec, "--yes"}, args...)...)
	if code != want {
		t.Errorf("exit status %d, want %d", code, want)
		p.logs(t)
	}
	return out
}

func (p *pair) logs(t *testing.T) {
	t.Helper()
	for _, h := range p.hosts() {
		out, _, _ := h.Run(t.Context(), "journalctl", "-n", "60", "--no-pager", "-o", "short-precise", "-u", "hapair-revision*", "-u", "ha-agent", "-u", "keepalived")
		t.Logf("%s:\n%s", h.Name, out)
	}
}

// show returns what a node runs.
func (p *pair) show(ctx context.Context, h *lab.Host) (revision.Show, error) {
	var s revision.Show
	out, err := h.Must(ctx, "ha-agent", "revision", "show", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	return s, err
}

// one waits until no node has a trial, and returns the revision that all run.
func (p *pair) one(t *testing.T, limit time.Duration) revision.Ref {
	t.Helper()
	var ref revision.Ref
	began := time.Now()
	eventually.Nil(t, limit, func() error {
		for i, h := range p.hosts() {
			s, err := p.show(t.Context(), h)
			switch {
			case err != nil:
				return err
			case s.Trial != nil:
				return fmt.Errorf("%s: %v is %s: %s %s", h.Name, s.Trial.Ref, s.Trial.Phase, s.Trial.Reason, s.Trial.Waits)
			case i > 0 && s.Current != ref:
				return fmt.Errorf("%s runs %v, another node %v", h.Name, s.Current, ref)
			}
			ref = s.Current
		}
		return nil
	})
	t.Logf("all nodes run %v, after %v", ref, time.Since(began).Round(100*time.Millisecond))
	return ref
}

// file returns a file of a node.
func file(t *testing.T, h *lab.Host, path string) string {
	t.Helper()
	data, err := h.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// compare checks that the nodes are as the spec says, in every file and step.
func (p *pair) compare(t *testing.T) {
	t.Helper()
	for _, command := range []string{"diff", "verify"} {
		if out, code := p.run(t, command, p.bake.Spec); code != 0 {
			t.Errorf("bake %s after the rollout: exit status %d\n%s", command, code, out)
		}
	}
}

// handshake returns the certificate that an address shows.
func (p *pair) handshake(t *testing.T, address string) *x509.Certificate {
	t.Helper()
	var cert *x509.Certificate
	eventually.Nil(t, time.Minute, func() error {
		conn, err := p.Client.Dial(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		if err := c.HandshakeContext(t.Context()); err != nil {
			return err
		}
		cert = c.ConnectionState().PeerCertificates[0]
		return nil
	})
	return cert
}

// certificate returns a certificate of site.example and its key.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return c.CertPEM, c.KeyPEM
}

// address is the address of the family for an IPv4 address. A dual-stack pair has both: it is the IPv6 one.
func (p *pair) address(v4 string) string {
	all := p.Family.Addresses(v4)
	return all[len(all)-1].String()
}

// write replaces the spec.
func (p *pair) write(t *testing.T, spec []byte) {
	t.Helper()
	p.bake.Write(t, p.bake.Family.Spec(spec))
}
