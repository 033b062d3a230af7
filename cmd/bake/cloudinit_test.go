package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/exitstatus"
)

const cloudInitPassword = "correct-horse-battery"

const cloudInitSpec = `apiVersion: hapair/v1
cluster: pair
image: {release: trixie}
nodes:
  - {name: lb1, address: 192.0.2.11/24, interface: eth0}
  - {name: lb_2, address: 192.0.2.12/24, interface: eth0}
vips: [{name: public, address: 192.0.2.10/24}]
stats: {user: admin, password: {file: stats}}
access: {users: [{name: ops, ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfEJ1Oq6JvY9wzQkJq8Yg0m7f5vP1fJm9mM3k0oXw1A ops], sudo: true}]}
services:
  - {name: web, vip: public, port: 80, servers: [{name: a, address: 192.0.2.21}]}
`

// cloudInitTree creates a folder with a spec, its secret, and a program that takes the place of ha-agent.
func cloudInitTree(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile("/bin/true") // any program will do except this test binary, which contains the password
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cluster.yaml": []byte(cloudInitSpec + more), "stats": []byte(cloudInitPassword + "\n"), "ha-agent": program} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bakeCloudInit runs bake cloud-init in a tree: $T in args is the path of the tree.
func bakeCloudInit(t *testing.T, dir string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	full := []string{"cloud-init", filepath.Join(dir, "cluster.yaml")}
	for _, a := range args {
		full = append(full, strings.ReplaceAll(a, "$T", dir))
	}
	var out, errs bytes.Buffer
	status = run(t.Context(), full, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), status
}

func TestCloudInit(t *testing.T) {
	dir := cloudInitTree(t, "")
	for _, image := range []string{"golden", "stock"} {
		args := []string{"-o", "$T/out", "--image", image}
		if image == "stock" {
			args = append(args, "--agent", "$T/ha-agent")
		}
		stdout, stderr, status := bakeCloudInit(t, dir, args...)
		if status != exitstatus.OK || strings.Contains(stderr, "error") {
			t.Fatalf("%s: exit %d: %s", image, status, stderr)
		}
		for _, name := range []string{"lb1/user-data", "lb1/meta-data", "lb1/network-config", "lb1/seed.iso", "lb_2/seed.iso"} {
			if path := filepath.Join(dir, "out", name); !strings.Contains(stdout, path+" (") {
				t.Errorf("%s: stdout does not contain %s:\n%s", image, path, stdout)
			}
		}
		noSecret(t, filepath.Join(dir, "out"), stdout+stderr)
		userData, err := os.ReadFile(filepath.Join(dir, "out/lb_2/user-data"))
		if err != nil || !bytes.Contains(userData, []byte("hostname: lb-2\n")) {
			t.Errorf("%s: %v: %s", image, err, userData)
		}
		if stock := bytes.Contains(userData, []byte("\npackage_update:")); stock != (image == "stock") {
			t.Errorf("%s: installs packages: %v", image, stock)
		}
		if !bytes.Contains(userData, []byte("\nruncmd:")) {
			t.Errorf("%s: the user-data does not run ha-agent verify", image)
		}
	}
}

// noSecret checks that the password is neither in the files nor in the output.
func noSecret(t *testing.T, dir, printed string) {
	t.Helper()
	if strings.Contains(printed, cloudInitPassword) {
		t.Error("the password was printed")
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(cloudInitPassword)) {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCloudInitJSON(t *testing.T) {
	dir := cloudInitTree(t, "")
	stdout, _, status := bakeCloudInit(t, dir, "-o", "$T/out", "--cloud", "ec2", "--json")
	var written []cloudinit.Written
	if err := json.Unmarshal([]byte(stdout), &written); err != nil || status != exitstatus.OK {
		t.Fatalf("exit %d: %v: %s", status, err, stdout)
	}
	want := cloudinit.Written{Node: "lb1", Path: filepath.Join(dir, "out/lb1/user-data"), Size: written[0].Size}
	if len(written) != 2 || written[0] != want || written[0].Size == 0 {
		t.Errorf("got %+v", written)
	}
}

func TestCloudInitRefusals(t *testing.T) {
	digest := strings.Repeat("0f", 32)
	for _, c := range []struct {
		name, more string
		args       []string
		status     int
		says       string
	}{
		{"no folder", "", nil, exitstatus.Usage, "-o DIR"},
		{"unknown image", "", []string{"-o", "$T/out", "--image", "silver"}, exitstatus.Usage, "golden or stock"},
		{"unknown cloud", "", []string{"-o", "$T/out", "--cloud", "nine"}, exitstatus.Usage, "must be one of nocloud, ec2"},
		{"unknown release", "", []string{"-o", "$T/out", "--release", "potato"}, exitstatus.Usage, "trixie"},
		{"agent for golden", "", []string{"-o", "$T/out", "--agent", "$T/ha-agent"}, exitstatus.Usage, "already contains ha-agent"},
		{"URL without digest", "", []string{"-o", "$T/out", "--image", "stock", "--agent-url", "https://a/b"}, exitstatus.Usage, "must be used together"},
		{"URL and file", "", []string{"-o", "$T/out", "--image", "stock", "--agent", "x", "--agent-url", "https://a/b", "--agent-sha256", digest}, exitstatus.Usage, "both --agent and --agent-url"},
		{"no URL", "", []string{"-o", "$T/out", "--image", "stock", "--agent-url", "file:///b", "--agent-sha256", digest}, exitstatus.Usage, "http or https"},
		{"no digest", "", []string{"-o", "$T/out", "--image", "stock", "--agent-url", "https://a/b", "--agent-sha256", "0f"}, exitstatus.Usage, "64 hex digits"},
		{"no seed on a cloud", "", []string{"-o", "$T/out", "--image", "stock", "--cloud", "ec2"}, exitstatus.Usage, "--agent-url"},
		{"no agent beside bake", "", []string{"-o", "$T/out", "--image", "stock"}, exitstatus.Failure, "--agent PATH"},
		{"agent is not a program", "", []string{"-o", "$T/out", "--image", "stock", "--agent", "$T/stats"}, exitstatus.Failure, "not a Linux program"},
		{"collision", "cloud_config: {hostname: x, ssh_pwauth: true}\n", []string{"-o", "$T/out"}, exitstatus.No, "cloud_config.ssh_pwauth"},
		{"too large", "cloud_config: {final_message: " + strings.Repeat("x", 40000) + "}\n", []string{"-o", "$T/out", "--cloud", "hetzner"}, exitstatus.No, "more than the limit of 32768"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := cloudInitTree(t, c.more)
			stdout, stderr, status := bakeCloudInit(t, dir, c.args...)
			if status != c.status || !strings.Contains(stderr, c.says) || stdout != "" {
				t.Errorf("exit %d, stdout %q, stderr:\n%s", status, stdout, stderr)
			}
			if strings.Count(stderr, "cloud_config.ssh_pwauth") > 1 {
				t.Errorf("printed more than once:\n%s", stderr)
			}
			if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
				t.Error("files were written")
			}
		})
	}
}
