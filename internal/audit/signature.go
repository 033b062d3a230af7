package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/termsafe"
)

// Namespace is that of a signature of a manifest: a key's signature of anything else does not count. See ssh-keygen(1).
const Namespace = "hapair-image"

// SignaturePath is where the signature of an image's manifest lies: where ssh-keygen itself would put it.
func SignaturePath(manifest string) string { return manifest + ".sig" }

// CheckKey finds what can be found wrong with a key before anything is signed. key is a private key's file, or the file of
// a public key whose private one the ssh agent has.
func CheckKey(key string) error {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		return errors.New("cannot sign a manifest: ssh-keygen is missing: apt-get install openssh-client")
	}
	info, err := os.Stat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", key)
	}
	if err != nil {
		return fmt.Errorf("cannot sign with the key: %w", err)
	}
	return nil
}

// Sign signs a manifest with a key, and writes the signature beside it. ssh-keygen asks for a passphrase on the terminal, or
// asks the ssh agent. stderr shows its messages, such as a request to touch a security key.
func Sign(ctx context.Context, key, manifest string, stderr io.Writer) error {
	text, err := regular.ReadFile(manifest, signatureLimit)
	if err != nil {
		return fmt.Errorf("cannot sign the manifest: %w", err)
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-q", "-f", key, "-n", Namespace)
	var signature bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &signature, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot sign %s with %s: %w", manifest, key, cmp.Or(ctx.Err(), err))
	}
	if err := renameio.WriteFile(SignaturePath(manifest), signature.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot write the signature: %w", err)
	}
	return nil
}

// ErrSignature is the error of a manifest without a valid signature.
var ErrSignature = errors.New("the signature does not hold")

// Verify checks the signature beside a manifest whose text was read already, and returns who has signed: the principals of
// the key in the file of allowed signers, see ALLOWED SIGNERS in ssh-keygen(1).
func Verify(ctx context.Context, allowed, manifest string, text []byte) (signer string, err error) {
	signature := SignaturePath(manifest)
	for _, file := range []string{allowed, signature} {
		if _, err := regular.ReadFile(file, signatureLimit); err != nil {
			return "", fmt.Errorf("cannot verify the signature: %w", err)
		}
	}
	out, err := keygen(ctx, nil, "-Y", "find-principals", "-f", allowed, "-s", signature)
	if err != nil {
		return "", refused(manifest, "is not signed by a key of "+allowed, err)
	}
	signer, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	// A line of the file may name several principals, or patterns of them.
	identity, _, _ := strings.Cut(signer, ",")
	if _, err := keygen(ctx, text, "-Y", "verify", "-f", allowed, "-I", identity, "-n", Namespace, "-s", signature); err != nil {
		return "", refused(manifest, "is not what "+signer+" has signed", err)
	}
	return signer, nil
}

func refused(manifest, what string, err error) error {
	var exit *exec.ExitError
	var said *saidError
	if errors.As(err, &said) && errors.As(said.err, &exit) {
		return fmt.Errorf("%w: %s %s: %s", ErrSignature, manifest, what, said.text)
	}
	return fmt.Errorf("cannot verify the signature: %w", err)
}

// signatureLimit bounds manifests, signatures and lists of signers.
const signatureLimit = 16 << 20

// saidError is a failure of ssh-keygen with what it printed.
type saidError struct {
	text string
	err  error
}

func (e *saidError) Error() string { return "ssh-keygen: " + e.text }

// keygen runs ssh-keygen in its user's environment, for its agent and terminal.
func keygen(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "ssh-keygen", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		text := strings.TrimSpace(termsafe.Text(stderr.String() + stdout.String()))
		if text == "" {
			text = err.Error()
		}
		return nil, &saidError{text, err}
	}
	return stdout.Bytes(), nil
}
