package cloudinit

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// fromSeed runs agent-from-seed.sh where /var/lib/cloud is a folder of the test's own.
func fromSeed(t *testing.T, seed, digest, target string) (string, error) {
	t.Helper()
	const setUp = `set -e
mount --make-rprivate /
mount -t tmpfs none /var/lib
mkdir -p /var/lib/cloud/seed/nocloud
[ -z "$1" ] || cp "$1" /var/lib/cloud/seed/nocloud/ha-agent
shift
exec sh -c "$@"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", setUp, "sh", seed, agentFromSeed, "sh", agentFile, digest, target)
	// blkid must find no volume, whatever this machine has.
	fake := t.TempDir()
	if err := os.WriteFile(filepath.Join(fake, "blkid"), []byte("#!/bin/sh\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+fake+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAgentFromSeed(t *testing.T) {
	needs(t, "root", os.Getuid() == 0)
	seed := filepath.Join(t.TempDir(), "ha-agent")
	if err := os.WriteFile(seed, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "bin", "ha-agent")
	for _, c := range []struct{ name, seed, digest, says string }{
		{"not there", "", sha256Hex("program"), "found neither a volume labelled CIDATA"},
		{"another digest", seed, sha256Hex("other"), "has another digest"},
	} {
		out, err := fromSeed(t, c.seed, c.digest, target)
		if err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
		if left, _ := os.ReadDir(filepath.Dir(target)); len(left) > 0 {
			t.Errorf("%s: left %v behind", c.name, left)
		}
	}
	if out, err := fromSeed(t, seed, sha256Hex("program"), target); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkInstalled(t, target)
}

func checkInstalled(t *testing.T, target string) {
	t.Helper()
	got, err := os.ReadFile(target)
	if err != nil || string(got) != "program" {
		t.Errorf("installed %q (%v)", got, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v (%v)", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(target)); len(left) != 1 {
		t.Errorf("left %v behind", left)
	}
}

func TestAgentFromURL(t *testing.T) {
	python := tool(t, "python3")
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries == 1 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		if _, err := w.Write([]byte("program")); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	target := filepath.Join(t.TempDir(), "bin", "ha-agent")
	out, err := exec.Command(python, "-c", agentFromURL, server.URL, sha256Hex("other"), target).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "instead of "+sha256Hex("other")) {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("a program with another digest was installed")
	}
	if !strings.Contains(string(out), "cannot fetch "+server.URL) || tries != 2 {
		t.Errorf("a server that was not ready was not asked again: %s", out)
	}
	if out, err := exec.Command(python, "-c", agentFromURL, server.URL, sha256Hex("program"), target).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkInstalled(t, target)
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	agent := filepath.Join(dir, "ha-agent")
	// An agent that says no at first, and no sleep between.
	script := "#!/bin/sh\necho x >>" + dir + "/calls\n[ \"$(wc -l <" + dir + "/calls)\" -ge \"$OK_AT\" ] || { echo 'not ok'; exit 1; }\necho 'all ok'\n"
	for name, content := range map[string]string{"ha-agent": script, "sleep": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(okAt string) (string, error) {
		os.Remove(filepath.Join(dir, "calls"))
		cmd := exec.Command("sh", "-c", verifyScript, "sh", agent)
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "OK_AT=" + okAt}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("3"); err != nil || out != "all ok\n" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("1000"); err == nil || !strings.Contains(out, "not ok") || !strings.Contains(out, "not as it should be") {
		t.Errorf("%v: %s", err, out)
	}
}
