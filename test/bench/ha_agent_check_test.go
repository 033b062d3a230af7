package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/test/cluster"
)

const aboutCheck = `keepalived runs its check script every second on every node. These are the costs of one run of each kind, from fork to exit, on a
node of the pair with a real haproxy, while the given number of other processes exist: %d runs of each kind, alternately. The last
column is the peak resident memory.

*minimal* is the minimum for a check in Go: it queries haproxy's socket, and accepts any answer. socat and curl also query the socket.
` + "`killall -0`" + ` and pidof only check that a process with that name exists, and read the names of all processes for that.`

const checkRuns = 300

// checks returns checks that people use, with the arguments that keepalived would use.
func checks() []struct {
	name string
	argv []string
} {
	return []struct {
		name string
		argv []string
	}{
		{"minimal", []string{"/usr/local/bin/minimal"}},
		{"ha-agent check", []string{"/usr/bin/ha-agent", "check"}},
		{"killall -0 haproxy", []string{"/usr/bin/killall", "-0", "haproxy"}},
		{"pidof haproxy", []string{"/usr/bin/pidof", "haproxy"}},
		{"socat in a shell", []string{"/bin/sh", "-c", "echo 'show info' | socat -t1 - UNIX-CONNECT:/run/haproxy/check.sock | grep -q '^Stopping: 0'"}},
		{"curl", []string{"/usr/bin/curl", "-sf", "-o", "/dev/null", "-u", "admin:" + cluster.Password, "http://192.168.56.101:1936/"}},
	}
}

// BenchmarkCheck measures the cost of keepalived's check.
func BenchmarkCheck(b *testing.B) {
	bake := cluster.Build(b, spec("250ms"))
	p := bootPair(b, bake, "trixie", bake.Image(b, "trixie"), hapair())
	h := p.Nodes["controller-1"]
	for _, program := range []string{"timing", "minimal"} {
		install(b, h, program)
	}
	wall := found.table(Table{Name: "check", Title: "What a check costs", Unit: "ms", What: "check", About: fmt.Sprintf(aboutCheck, checkRuns)})
	cpu := found.table(Table{Name: "check-cpu", Title: "What a check costs a processor", Unit: "ms", What: "check",
		About: "The same runs: the processor time in user and kernel mode, without haproxy's time for the answer."})
	for _, idle := range []int{100, 300, 1000} {
		column := count(idle) + " processes"
		costs := timed(b, h, idle)
		least := Sample{Values: costs[0].WallMS}.Median()
		for i, c := range checks() {
			w, u := Sample{Values: costs[i].WallMS}, Sample{Values: costs[i].CPUMS}
			if c.name == "ha-agent check" {
				w.Note = fmt.Sprintf("%.2f × minimal", w.Median()/least)
			}
			wall.add(c.name, column, w)
			cpu.add(c.name, column, u)
			tell("check by %s, %s: %s ms; %s ms of a processor", c.name, column, cell(w), cell(u))
		}
	}
	for _, c := range checks() {
		wall.add(c.name, "memory", Sample{Note: resident(b, h, c.argv)})
	}
	b.ReportMetric(0, "ns/op")
}

// install builds a program of the bench and installs it on a host.
func install(b *testing.B, h *lab.Host, program string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), program)
	gotool.Build(b, path, "./"+program)
	data, err := os.ReadFile(path)
	if err == nil {
		err = h.WriteFile("/usr/local/bin/"+program, 0o755, data)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// cost is the output of the program timing for one command.
type cost struct{ WallMS, CPUMS []float64 }

// timed runs all checks on a host with a number of idle processes.
func timed(b *testing.B, h *lab.Host, idle int) []cost {
	b.Helper()
	var argvs [][]string
	for _, c := range checks() {
		argvs = append(argvs, c.argv)
	}
	order, err := json.Marshal(map[string]any{"Idle": idle, "Runs": checkRuns, "Commands": argvs})
	if err != nil {
		b.Fatal(err)
	}
	cmd, err := h.Command(b.Context(), "/usr/local/bin/timing")
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(order)), os.Stderr
	out, err := cmd.Output()
	var costs []cost
	if err == nil {
		err = json.Unmarshal(out, &costs)
	}
	if err != nil || len(costs) != len(argvs) {
		b.Fatalf("timing gives %d costs: %v", len(costs), err)
	}
	return costs
}

// resident returns the peak memory of a command. A program with little memory must start it, because a process begins with
// the memory of the process that forked it.
func resident(b *testing.B, h *lab.Host, argv []string) string {
	b.Helper()
	out, err := h.Must(b.Context(), "/usr/bin/time", append([]string{"-q", "-f", "%M"}, argv...)...)
	lines := strings.Fields(out)
	var kibibytes float64
	if err == nil {
		_, err = fmt.Sscan(lines[len(lines)-1], &kibibytes)
	}
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("%.1f MiB", kibibytes/1024)
}
