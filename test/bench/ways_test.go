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

// way is a way to make a pair of load balancers.
type way struct {
	name      string
	advertInt string        // of the spec
	byHand    string        // the folder of testdata with the files of this way; empty for hapair's own
	notices   time.Duration // the time after which a silent node is detected: four advertisement intervals
	fast      bool          // hapair again, with a shorter advert_int
	home      string        // the node to which the VIP always returns; empty if it stays
}

// ways returns all ways, hapair's last.
func ways() []way {
	return []way{
		{name: "tutorial", advertInt: "250ms", notices: 4 * time.Second, byHand: "tutorial", home: "controller-1"},
		{name: "Octavia's values", advertInt: "250ms", notices: 4 * time.Second, byHand: "octavia"},
		hapair(),
		{name: "hapair, 100 ms", advertInt: "100ms", notices: 400 * time.Millisecond, fast: true},
	}
}

// hapair returns the way with the defaults of bake.
func hapair() way { return way{name: "hapair, 250 ms", advertInt: "250ms", notices: time.Second} }

// convert removes hapair from a node that has booted, except for the haproxy.cfg, and installs the files of the way.
func (w way) convert(ctx context.Context, h *lab.Host, number string) error {
	if w.byHand == "" {
		return nil
	}
	if _, err := h.Must(ctx, "sh", "-euc", `systemctl disable --now ha-agent.service
rm -f /usr/lib/systemd/system/haproxy.service.d/hapair.conf /usr/lib/systemd/system/keepalived.service.d/hapair.conf`); err != nil {
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

// of fills in the differences between the first and the second node: <A|B> is A on the first.
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
