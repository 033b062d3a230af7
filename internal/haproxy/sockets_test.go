package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/wellknown"
)

func TestStatsSocketsAreReadAsHAProxyReadsThem(t *testing.T) {
	const conf = `# stats socket /run/comment.sock
global
    stats socket /run/a.sock mode 660 # user b
    stats socket "/run/b c.sock" 'mode' 666
    stats socket unix@/var/run/haproxy/../haproxy/d\ e.sock
    stats socket 127.0.0.1:9999 level admin
    stats socket $SOCK
    stats timeout 1s
.if defined(X)
    stats socket /run/conditional.sock
.endif
defaults
    stats socket /run/elsewhere.sock
global
	stats	socket	/run/tab.sock
`
	var got []string
	for _, s := range StatsSockets(conf) {
		got = append(got, fmt.Sprintf("%d:%s%q", s.Line, s.Path, s.Options))
	}
	want := `3:/run/a.sock["mode" "660"] 4:/run/b c.sock["mode" "666"] 5:/run/haproxy/d e.sock[] 15:/run/tab.sock[]`
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestCheckSocketError(t *testing.T) {
	for options, want := range map[string]string{
		"mode 660 user root group hapair-check level user": "",
		"level user mode 666":                              "",
		"mode 660 gid 123":                                 "",
		"mode 600 user hapair-check":                       "",
		"mode $MODE":                                       "",
		"":                                                 "cannot open",
		"mode 600 level admin":                             "cannot open",
		"mode 660 group haproxy":                           "cannot open",
		"mode 640 group hapair-check":                      "cannot open",
		"mode 660 gid 0":                                   "cannot open",
		"mode 666\n  stats socket /var" + wellknown.CheckSocket + " mode 666": "there are 2",
	} {
		err := CheckSocketError("global\n  stats socket "+wellknown.CheckSocket+" "+options+"\n", wellknown.CheckSocket)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", options, err, want)
		}
	}
	if err := CheckSocketError("global\n", wellknown.CheckSocket); err == nil {
		t.Error("CheckSocketError accepted a configuration without the check's socket")
	}
}

func FuzzWords(f *testing.F) {
	f.Add(`stats socket "/run/a b" mode\ 6'6'0 # x`)
	f.Add(`"\`)
	f.Fuzz(func(t *testing.T, line string) {
		total := 0
		for _, w := range words(line) {
			total += len(w)
		}
		if total > len(line) {
			t.Errorf("words of %q are longer than the text: %q", line, words(line))
		}
	})
}
