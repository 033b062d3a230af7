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

	"github.com/hapair/hapair/internal/testing/needs"
)

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// fromSeed runs agent-from-seed.sh with /var/lib/cloud in a temporary file system, and with a blkid that prints the given
// output.
func fromSeed(t *testing.T, seed, blkid, digest, target string) (string, error) {
	t.Helper()
	const setUp = `set -e
mount --make-rprivate /
mount -t tmpfs none /var/lib
mount -t tmpfs none /run
mkdir -p /var/lib/cloud/seed/nocloud
[ -z "$1" ] || cp "$1" /var/lib/cloud/seed/nocloud/ha-agent.deb
shift
status=0
sh -c "$@" || status=$?
find /run -name 'hapair*' -exec echo left {} +
exit "$status"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", setUp, "sh", seed, agentFromSeed, "sh", agentFile, digest, target)
	fake := t.TempDir()
	if err := os.WriteFile(filepath.Join(fake, "blkid"), []byte("#!/bin/sh\n"+blkid+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+fake+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// volume creates a file system with a folder's files. It uses ext4 instead of ISO 9660, because not every kernel has ISO
// 9660.
func volume(t *testing.T, dir string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "volume")
	if out, err := exec.Command(tool(t, "mkfs.ext4"), "-q", "-d", dir, image, "1M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return image
}

func TestAgentFromVolume(t *testing.T) {
	needs.Lab(t)
	content := t.TempDir()
	empty := volume(t, content)
	if err := os.WriteFile(filepath.Join(content, agentFile), []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := volume(t, content)
	target := filepath.Join(t.TempDir(), "bin", "ha-agent")
	lower := `[ "$2" = cidata ] || exit 2; echo ` // some programs write the label in lower case
	if out, err := fromSeed(t, "", lower+empty, sha256Hex("program"), target); err == nil || !strings.Contains(out, "there is no ha-agent.deb in the volume "+empty) || strings.Contains(out, "left") {
		t.Errorf("an empty volume: %v: %s", err, out)
	}
	if out, err := fromSeed(t, "", lower+full, sha256Hex("program"), target); err != nil || out != "" {
		t.Fatalf("%v: %s", err, out)
	}
	checkInstalled(t, target)
}

func TestAgentFromSeed(t *testing.T) {
	needs.Lab(t)
	seed := filepath.Join(t.TempDir(), "ha-agent")
	if err := os.WriteFile(seed, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "bin", "ha-agent")
	for _, c := range []struct{ name, seed, digest, says string }{
		{"not there", "", sha256Hex("program"), "found neither a volume labelled CIDATA"},
		{"another digest", seed, sha256Hex("other"), ": generate the seed again"},
	} {
		out, err := fromSeed(t, c.seed, "exit 2", c.digest, target)
		if err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
		if left, _ := os.ReadDir(filepath.Dir(target)); len(left) > 0 {
			t.Errorf("%s: left %v behind", c.name, left)
		}
	}
	if out, err := fromSeed(t, seed, "exit 2", sha256Hex("program"), target); err != nil {
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
	if !strings.Contains(string(out), "cannot download "+server.URL) || tries != 2 {
		t.Errorf("the download from a server that was not ready was not repeated: %s", out)
	}
	if out, err := exec.Command(python, "-c", agentFromURL, server.URL, sha256Hex("program"), target).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkInstalled(t, target)
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	agent := filepath.Join(dir, "ha-agent")
	// An agent that fails at first, without a pause between attempts.
	script := "#!/bin/sh\necho x >>" + dir + "/calls\n[ \"$(wc -l <" + dir + "/calls)\" -ge \"$OK_AT\" ] || { echo 'ok  this'; echo 'NOT that'; exit 1; }\necho 'all ok'\n"
	console := filepath.Join(dir, "console")
	for name, content := range map[string]string{"ha-agent": script, "sleep": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(okAt string) (string, error) {
		os.Remove(filepath.Join(dir, "calls"))
		cmd := exec.Command("sh", "-c", verifyScript, "sh", agent, console)
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "OK_AT=" + okAt}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("3"); err != nil || out != "all ok\n" {
		t.Errorf("%v: %s", err, out)
	}
	if said, err := os.ReadFile(console); err == nil {
		t.Errorf("the console shows for a good node: %s", said)
	}
	if out, err := run("1000"); err == nil || !strings.Contains(out, "NOT that") || !strings.Contains(out, "failed verification") {
		t.Errorf("%v: %s", err, out)
	}
	if said, err := os.ReadFile(console); err != nil || !strings.HasSuffix(string(said), " failed verification:\nNOT that\n") {
		t.Errorf("the console shows %q (%v)", said, err)
	}
}
