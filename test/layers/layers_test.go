// Package layers checks that imports run one way, and that programs do not link heavy libraries that they do not need.
package layers

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hapair/hapair/"

// floors lists all packages of the module, from the top down. A package may import only packages of lower floors, not of its
// own floor. New packages must be added here. The rule does not apply to test files.
var floors = [][]string{
	// Programs, and tests of several programs.
	{"cmd/bake", "cmd/ha-agent", "cmd/packer-plugin-hapair", "internal/docs", "internal/docs/record",
		"test/bench", "test/bench/busy", "test/bench/limits", "test/bench/minimal", "test/bench/timing", "test/afternoon", "test/e2e", "test/layers", "test/matrix", "test/observe", "test/rollout"},
	// Test support. Only tests import it: see TestProductLinksNoTests.
	{"test/cluster", "test/machine"},
	{"internal/testing/labtest", "internal/testing/packertest"},
	{"internal/testing/eventually", "internal/testing/generated", "internal/testing/gotool", "internal/testing/haproxytest", "internal/testing/unusable"},
	{"internal/testing/needs"},
	// What bake and Packer do with a spec.
	{"internal/adopt", "internal/audit", "internal/drill",
		"packer", "packer/builder", "packer/datasource", "packer/provisioner"},
	{"internal/cluster", "internal/lab/fault", "internal/preflight", "internal/rollout"},
	{"internal/judge", "internal/lab", "internal/nodediff"},
	{"cloudinit", "internal/image", "internal/remote", "packer/template"},
	{"internal/archive", "internal/install", "internal/packages/mkrelease", "internal/sbom"},
	{"internal/packages"},
	{"internal/recipe"},
	{"internal/haproxy/haproxycfg", "internal/keepalived/keepalivedconf"},
	// The agent.
	{"internal/agent"},
	{"internal/agent/status"},
	{"internal/agent/change", "internal/agent/guard", "internal/agent/maintenance", "internal/agent/metrics", "internal/agent/upgrade", "internal/agent/trial", "internal/agent/verify"},
	{"internal/agent/target", "internal/agent/track", "internal/agent/vrrp"},
	{"internal/agent/certificates", "internal/agent/duplicate", "internal/agent/hook", "internal/agent/reach", "internal/agent/servers", "internal/agent/store"},
	{"internal/agent/check", "internal/agent/contain", "internal/agent/control", "internal/agent/inventory", "internal/agent/process", "internal/agent/vip", "internal/agent/watch"},
	{"internal/agent/config", "internal/agent/journal"},
	// The daemons of a node, and the system.
	{"internal/effect"},
	{"internal/advert"},
	{"internal/haproxy", "internal/keepalived", "internal/systemd"},
	{"internal/neighbor", "internal/validator"},
	// The spec.
	{"internal/schema"},
	{"internal/spec", "examples"},
	{"internal/release", "internal/srcmap", "internal/strictyaml"},
	// Packages that are independent of load balancers.
	{"internal/haproxy/syntax"},
	{"internal/diag", "internal/dpkg", "internal/man", "internal/outdir", "internal/yamlmask"},
	{"internal/deb", "units"},
	{"internal/redact", "internal/yamlsyntax"},
	{"internal/durable", "internal/exitstatus", "internal/lazyregexp", "internal/nearest", "internal/paint", "internal/poll", "internal/wellknown", "internal/regular", "internal/revision", "internal/selfsigned", "internal/sysctl", "internal/termsafe", "internal/version"},
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
			t.Errorf("%s is not on a floor: add it to floors, above the packages that it imports", from)
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
			t.Errorf("package %s does not exist: remove it from floors", name)
		}
	}
}

// TestProductLinksNoTests checks that only tests and test support import packages for tests.
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

// TestPrograms checks that programs do not link forbidden packages.
func TestPrograms(t *testing.T) {
	for program, never := range map[string][]string{
		// Everything that the agent links increases the cost of each check that keepalived runs.
		"cmd/ha-agent": {"github.com/hashicorp/", "github.com/spf13/cobra", "github.com/go-crypt/", "text/template", "cloudinit", "internal/image",
			"internal/lab", "internal/recipe", "internal/spec", "internal/schema", "internal/release",
			"internal/haproxy/haproxycfg", "internal/keepalived/keepalivedconf"},
		"cmd/bake": {"github.com/hashicorp/packer-plugin-sdk", "github.com/coreos/", "internal/agent/watch", "internal/agent/store"},
	} {
		deps := list(t, "{{.ImportPath}} {{join .Deps \" \"}}", "./"+program)[program]
		if !slices.Contains(deps, "internal/spec") && !slices.Contains(deps, "internal/agent/config") {
			t.Fatalf("the imports of %s are not as expected: %q", program, deps)
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

// imports returns the imports of each package, without those of its test files.
func imports(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	return list(t, "{{.ImportPath}} {{join .Imports \" \"}}", pattern)
}

// list runs go list, which prints a package and other packages on each line. Packages of this module are named without the
// module's name.
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
