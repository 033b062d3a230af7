package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

const aboutSpec = `How long a command takes, from its start to its end, for specs of many services with two servers each, on two
nodes. ` + "`render`" + ` writes each node's files, and ` + "`cloud-init`" + ` each node's user-data and seed.iso. Both first read and validate the spec,
as ` + "`validate`" + ` does alone (if haproxy is installed, it also tests the result). ` + "`haproxy -c`" + ` of noble reads the rendered haproxy.cfg of both nodes,
one after the other.`

// BenchmarkSpec generates the files of large specs.
func BenchmarkSpec(b *testing.B) {
	bake := cluster.Build(b, spec("250ms"))
	haproxy := labtest.Sandbox(b, "noble")
	if out, status, err := haproxy.Run(b.Context(), "useradd", "--system", "--user-group", wellknown.CheckUser); err != nil || status != 0 {
		b.Fatal(out, err)
	}
	table := found.table(Table{Name: "spec", Title: "From a spec to files", Unit: "ms", What: "services", About: aboutSpec})
	for _, services := range []int{10, 1000, 10000} {
		path := filepath.Join(bake.Dir, fmt.Sprintf("spec-%d.yaml", services))
		if err := os.WriteFile(path, manyServices(services), 0o600); err != nil {
			b.Fatal(err)
		}
		nineTimes := func(command string, run func(b *testing.B) (out string, err error)) {
			b.Run(fmt.Sprintf("%s/%d", command, services), func(b *testing.B) {
				var s Sample
				for range 9 {
					start := time.Now()
					if out, err := run(b); err != nil {
						b.Fatalf("%v\n%s", err, out[:min(len(out), 2000)])
					}
					s.Values = append(s.Values, milliseconds(time.Since(start)))
				}
				table.add(count(services), command, s)
				tell("%s of %d services: %s ms", command, services, cell(s))
				s.report(b, "ms")
			})
		}
		for _, command := range []string{"validate", "render", "cloud-init"} {
			nineTimes(command, func(b *testing.B) (string, error) {
				args := []string{command, path}
				if command != "validate" {
					args = append(args, "-o", b.TempDir())
				}
				out, err := exec.CommandContext(b.Context(), filepath.Join(bake.Dir, "bake"), args...).CombinedOutput()
				return string(out), err
			})
		}
		putRendered(b, haproxy, bake, path)
		nineTimes("haproxy -c", func(b *testing.B) (string, error) {
			out, status, err := haproxy.Run(b.Context(), "sh", "-euc", "haproxy -c -f /a.cfg && haproxy -c -f /b.cfg")
			if err == nil && status != 0 {
				err = fmt.Errorf("exit status %d", status)
			}
			return out, err
		})
	}
}

// putRendered renders a spec, and writes the haproxy.cfg of both nodes to a sandbox.
func putRendered(b *testing.B, sb *lab.Sandbox, bake *cluster.Bake, path string) {
	b.Helper()
	dir := b.TempDir()
	bake.Run(b, "render", path, "-o", dir)
	for _, node := range []string{"a", "b"} {
		config, err := os.ReadFile(filepath.Join(dir, node, wellknown.HAProxyConfig))
		if err == nil {
			err = sb.WriteFile(b.Context(), "/"+node+".cfg", 0o644, "", config)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// manyServices returns a spec of many services, each on a different port of one VIP.
func manyServices(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`apiVersion: hapair/v1
cluster: large
nodes:
  - {name: a, address: 10.0.0.11/16, interface: eth0}
  - {name: b, address: 10.0.0.12/16, interface: eth0}
vips:
  - {name: public, address: 10.0.0.10/16}
services:
`)
	for i := range n {
		fmt.Fprintf(&b, "  - {name: service-%d, vip: public, port: %d, mode: http, check: {http: GET /, expect: 200}, servers: [{name: one, address: 10.0.1.1, port: %d}, {name: two, address: 10.0.1.2, port: %d}]}\n",
			i, 10000+i, 10000+i, 10000+i)
	}
	return b.Bytes()
}
