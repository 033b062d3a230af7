package man

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	p := Page{
		Name: "bake-test", Section: 1, Short: "test a page", Synopsis: []string{"bake test SPEC"},
		Description: "First.\n.not a request\n\nSecond \\ one:\n  kept as it is\nand on.",
		Options:     []Item{{"-o, --output FILE", "write to FILE"}},
		Examples:    "bake test a.yaml\n", Exit: ExitStatus, SeeAlso: []string{"bake(1)"},
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".TH \"BAKE\\-TEST\" 1 \"\" \"hapair ", ".SH NAME\nbake\\-test \\- test a page\n", "\n\\&.not a request\n",
		".PP\nSecond \\e one:\n.nf\n  kept as it is\n.fi\nand on.\n", ".TP\n.B \\-o, \\-\\-output FILE\nwrite to FILE\n",
		".SH EXAMPLES\n.nf\nbake test a.yaml\n.fi\n", ".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n", ".SH SEE ALSO\nbake(1)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}
