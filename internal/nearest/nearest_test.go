package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	known := []string{"address", "interface", "port", "name", "virtual_router_id"}
	for word, want := range map[string]string{
		"adress": "address", "interfaces": "interface", "prot": "port", "nmae": "name", "colour": "", "": "",
		"virtual_routerid": "virtual_router_id", strings.Repeat("x", 100): "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("Word(%q) is %q, want %q", word, got, want)
		}
	}
}

func TestOneOf(t *testing.T) {
	words := []string{"jammy", "noble"}
	for wrong, want := range map[string]string{
		"nobel": `did you mean "noble"?`,
		"sid":   "must be one of jammy, noble",
	} {
		if got := OneOf(wrong, words); got != want {
			t.Errorf("OneOf(%q) = %q, want %q", wrong, got, want)
		}
	}
}
