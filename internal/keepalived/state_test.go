package keepalived

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEventsAreReadFromPieces(t *testing.T) {
	var s Events
	var got []Event
	for _, piece := range []string{
		"INSTANCE \"VI_pub", "lic\" MASTER 100\nINSTANCE \"VI_b\" FAULT 90\n", "\nGROUP \"g\" BACKUP 0\nINST",
		"ANCE \"a \\\" b\" STOP 1\n",
	} {
		events, errs := s.Add([]byte(piece))
		if errs != nil {
			t.Fatal(errs)
		}
		got = append(got, events...)
	}
	want := []Event{
		{"INSTANCE", "VI_public", Master, 100}, {"INSTANCE", "VI_b", Fault, 90}, {"GROUP", "g", Backup, 0},
		{"INSTANCE", `a \" b`, Stopped, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestEventsContinueAfterInvalidLines(t *testing.T) {
	var s Events
	for _, bad := range []string{"nonsense", `INSTANCE VI MASTER 1`, `INSTANCE "VI" MASTER`, `INSTANCE "VI" MASTER x`,
		`INSTANCE "" MASTER 1`, `INSTANCE "VI" MASTER 256`, strings.Repeat("x", 3*maxLine)} {
		events, errs := s.Add([]byte(bad + "\nINSTANCE \"VI\" BACKUP 7\n"))
		if len(errs) != 1 || len(events) != 1 || events[0] != (Event{"INSTANCE", "VI", Backup, 7}) {
			t.Errorf("%.40q: events %v, errors %v; want one each", bad, events, errs)
		}
		if len(errs) == 1 && len(errs[0].Error()) > 200 {
			t.Errorf("%.40q: the error is %d bytes long", bad, len(errs[0].Error()))
		}
	}
}

func TestKnownStates(t *testing.T) {
	for s, want := range map[State]bool{Master: true, Backup: true, Fault: true, Stopped: true, Deleted: true, "MASTER_RX_LOWER_PRI": false, "": false} {
		if s.Known() != want {
			t.Errorf("%q: known is %v", s, !want)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("INSTANCE \"VI_1\" MASTER 100\n"), 3)
	f.Add([]byte("GROUP \"\n\" \" BACKUP 0\n\n"), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var whole, pieces Events
		want, wantErrs := whole.Add(b)
		n := max(0, min(cut, len(b)))
		got, gotErrs := pieces.Add(b[:n])
		more, moreErrs := pieces.Add(b[n:])
		if diff := cmp.Diff(want, append(got, more...)); diff != "" {
			t.Fatalf("cut at %d: %s", n, diff)
		}
		if len(wantErrs) != len(gotErrs)+len(moreErrs) {
			t.Fatalf("cut at %d: %d errors, want %d", n, len(gotErrs)+len(moreErrs), len(wantErrs))
		}
		for _, e := range want {
			if e.Name == "" || e.Priority < 0 || e.Priority > 255 {
				t.Fatalf("invalid event: %+v", e)
			}
		}
	})
}
