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

// Namespace is the namespace of signatures of manifests, so that a key's signature of something else is not accepted. See
// ssh-keygen(1).
const Namespace = "hapair-image"

// SignaturePath returns the path of the signature of an image's manifest. It is the path that ssh-keygen uses.
func SignaturePath(manifest string) string { return manifest + ".sig" }

// CheckKey finds problems with a key before anything is signed. key is the file of a private key, or of a public key whose
// private key is in the ssh agent.
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
// uses the ssh agent. Its messages, such as a request to touch a security key, go to stderr.
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

// ErrSignature means that a manifest has no valid signature.
var ErrSignature = errors.New("the signature is not valid")

// Verify checks the signature beside a manifest. text is the text of the manifest, which was already read. It returns the
// signer: the principals of the key in the file of allowed signers, see ALLOWED SIGNERS in ssh-keygen(1).
func Verify(ctx context.Context, allowed, manifest string, text []byte) (signer string, err error) {
	signature := SignaturePath(manifest)
	for _, file := range []string{allowed, signature} {
		if _, err := regular.ReadFile(file, signatureLimit); err != nil {
			return "", fmt.Errorf("cannot verify the signature: %w", err)
		}
	}
	out, err := keygen(ctx, nil, "-Y", "find-principals", "-f", allowed, "-s", signature)
	if err != nil {
		return "", refused(manifest, "is not signed with a key from "+allowed, err)
	}
	signer, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	// A line of the file may contain several principals or patterns.
	identity, _, _ := strings.Cut(signer, ",")
	if _, err := keygen(ctx, text, "-Y", "verify", "-f", allowed, "-I", identity, "-n", Namespace, "-s", signature); err != nil {
		return "", refused(manifest, "is not the file that "+signer+" signed", err)
	}
	return signer, nil
}

func refused(manifest, what string, err error) error {
	var exit *exec.ExitError
	var said *outputError
	if errors.As(err, &said) && errors.As(said.err, &exit) {
		return fmt.Errorf("%w: %s %s: %s", ErrSignature, manifest, what, said.text)
	}
	return fmt.Errorf("cannot verify the signature: %w", err)
}

// signatureLimit is the maximum size in bytes of manifests, signatures and lists of signers.
const signatureLimit = 16 << 20

// outputError is a failure of ssh-keygen with its output.
type outputError struct {
	text string
	err  error
}

func (e *outputError) Error() string { return "ssh-keygen: " + e.text }

// keygen runs ssh-keygen with the user's environment, so that it can use the ssh agent and the terminal.
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
		return nil, &outputError{text, err}
	}
	return stdout.Bytes(), nil
}
