package haproxy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseShowProc(t *testing.T) {
	tests := map[string]struct {
		answer string
		want   Procs
		worker int // 0 if no worker serves
	}{
		"3.0 after one good and one failed reload": {
			answer: `#<PID>          <type>          <reloads>       <uptime>        <version>      
4               master          2 [failed: 1]   0d00h00m04s     3.0.11-1+deb13u3
# workers
26              worker          1               0d00h00m02s     3.0.11-1+deb13u3
# programs

`,
			want:   Procs{Master: 4, Reloads: 2, Failed: 1, Workers: []Worker{{26, 1}}, Version: "3.0.11-1+deb13u3"},
			worker: 26,
		},
		"2.6 with an old worker that still has connections": {
			answer: `#<PID>          <type>          <reloads>       <uptime>        <version>      
4               master          1 [failed: 0]   0d00h00m03s     2.6.12-1+deb12u3
# workers
26              worker          0               0d00h00m01s     2.6.12-1+deb12u3
# old workers
7               worker          1               0d00h00m03s     2.6.12-1+deb12u3
# programs

`,
			want: Procs{Master: 4, Reloads: 1, Failed: 0, Workers: []Worker{{26, 0}},
				OldWorkers: []Worker{{7, 1}}, Version: "2.6.12-1+deb12u3"},
			worker: 26,
		},
		"2.4 has a column more and does not count failures": {
			answer: `#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>
1               master          0               2               0d00h01m28s     2.4.30
# workers
3               worker          1               0               0d00h00m00s     2.4.30
# old workers
2               worker          [was: 1]        1               0d00h00m28s     2.4.30
# programs

`,
			want:   Procs{Master: 1, Reloads: 2, Failed: -1, Workers: []Worker{{3, 0}}, OldWorkers: []Worker{{2, 1}}, Version: "2.4.30"},
			worker: 3,
		},
		"2.4 after a reload that failed": {
			answer: `#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>
8               master          0               27              5d22h03m17s     2.4.30
# workers
# old workers
177             worker          [was: 1]        14              0d20h36m10s     2.4.30
`,
			want: Procs{Master: 8, Reloads: 27, Failed: -1, OldWorkers: []Worker{{177, 14}}, Version: "2.4.30"},
		},
		"two workers while the new one starts": {
			answer: `#<PID>          <type>          <reloads>       <uptime>        <version>
8               master          3 [failed: 0]   0d00h03m17s     3.2.9
# workers
12              worker          1               0d00h01m10s     3.2.9
13              worker          0               0d00h00m00s     3.2.9
`,
			want:   Procs{Master: 8, Reloads: 3, Workers: []Worker{{12, 1}, {13, 0}}, Version: "3.2.9"},
			worker: 13,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseShowProc(tt.answer)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatal(diff)
			}
			if w, ok := got.Worker(); ok != (tt.worker != 0) || w.PID != tt.worker {
				t.Fatalf("serving worker %d, %v; want %d", w.PID, ok, tt.worker)
			}
		})
	}
}

func TestParseShowProcRefusesOtherText(t *testing.T) {
	for _, answer := range []string{
		"", "Unknown command: 'show proc'\n", "4 master\n", "x master 1 0d 3.0\n", "4 master x 0d 3.0\n",
		"4 master 1 [failed: x] 0d 3.0\n", "-4 master 1 0d 3.0\n", "7 worker 0 0d 3.0\n",
	} {
		if p, err := ParseShowProc(answer); err == nil {
			t.Errorf("ParseShowProc(%q) = %+v, want an error", answer, p)
		}
	}
}

func FuzzParseShowProc(f *testing.F) {
	f.Add("#<PID> <type> <relative PID> <reloads>\n1 master 0 2 0d 2.4\n# workers\n3 worker [was: 1] 0 0d 2.4\n")
	f.Add("4 master 2 [failed: 1] 0d00h00m04s 3.0\n# old workers\n26 worker 1 0d 3.0\n")
	f.Fuzz(func(t *testing.T, answer string) {
		p, err := ParseShowProc(answer)
		if err != nil {
			return
		}
		if p.Master <= 0 || p.Reloads < 0 || p.Failed < -1 {
			t.Fatalf("invalid process from %q: %+v", answer, p)
		}
		if w, ok := p.Worker(); ok && w.PID <= 0 {
			t.Fatalf("worker without a process ID from %q", answer)
		}
	})
}
