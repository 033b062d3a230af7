// Package layers keeps imports running one way, and heavy libraries out of the programs that have no use for them.
package layers

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hapair/hapair/"

// floors are the packages from the top down: each may import those of lower floors only, and no other of its own.
var floors = [][]string{
	{"cmd/bake", "cmd/ha-agent", "cmd/packer-plugin-hapair"},
	{"internal/preflight"},
	{"packer/provisioner", "packer/builder", "packer/datasource", "internal/drill", "internal/audit"},
	{"packer/template", "cloudinit", "internal/lab"},
	{"internal/image"},
	{"internal/install", "internal/archive", "internal/sbom"},
	{"internal/recipe", "internal/agent", "internal/agent/verify"},
	{"internal/haproxy/haproxycfg", "internal/keepalived/keepalivedconf"},
	{"internal/haproxy", "internal/keepalived", "internal/systemd"},
	{"internal/agent/config", "internal/schema"},
	{"internal/spec"},
	{"internal/release", "internal/strictyaml", "internal/health"},
	{"internal/outdir", "internal/dpkg", "internal/haproxy/syntax"},
	{"internal/diag", "internal/durable", "internal/version", "units"},
	{"internal/redact", "internal/regular", "internal/termsafe"},
}

func TestImportsRunOneWay(t *testing.T) {
	floor := map[string]int{}
	for i, names := range floors {
		for _, name := range names {
			floor[module+name] = i
		}
	}
	for from, i := range floor {
		for _, to := range list(t, "{{range .Imports}}{{println .}}{{end}}", from) {
			if j, known := floor[to]; known && j <= i {
				t.Errorf("%s imports %s, which does not lie below it", from, to)
			}
		}
	}
}

// TestPrograms holds each program against what it must never link.
func TestPrograms(t *testing.T) {
	for program, never := range map[string][]string{
		// What the agent links costs each of the checks that keepalived has it make.
		"cmd/ha-agent": {"github.com/hashicorp/", "github.com/spf13/cobra", "github.com/go-crypt/", "text/template", module + "cloudinit", module + "internal/image",
			module + "internal/lab", module + "internal/recipe", module + "internal/spec", module + "internal/schema", module + "internal/release",
			module + "internal/haproxy/haproxycfg", module + "internal/keepalived/keepalivedconf"},
		"cmd/bake": {"github.com/hashicorp/packer-plugin-sdk", "github.com/coreos/", module + "internal/agent/watch", module + "internal/agent/store"},
	} {
		deps := list(t, "{{range .Deps}}{{println .}}{{end}}", module+program)
		if !slices.Contains(deps, module+"internal/spec") && !slices.Contains(deps, module+"internal/agent/config") {
			t.Fatalf("%s imports nothing that is known: %q", program, deps)
		}
		for _, dep := range deps {
			for _, prefix := range never {
				if strings.HasPrefix(dep, prefix) {
					t.Errorf("%s links %s", program, dep)
				}
			}
		}
	}
}

// TestUnitsImportNothing of the project: everything else builds on them.
func TestUnitsImportNothing(t *testing.T) {
	for _, dep := range list(t, "{{range .Imports}}{{println .}}{{end}}", module+"units") {
		if strings.HasPrefix(dep, module) {
			t.Errorf("units imports %s", dep)
		}
	}
}

func list(t *testing.T, format, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", format, pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
