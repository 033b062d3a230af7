package afternoon

import (
	"strings"
	"testing"
	"time"
)

const small = "# Title\n\n<!-- times -->\n<!-- end -->\n\n## One\n\n```sh\nls\n```\n\n```text\nold\n```\n\n```sh\ncd\n```\n\n## Two\n\n<!-- lab: clients -->\n```text\n1 lost\n```\n"

func TestPage(t *testing.T) {
	steps := read(small)
	if len(steps) != 3 || steps[0].script != "ls\n" || steps[0].shown != "old\n" || steps[1].has || steps[2].action != "clients" || steps[2].title != "Two" {
		t.Fatalf("the steps are %+v", steps)
	}
	for i, s := range steps {
		s.output, s.took = "new\n", time.Duration(i+1)*40*time.Second
	}
	page := write(small, steps)
	for _, want := range []string{"| One | 2 min 0 s |", "| Two | 2 min 0 s |", "| all commands | 4 min 0 s |", "```sh\nls\n```\n\n```text\nnew\n```", "```sh\ncd\n```\n\n## Two", "clients -->\n```text\nnew\n```"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
	if again := write(page, steps); again != page {
		t.Errorf("written again, the page is\n%s", again)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"vip  27 ms, 3 lost\n", "vip   15 ms, nothing lost\n", true},
		{"no answer for up to 760 ms (power cut)\n", "no answer for up to 1.2 s (haproxy killed)\n", true},
		{"never: no answer for 21.4 s\n", "1703 ms, 184 lost\n", false},
		{"wrote a\n", "wrote b\n", false},
	} {
		if got := same(c.a, c.b); got != c.want {
			t.Errorf("same(%q, %q) = %t, want %t", c.a, c.b, got, c.want)
		}
	}
}
