package image

import "testing"

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{"": 0, "1": 1 << 20, "2048K": 2 << 20, "2049k": 3 << 20, "5M": 5 << 20, "4G": 4 << 30, "1t": 1 << 40, "1024T": 1 << 50} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"4Q", "G", "-1G", "0", "1.5G", "4GG", "1025T", "9223372036854775807G"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}
