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
		told     string
		want     time.Duration
	}{
		{"", false, "", atRest},
		{"10000000", false, "", 5 * time.Second},
		{"30000000", false, "", atRest},
		{"30000000", true, "", rescan},
		{"30000000", false, "haproxy does not run", rescan},
		{"1000000", false, "haproxy does not run", 500 * time.Millisecond}, // never too late for the watchdog
	} {
		t.Setenv("WATCHDOG_USEC", tt.watchdog)
		t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
		d := &Daemon{told: tt.told}
		if got := d.pace(tt.busy); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
