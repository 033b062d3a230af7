package judge

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

// vipOptions are VIPs with all options.
const vipOptions = `vips:
  - name: public
    address: [203.0.113.10/24, "2001:db8::10/64", 203.0.113.11/24]
    interface: ens4
    group: edge
    gateway: [203.0.113.1, "2001:db8::1"]
    routes: [{to: 10.99.0.0/16, via: 192.0.2.254, interface: eth0, table: 77, metric: 5}, {to: "2001:db8:5::/48", via: "fe80::1"}]
    on_change: /usr/local/sbin/eip
    lines: |
      garp_lower_prio_repeat 2
      track_interface {
          ens7
      }
  - name: internal
    address: 192.0.2.12/24
    group: edge
    track_scripts: [{name: uplink, command: /opt/uplink --to a@b, user: someone, interval: 5s}]
cloud_config: {users: [{name: someone}]}
`

// vipSpec returns a spec with VIPs for a release, followed by text.
func vipSpec(r release.Release, vips, more string) string {
	services := head0[strings.Index(head0, "services:"):]
	head := head0[:strings.Index(head0, "vips:")]
	return strings.Replace(head, "cluster:", "image: {release: "+r.Name+"}\ncluster:", 1) + vips + services + more
}

// The keepalived of every release must accept all options of VIPs, both with the nodes' own files and in an image.
func TestVIPOptionsAreAccepted(t *testing.T) {
	for _, name := range cluster.Releases(t, release.Names()...) {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			sb := labtest.Sandbox(t, name)
			if out, status, err := sb.Run(t.Context(), "useradd", "--system", "--user-group", "hapair-check"); err != nil || status != 0 {
				t.Fatal(out, err)
			}
			weights := strings.NewReplacer("    group: edge\n", "    group: edge\n    preempt_delay: 5m\n", "interval: 5s", "interval: 5s, weight: -20}, {name: b, command: /opt/b, weight: 10").Replace(vipOptions)
			for _, s := range []*spec.Spec{write(t, vipSpec(r, vipOptions, ""), nil), write(t, vipSpec(r, weights, "vrrp: {preempt: true}\n"), nil)} {
				for what, judge := range map[string]func() (diag.Problems, error){
					"here":  func() (diag.Problems, error) { return Here(t.Context(), shellOf(sb), s, r) },
					"image": func() (diag.Problems, error) { return Image(t.Context(), shellOf(sb), s, r) },
				} {
					if problems, err := judge(); err != nil || len(problems) > 0 {
						t.Errorf("judged as %s: %v, %v; want no problems", what, problems, err)
					}
				}
			}
		})
	}
}

// A line of a VIP that keepalived refuses must be an error at its line of the spec.
func TestMistakesInLinesOfAVIP(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		text := vipSpec(r, strings.Replace(vipOptions, "garp_lower_prio_repeat 2\n", "garp_lower_prio_repeat 2\n\n      garp_lowr_prio_delay 3\n", 1), "")
		line := strings.Count(text[:strings.Index(text, "garp_lowr")], "\n") + 1
		problems := here(t, sh, write(t, text, nil), r)
		if !slices.ContainsFunc(problems, func(p diag.Problem) bool {
			return p.Severity == diag.Error && filepath.Base(p.File) == "spec.yaml" && p.Line == line && p.Path == "vips[0].lines"
		}) {
			t.Errorf("want an error on line %d, got %v", line, problems)
		}
	})
}
