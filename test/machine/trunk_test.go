package machine

import (
	"bytes"
	"testing"
)

func TestTags(t *testing.T) {
	plain := []byte("destinsourceXXpayload")
	for _, vlan := range []uint16{0, 1, 100, 4094} {
		frame := tagged(plain, vlan)
		got, back := untagged(frame)
		if got != vlan || !bytes.Equal(back, plain) {
			t.Errorf("VLAN %d: got VLAN %d and %q of %q", vlan, got, back, frame)
		}
		if want := len(plain) + min(int(vlan), 1)*tagSize; len(frame) != want {
			t.Errorf("VLAN %d: %d bytes, want %d", vlan, len(frame), want)
		}
	}
	for _, short := range []string{"", "abc", "twelve bytes"} {
		if got, back := untagged([]byte(short)); got != 0 || string(back) != short {
			t.Errorf("%q: got VLAN %d and %q", short, got, back)
		}
		if back := tagged([]byte(short)[:min(len(short), addresses-1)], 7); len(back) >= addresses+tagSize {
			t.Errorf("%q: got %q", short, back)
		}
	}
}
