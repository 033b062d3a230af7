package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/test/cluster"
)

const aboutSpec = `How long a command takes, from its start to its end, for specs of many services with two servers each, on two
nodes. ` + "`render`" + ` writes each node's files, and ` + "`cloud-init`" + ` each node's user-data and seed.iso. Both first read and validate the spec,
as ` + "`validate`" + ` does alone (if haproxy is installed, it also tests the result).`

// BenchmarkSpec generates the files of large specs.
func BenchmarkSpec(b *testing.B) {
	bake := cluster.Build(b, spec("250ms"))
	program := filepath.Join(bake.Dir, "bake")
	table := found.table(Table{Name: "spec", Title: "From a spec to files", Unit: "ms", What: "services", About: aboutSpec})
	for _, services := range []int{10, 1000, 10000} {
		path := filepath.Join(bake.Dir, fmt.Sprintf("spec-%d.yaml", services))
		if err := os.WriteFile(path, manyServices(services), 0o600); err != nil {
			b.Fatal(err)
		}
		for _, command := range []string{"validate", "render", "cloud-init"} {
			b.Run(fmt.Sprintf("%s/%d", command, services), func(b *testing.B) {
				args := []string{command, path}
				if command != "validate" {
					args = append(args, "-o", b.TempDir())
				}
				var s Sample
				for range 9 {
					start := time.Now()
					if out, err := exec.CommandContext(b.Context(), program, args...).CombinedOutput(); err != nil {
						b.Fatalf("%v\n%s", err, out[:min(len(out), 2000)])
					}
					s.Values = append(s.Values, milliseconds(time.Since(start)))
				}
				table.add(count(services), command, s)
				tell("%s of %d services: %s ms", command, services, cell(s))
				s.report(b, "ms")
			})
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
