// Package needs puts tests into tiers, and ends a test if its tier was not chosen or something is missing. Other tests are
// unit tests: they need neither root nor a program other than Go and a shell. The variable HAPAIR_TEST chooses tiers: "lab"
// chooses the lab tier; "cluster" chooses that and the tests of whole clusters; "wide" chooses those, and each for more
// releases, examples and address families; "qemu" chooses all. Tests of higher tiers are skipped. In a chosen tier, a test
// without root fails. If something else is missing, it is skipped, or fails with CI=true.
package needs

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// tier is how much a test needs. A higher tier needs all that a lower one needs.
type tier int

const (
	unit    tier = iota
	lab          // the real daemons and tools, in sandboxes and on hosts booted in namespaces
	cluster      // pairs of nodes that were baked
	wide         // the same tests for more releases, examples and address families, which takes hours
	qemu         // whole machines under emulation, which takes hours
)

var names = []string{unit: "", lab: "lab", cluster: "cluster", wide: "wide", qemu: "qemu"}

// Lab puts a test into the lab tier, and requires root.
func Lab(t testing.TB) {
	t.Helper()
	need(t, lab)
	root(t)
}

// Cluster puts a test into the cluster tier, and requires root.
func Cluster(t testing.TB) {
	t.Helper()
	need(t, cluster)
	root(t)
}

// Wide reports whether a test is to run for more releases, examples or address families than the one that tells most.
func Wide(t testing.TB) bool {
	t.Helper()
	return chosen(t) >= wide
}

// InWide puts a test into the wide tier. why names the test of a lower tier that already shows most of it.
func InWide(t testing.TB, why string) {
	t.Helper()
	if !Wide(t) {
		t.Skipf("a test of the wide tier: %s", why)
	}
}

// Emulation puts a test into the tier of machines under software emulation, and requires root.
func Emulation(t testing.TB) {
	t.Helper()
	need(t, qemu)
	root(t)
}

// Programs puts a test into the lab tier without requiring root: it runs these programs, or builds some.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	need(t, lab)
	for _, name := range names {
		_, err := exec.LookPath(name)
		That(t, err == nil, "%s is missing: scripts/setup test installs it", name)
	}
}

// That ends a test of a chosen tier if ok is false. The format describes what is missing.
func That(t testing.TB, there bool, format string, args ...any) {
	t.Helper()
	if there {
		return
	}
	missing := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatal("cannot test: " + missing)
	}
	t.Skip(missing)
}

func need(t testing.TB, least tier) {
	t.Helper()
	if chosen(t) < least {
		t.Skipf("a test of the %s tier: HAPAIR_TEST=%s chooses it", names[least], names[least])
	}
}

func chosen(t testing.TB) tier {
	t.Helper()
	chosen, err := parse(os.Getenv("HAPAIR_TEST"))
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// parse reads the value of HAPAIR_TEST.
func parse(value string) (tier, error) {
	i := slices.Index(names, value)
	if i < 0 {
		return 0, fmt.Errorf("HAPAIR_TEST is %q: must be lab, cluster, wide or qemu", value)
	}
	return tier(i), nil
}

func root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("cannot test: it needs root; make test-lab and make test-cluster use sudo")
	}
}
