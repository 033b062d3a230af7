package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
	"github.com/hapair/hapair/test/machine"
)

const aboutRollout = `The time to bring a haproxy.cfg with another comment to both nodes of a pair, %d times each, over ssh, and the requests that a client
with new connections, 100 a second, loses meanwhile. *bake rollout* tests the whole configuration on both nodes, applies it on one after the other on
trial, proves it, and confirms it. The *Ansible* role does what roles on Galaxy do: packages, haproxy.cfg by a template that
` + "`haproxy -c`" + ` validates, keepalived.conf, both services, a handler that reloads; ` + "`serial: 1`" + `. *ssh* copies, validates and reloads on
one node after the other. For these two the agent's daemon is stopped. Neither of the two notices that a reload has failed, or goes back.`

// rollouts is how often each way rolls a change out.
const rollouts = 5

// playbook is what a usual role does. serial leaves one node in service.
const playbook = `- hosts: all
  serial: 1
  become: true
  tasks:
    - name: install packages
      ansible.builtin.apt: {name: [haproxy, keepalived], state: present}
    - name: configure haproxy
      ansible.builtin.template: {src: haproxy.cfg, dest: /etc/haproxy/haproxy.cfg, mode: "0640", group: haproxy, validate: haproxy -c -f %s}
      notify: reload haproxy
    - name: configure keepalived
      ansible.builtin.file: {path: /etc/keepalived/keepalived.conf, owner: root, state: file}
    - name: enable services
      ansible.builtin.systemd: {name: "{{ item }}", enabled: true, state: started}
      loop: [haproxy, keepalived]
  handlers:
    - name: reload haproxy
      ansible.builtin.systemd: {name: haproxy, state: reloaded}
`

// overSSH copies, validates and reloads, node by node.
const overSSH = `for node in 192.168.56.101 192.168.56.102; do
	ssh -F "$1" $node 'sudo sh -euc "cat >/etc/haproxy/haproxy.cfg.new; haproxy -c -q -f /etc/haproxy/haproxy.cfg.new; cp /etc/haproxy/haproxy.cfg.new /etc/haproxy/haproxy.cfg; rm /etc/haproxy/haproxy.cfg.new; systemctl reload haproxy"' <"$2"
done`

// BenchmarkRollout rolls changes of a haproxy.cfg out to a pair.
func BenchmarkRollout(b *testing.B) {
	admin := machine.NewKey(b, "ops")
	with := func(number int) []byte {
		s := strings.Replace(string(cluster.PairSpec(fmt.Sprintf("image: {packages: [openssh-server, python3-apt]}\naccess: {users: [{name: ops, sudo: true, ssh_authorized_keys: [%q]}]}\n", admin.Key))),
			"    mode: http\n", fmt.Sprintf("    mode: http\n    lines: {frontend: \"# change %d\"}\n", number), 1)
		return []byte(s)
	}
	bake := cluster.Build(b, with(0))
	p := &pair{bake.Nodes(b, "noble", bake.Image(b, "noble")), hapair()}
	admin.On(p.Admin)
	if err := p.ServePair(); err != nil {
		b.Fatal(err)
	}
	p.Boot(b)
	if _, err := p.settle(b.Context()); err != nil {
		b.Fatal(err)
	}
	cfg, err := p.Nodes["controller-1"].ReadFile(wellknown.HAProxyConfig)
	if err != nil {
		b.Fatal(err)
	}
	run := func(dir, name string, args ...string) error {
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
		defer cancel()
		cmd := admin.Command(ctx, name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_SSH_ARGS=-F "+admin.Config()+" -o ControlMaster=auto -o ControlPersist=60s", "ANSIBLE_PIPELINING=True")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return nil
	}
	dir := b.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write("play.yml", playbook)
	write("hosts", "192.168.56.101\n192.168.56.102\n")
	table := found.table(Table{Name: "rollout", Title: "How long a change takes to reach both nodes", Unit: "s", What: "one line of haproxy.cfg", About: fmt.Sprintf(aboutRollout, rollouts)})
	for _, w := range []struct {
		name, needs, daemon string
		roll                func(number int) error
	}{
		{"bake rollout", "ssh", "start", func(number int) error {
			bake.Write(b, with(number))
			return run(dir, filepath.Join(bake.Dir, "bake"), "rollout", bake.Spec, "--yes", "--ssh-config", admin.Config())
		}},
		{"Ansible", "ansible-playbook", "stop", func(int) error { return run(dir, "ansible-playbook", "-i", "hosts", "play.yml") }},
		{"ssh", "ssh", "stop", func(int) error {
			return run(dir, "sh", "-euc", overSSH, "sh", admin.Config(), filepath.Join(dir, "haproxy.cfg"))
		}},
	} {
		if _, err := exec.LookPath(w.needs); err != nil {
			table.add("time", w.name, Sample{Note: w.needs + " is not installed"})
			continue
		}
		for _, h := range p.Nodes {
			if _, err := h.Must(b.Context(), "systemctl", w.daemon, "ha-agent"); err != nil {
				b.Fatal(err)
			}
		}
		var s Sample
		watch := p.Client.WatchFresh(b.Context(), url, 10*time.Millisecond, 900*time.Millisecond)
		for number := 1; number <= rollouts; number++ {
			write("haproxy.cfg", fmt.Sprintf("%s\n# %s %d\n", cfg, w.name, number))
			began := time.Now()
			if err := w.roll(number); err != nil {
				b.Fatal(err)
			}
			s.Values = append(s.Values, time.Since(began).Seconds())
		}
		s.Note = fmt.Sprintf("%d requests lost", watch.Stop().Failures)
		table.add("time", w.name, s)
		tell("%s: median %.1f s, worst %.1f s, %s", w.name, s.Median(), s.Worst(), s.Note)
		s.report(b, "s "+w.name)
	}
}
