package target

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

func TestSplit(t *testing.T) {
	file := keepalived.Read([]byte(oneInstance))
	mine := []vip.Held{{Interface: "eth4", Address: netip.MustParseAddr("192.0.2.1")}}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 2}
	for name, tt := range map[string]struct {
		held    []vip.Held
		answers []bool // the answer to each query; the last one is repeated
		fails   bool
		known   bool
		want    string
	}{
		"another machine answers, and goes on":            {held: mine, answers: []bool{true}, want: "02:00:00:00:00:02) answers for 192.0.2.1"},
		"it answers later":                                {held: mine, answers: []bool{false, false, true}, want: "answers for 192.0.2.1"},
		"it answers once, and has given the address away": {held: mine, answers: []bool{true, false}},
		"it answered before the change":                   {held: mine, answers: []bool{true}, known: true},
		"this node holds nothing":                         {answers: []bool{true}},
		"the link cannot be asked":                        {held: mine, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			s := split{
				addresses: func() ([]vip.Held, error) { return tt.held, nil },
				ask: func(context.Context, string, netip.Addr) ([]net.HardwareAddr, error) {
					if tt.fails {
						return nil, errors.New("it is down")
					}
					answer := tt.answers[min(asked, len(tt.answers)-1)]
					asked++
					if answer {
						return []net.HardwareAddr{mac}, nil
					}
					return nil, nil
				},
			}
			known := map[vip.Held]bool{}
			if tt.known {
				if known = s.before(t.Context(), file); len(known) != 1 {
					t.Fatalf("servers known before the change are %v", known)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
			defer cancel()
			err := s.watch(ctx, file, known)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the proof returned %v, want %q", err, tt.want)
			}
		})
	}
}

// TestWindow checks that the time for servers to come up is long enough for a backup server, which haproxy may check at the
// longer of two intervals.
func TestWindow(t *testing.T) {
	fast := keepalived.Read([]byte("vrrp_instance a {\nadvert_int 0.2\n}\n"))
	slow := keepalived.Read([]byte("vrrp_instance a {\nadvert_int 2\n}\n"))
	slowest := keepalived.Read([]byte("vrrp_instance a {\nadvert_int 40\n}\n"))
	for _, tt := range []struct {
		files []keepalived.File
		want  time.Duration
	}{
		{[]keepalived.File{fast, fast}, 800*time.Millisecond + splitMargin},
		{[]keepalived.File{fast, slow}, 8*time.Second + splitMargin},
		{[]keepalived.File{slow, fast}, 8*time.Second + splitMargin},
		{[]keepalived.File{slowest, fast}, splitMost},
		{[]keepalived.File{{}, {}}, splitMargin},
	} {
		if got := window(tt.files...); got != tt.want {
			t.Errorf("window is %v, want %v", got, tt.want)
		}
	}
	if splitMost+proofTime >= TakeTime {
		t.Errorf("the time limit of a change is %v, which is too short", TakeTime)
	}
}
