package target

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

// kernel is a directory like /proc/sys. A restart of systemd-sysctl writes the values in apply to it.
type kernel struct {
	t     *testing.T
	dir   string
	apply func()
}

func (k *kernel) Reload(context.Context, string) error { panic("sysctl has nothing to reload") }
func (k *kernel) Restart(_ context.Context, unit string) error {
	if unit != sysctlUnit {
		k.t.Errorf("%s was restarted, want systemd-sysctl", unit)
	}
	k.apply()
	return nil
}
func (k *kernel) Service(context.Context, string) (systemd.Unit, error) { return systemd.Unit{}, nil }

func (k *kernel) set(path, value string) {
	k.t.Helper()
	p := filepath.Join(k.dir, path)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(value+"\n"), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func TestSysctlIsValidatedAndReadBack(t *testing.T) {
	k := &kernel{t: t, dir: t.TempDir(), apply: func() {}}
	k.set("net/ipv4/ip_nonlocal_bind", "0")
	k.set("net/ipv4/conf/eth0.1/forwarding", "0")
	target := &Sysctl{file: filepath.Join(t.TempDir(), "60-hapair.conf"), proc: k.dir, units: k}
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(target.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if v := target.Validate(t.Context()).Verdict; v != validator.Bad {
		t.Errorf("Validate of a missing file = %v", v)
	}
	for text, want := range map[string]validator.Verdict{
		"": validator.Bad, "# nothing\n": validator.Bad, "nonsense\n": validator.Bad, "net.ipv4.no_such = 1\n": validator.Bad,
		"-net.ipv4.no_such = 1\n":            validator.Good,
		"net/ipv4/ip_nonlocal_bind=1\n":      validator.Good,
		"net/ipv4/conf/eth0.1/forwarding=1":  validator.Good,
		"net.ipv4.conf.eth0/1.forwarding= 1": validator.Good,
	} {
		save(text)
		if a := target.Validate(t.Context()); a.Verdict != want {
			t.Errorf("Validate of %q = %v: %v; want %v", text, a.Verdict, a.Messages, want)
		}
	}
	save("net.ipv4.ip_nonlocal_bind = 0\nnet.ipv4.ip_nonlocal_bind = 1\n")
	if err := target.Take(t.Context(), time.Time{}); err == nil {
		t.Error("Take succeeded although the kernel has another value")
	}
	k.apply = func() { k.set("net/ipv4/ip_nonlocal_bind", "1") }
	if err := target.Take(t.Context(), time.Time{}); err != nil {
		t.Error(err)
	}
}
