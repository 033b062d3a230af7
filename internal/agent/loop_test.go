package agent

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		watchdog string // µs
		busy     bool
		open     bool
		want     time.Duration
	}{
		{"", false, false, atRest},
		{"10000000", false, false, 5 * time.Second},
		{"30000000", false, false, atRest},
		{"30000000", true, false, rescan},
		{"30000000", false, true, rescan},
		{"1000000", false, true, 500 * time.Millisecond}, // always in time for the watchdog
	} {
		t.Setenv("WATCHDOG_USEC", tt.watchdog)
		t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
		d := &Daemon{reports: reporter{open: tt.open}}
		if got := d.pace(tt.busy); got != tt.want {
			t.Errorf("pace for %+v = %v", tt, got)
		}
	}
}
