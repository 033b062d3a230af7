package needs

import "testing"

func TestParse(t *testing.T) {
	for value, want := range map[string]tier{"": unit, "lab": lab, "cluster": cluster, "wide": wide, "qemu": qemu} {
		if got, err := parse(value); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", value, got, err, want)
		}
	}
	if got, err := parse("labs"); err == nil {
		t.Errorf("parse of an unknown tier = %d, want an error", got)
	}
}

// A test of a tier that was not chosen must be skipped, also with CI=true.
func TestUnchosenTierIsSkipped(t *testing.T) {
	t.Setenv("CI", "true")
	for chosen, needed := range map[string]func(testing.TB){"": Lab, "lab": Cluster, "wide": Emulation} {
		t.Setenv("HAPAIR_TEST", chosen)
		var sub *testing.T
		t.Run(chosen, func(t *testing.T) {
			sub = t
			needed(t)
		})
		if !sub.Skipped() {
			t.Errorf("with HAPAIR_TEST=%s, a test of the next tier is not skipped", chosen)
		}
	}
}
