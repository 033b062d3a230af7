// Package layers keeps imports running one way, and heavy libraries out of the programs that have no use for them.
package layers

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hapair/hapair/"

// floors are all packages of the module, from the top down. A package may import packages of lower floors only: neither of
// its own floor nor of a higher one. A new package must be added here. Test files are not bound to the floors.
var floors = [][]string{
	// Programs, and tests of all of them together.
	{"cmd/bake", "cmd/ha-agent", "cmd/packer-plugin-hapair", "internal/docs",
		"test/bench", "test/bench/limits", "test/bench/minimal", "test/bench/timing", "test/e2e", "test/layers", "test/matrix", "test/observe"},
	// Support of tests. Only tests import it: see TestProductLinksNoTests.
	{"test/cluster", "test/machine"},
	{"internal/testing/labtest", "internal/testing/packertest"},
	{"internal/testing/eventually", "internal/testing/gotool", "internal/testing/unusable"},
	{"internal/testing/needs"},
	// What bake and Packer do with a spec.
	{"cmd/ha-agent/first", "internal/audit", "internal/drill", "internal/preflight",
		"packer", "packer/builder", "packer/datasource", "packer/provisioner"},
	{"internal/judge", "internal/lab"},
	{"cloudinit", "internal/image", "packer/template"},
	{"internal/archive", "internal/install", "internal/sbom"},
	{"internal/recipe"},
	{"internal/haproxy/haproxycfg", "internal/keepalived/keepalivedconf"},
	// The agent.
	{"internal/agent"},
	{"internal/agent/status"},
	{"internal/agent/change", "internal/agent/guard", "internal/agent/maintenance", "internal/agent/metrics", "internal/agent/verify"},
	{"internal/agent/target", "internal/agent/track", "internal/agent/vrrp"},
	{"internal/agent/duplicate", "internal/agent/hook", "internal/agent/reach", "internal/agent/store"},
	{"internal/agent/contain", "internal/agent/control", "internal/agent/poll", "internal/agent/process", "internal/agent/vip", "internal/agent/watch"},
	{"internal/agent/config", "internal/agent/journal"},
	// The daemons of a node, and the system below them.
	{"internal/advert"},
	{"internal/haproxy", "internal/keepalived", "internal/systemd"},
	{"internal/health", "internal/neighbor", "internal/tool"},
	// The spec.
	{"internal/schema"},
	{"internal/spec", "examples"},
	{"internal/release", "internal/srcmap", "internal/strictyaml"},
	// What knows nothing of load balancers.
	{"internal/haproxy/syntax"},
	{"internal/diag", "internal/dpkg", "internal/outdir"},
	{"internal/durable", "internal/exitstatus", "internal/hush", "internal/redact", "internal/regular", "internal/termsafe", "internal/version",
		"units"},
}

func TestImportsRunOneWay(t *testing.T) {
	floor := map[string]int{}
	for i, names := range floors {
		for _, name := range names {
			if _, twice := floor[name]; twice {
				t.Errorf("%s is on two floors", name)
			}
			floor[name] = i
		}
	}
	packages := imports(t, "./...")
	for from, all := range packages {
		i, known := floor[from]
		if !known {
			t.Errorf("%s is on no floor: add it to floors, above what it imports", from)
			continue
		}
		for _, to := range all {
			if j, ours := floor[to]; ours && j <= i {
				t.Errorf("%s imports %s, which is not on a lower floor", from, to)
			}
		}
	}
	for name := range floor {
		if _, exists := packages[name]; !exists {
			t.Errorf("there is no package %s any more: remove it from floors", name)
		}
	}
}

// TestProductLinksNoTests sees that only tests and their support import packages for tests.
func TestProductLinksNoTests(t *testing.T) {
	for from, all := range imports(t, "./...") {
		if isTest(from) {
			continue
		}
		for _, to := range all {
			if to == "testing" || isTest(to) {
				t.Errorf("%s imports %s, which is for tests only", from, to)
			}
		}
	}
}

func isTest(pkg string) bool {
	return strings.HasPrefix(pkg, "test/") || strings.HasPrefix(pkg, "internal/testing/")
}

// TestPrograms holds each program against what it must never link.
func TestPrograms(t *testing.T) {
	for program, never := range map[string][]string{
		// What the agent links costs each of the checks that keepalived has it make.
		"cmd/ha-agent": {"github.com/hashicorp/", "github.com/spf13/cobra", "github.com/go-crypt/", "text/template", "cloudinit", "internal/image",
			"internal/lab", "internal/recipe", "internal/spec", "internal/schema", "internal/release",
			"internal/haproxy/haproxycfg", "internal/keepalived/keepalivedconf"},
		"cmd/bake": {"github.com/hashicorp/packer-plugin-sdk", "github.com/coreos/", "internal/agent/watch", "internal/agent/store"},
	} {
		deps := list(t, "{{.ImportPath}} {{join .Deps \" \"}}", "./"+program)[program]
		if !slices.Contains(deps, "internal/spec") && !slices.Contains(deps, "internal/agent/config") {
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

// imports are the imports of each package, without those of its test files.
func imports(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	return list(t, "{{.ImportPath}} {{join .Imports \" \"}}", pattern)
}

// list runs go list, which prints a package and others on each line. Packages of this module are named without its name.
func list(t *testing.T, format, pattern string) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", format, pattern)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pattern, err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(strings.ReplaceAll(line, module, ""))
		all[names[0]] = names[1:]
	}
	return all
}
