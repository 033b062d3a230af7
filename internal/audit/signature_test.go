package audit

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

// newKey generates a key, and a line for a file of allowed signers.
func newKey(t *testing.T, name, passphrase string) (key, line string) {
	t.Helper()
	needs.Programs(t, "ssh-keygen")
	key = filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return key, name + ` namespaces="` + Namespace + `" ` + string(public)
}

// signed writes a manifest, and signs it with a key.
func signed(t *testing.T, key string) (path string, text []byte) {
	t.Helper()
	path, text = filepath.Join(t.TempDir(), "x.qcow2.json"), []byte(`{"image": "sha256:00"}`)
	write(t, path, string(text))
	var stderr bytes.Buffer
	if err := Sign(t.Context(), key, path, &stderr); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return path, text
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSignature(t *testing.T) {
	alice, aliceLine := newKey(t, "alice@example.org", "")
	mallory, malloryLine := newKey(t, "mallory", "")
	allowed := filepath.Join(t.TempDir(), "allowed")
	write(t, allowed, malloryLine+aliceLine)
	path, text := signed(t, alice)
	if signer, err := Verify(t.Context(), allowed, path, text); err != nil || signer != "alice@example.org" {
		t.Errorf("signed by %q, %v", signer, err)
	}
	// A second signature replaces the first one.
	if err := Sign(t.Context(), mallory, path, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if signer, err := Verify(t.Context(), allowed, path, text); err != nil || signer != "mallory" {
		t.Errorf("signed by %q, %v", signer, err)
	}
	write(t, allowed, aliceLine)
	refuse := func(what string, text []byte, want string) {
		t.Helper()
		if signer, err := Verify(t.Context(), allowed, path, text); !errors.Is(err, ErrSignature) || signer != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", what, signer, err)
		}
	}
	refuse("another's key", text, "is not signed with a key from "+allowed)
	if err := Sign(t.Context(), alice, path, os.Stderr); err != nil {
		t.Fatal(err)
	}
	refuse("another text", []byte(`{"image": "sha256:01"}`), "is not the file that alice@example.org signed")
	sign := exec.Command("ssh-keygen", "-Y", "sign", "-q", "-f", alice, "-n", "file")
	sign.Stdin = bytes.NewReader(text)
	other, err := sign.Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, SignaturePath(path), string(other))
	refuse("a signature of something else", text, "")
	write(t, SignaturePath(path), "no signature")
	refuse("no signature", text, "")
	if err := os.Remove(SignaturePath(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), allowed, path, text); err == nil || errors.Is(err, ErrSignature) {
		t.Errorf("a missing signature: %v", err)
	}
}

// ssh-keygen asks for the passphrase itself, in the way that ssh provides.
func TestSignWithPassphrase(t *testing.T) {
	key, line := newKey(t, "alice", "open sesame")
	ask := filepath.Join(t.TempDir(), "ask")
	write(t, ask, "#!/bin/sh\necho open sesame\n")
	if err := os.Chmod(ask, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_ASKPASS", ask)
	t.Setenv("SSH_ASKPASS_REQUIRE", "force")
	path, text := signed(t, key)
	allowed := filepath.Join(t.TempDir(), "allowed")
	write(t, allowed, line)
	if _, err := Verify(t.Context(), allowed, path, text); err != nil {
		t.Error(err)
	}
	write(t, ask, "#!/bin/sh\necho wrong\n")
	var stderr bytes.Buffer
	if err := Sign(t.Context(), key, path, &stderr); err == nil || !strings.Contains(err.Error(), "cannot sign "+path) || !strings.Contains(stderr.String(), "passphrase") {
		t.Errorf("a wrong passphrase: %v: %s", err, stderr.String())
	}
	if _, err := Verify(t.Context(), allowed, path, text); err != nil {
		t.Errorf("a failure changed the existing signature: %v", err)
	}
}

// The key may be only in the ssh agent.
func TestSignByAgent(t *testing.T) {
	key, line := newKey(t, "alice", "")
	agent, err := exec.LookPath("ssh-agent")
	needs.That(t, err == nil, "ssh-agent is missing")
	socket := filepath.Join(t.TempDir(), "agent")
	run := exec.CommandContext(t.Context(), agent, "-D", "-a", socket)
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill(); _ = run.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil { // it prints the name of its socket when it listens
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	if out, err := exec.Command("ssh-add", "-q", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	path, text := signed(t, key+".pub")
	allowed := filepath.Join(t.TempDir(), "allowed")
	write(t, allowed, line)
	if _, err := Verify(t.Context(), allowed, path, text); err != nil {
		t.Error(err)
	}
}

func TestCheckKey(t *testing.T) {
	key, _ := newKey(t, "alice", "")
	if err := CheckKey(key); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{key + ".none", filepath.Dir(key)} {
		if err := CheckKey(bad); err == nil || !strings.HasPrefix(err.Error(), "cannot sign with the key") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
