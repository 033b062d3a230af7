package bench

import (
	"context"
	"embed"
	"io/fs"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

//go:embed testdata
var testdata embed.FS

// way is how somebody makes a pair of load balancers.
type way struct {
	name      string
	advertInt string        // of the spec
	byHand    string        // the folder of testdata with what is written by hand; empty: hapair's own
	notices   time.Duration // after which a silent node is noticed: four advertisements
	fast      bool          // hapair again, with a shorter advert_int
	home      string        // the node that the VIP always comes back to; empty: it stays where it is
}

// ways are all of them, hapair's last.
func ways() []way {
	return []way{
		{name: "tutorial", advertInt: "250ms", notices: 4 * time.Second, byHand: "tutorial", home: "controller-1"},
		{name: "Octavia's values", advertInt: "250ms", notices: 4 * time.Second, byHand: "octavia"},
		hapair(),
		{name: "hapair, 100 ms", advertInt: "100ms", notices: 400 * time.Millisecond, fast: true},
	}
}

// hapair is what bake makes by default.
func hapair() way { return way{name: "hapair, 250 ms", advertInt: "250ms", notices: time.Second} }

// convert takes hapair off a node that has booted, all but the haproxy.cfg, and lays down what a way has instead.
func (w way) convert(ctx context.Context, h *lab.Host, number string) error {
	if w.byHand == "" {
		return nil
	}
	if _, err := h.Must(ctx, "sh", "-euc", `systemctl disable --now ha-agent.service
rm -f /etc/systemd/system/haproxy.service.d/hapair.conf /etc/systemd/system/keepalived.service.d/hapair.conf`); err != nil {
		return err
	}
	dir := "testdata/" + w.byHand
	files, err := fs.ReadDir(testdata, dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		content, err := fs.ReadFile(testdata, dir+"/"+f.Name())
		if err != nil {
			return err
		}
		if err := h.WriteFile("/etc/keepalived/"+f.Name(), 0o755, []byte(of(string(content), number))); err != nil {
			return err
		}
	}
	_, err = h.Must(ctx, "sh", "-euc", "chmod 644 /etc/keepalived/keepalived.conf; systemctl daemon-reload; systemctl restart haproxy.service keepalived.service")
	return err
}

// of fills in what differs between the first and the second node: <A|B> is A on the first.
func of(text, number string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "<")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		first, rest, _ := strings.Cut(rest, "|")
		second, rest, _ := strings.Cut(rest, ">")
		b.WriteString(map[string]string{"1": first, "2": second}[number])
		text = rest
	}
}
