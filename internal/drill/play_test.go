package drill

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/spec"
)

// served starts a simulated server for a spec's check, and returns its address.
func served(t *testing.T, k *spec.Check) string {
	t.Helper()
	talk, ok := newDialogue(k)
	if !ok {
		t.Fatal("the check cannot be answered")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })}
	go func() { _ = server.Serve(play(l, talk)) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// dialogueWith sends texts, waits for an answer where one is empty, and returns all answers: least bytes at the least.
func dialogueWith(t *testing.T, address string, least int, sent ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	var all strings.Builder
	r := bufio.NewReader(conn)
	answer := func() {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", all.String(), err)
		}
		all.WriteByte(b)
		rest, _ := r.Peek(r.Buffered())
		all.Write(rest)
		_, _ = r.Discard(len(rest))
	}
	for _, text := range sent {
		if text == "" {
			answer()
		} else if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	for all.Len() < least {
		answer()
	}
	return all.String()
}

func TestSimulatedServersAnswerTheirChecks(t *testing.T) {
	for name, c := range map[string]struct {
		check *spec.Check
		sent  []string
		want  string
	}{
		"redis":         {&spec.Check{Protocol: "redis"}, []string{"*1\r\n$4\r\nPING\r\n", ""}, "+PONG\r\n"},
		"smtp":          {&spec.Check{Protocol: "smtp"}, []string{"", "HELO localhost\r\n", "", "QUIT\r\n", ""}, "220 drill ESMTP\r\n250 drill\r\n221 bye\r\n"},
		"pgsql":         {&spec.Check{Protocol: "pgsql"}, []string{"\x00\x00\x00\x08\x00\x03\x00\x00", ""}, string(pgsqlOK)},
		"ldap":          {&spec.Check{Protocol: "ldap"}, []string{"0\x0c\x02\x01\x01\x60\x07", ""}, string(ldapOK)},
		"mysql":         {&spec.Check{Protocol: "mysql"}, []string{"", "\x01\x00\x00\x01\x00", ""}, string(mysqlBanner) + string(mysqlOK)},
		"mysql at once": {&spec.Check{Protocol: "mysql"}, []string{")\x00\x00\x01\x00"}, string(mysqlBanner) + string(mysqlOK)},
		"banner":        {&spec.Check{TCP: []spec.TCPStep{{Expect: "SSH-2.0"}}}, []string{""}, "SSH-2.0\r\n"},
		"texts": {&spec.Check{TCP: []spec.TCPStep{{Send: `PING\r\n`}, {Expect: "+PONG"}, {SendBinary: "51550d0a"}, {ExpectBinary: "2b4f4b"}}},
			[]string{"PING\r\n", "", "QU\r\n", ""}, "+PONG\r\n+OK\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			address := served(t, c.check)
			if got := dialogueWith(t, address, len(c.want), c.sent...); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			// A client of the service uses HTTP, whatever the check is.
			for _, before := range []string{"", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", proxySignature + "\x20\x00\x00\x02ab"} {
				got := dialogueWith(t, address, 1, before+"GET / HTTP/1.0\r\n\r\n", "")
				if !strings.HasPrefix(got, "HTTP/1.0 200 OK") {
					t.Errorf("after %q: %q", before, got)
				}
			}
		})
	}
}

func TestSimulatedServersSpeakTLS(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Get("https://" + served(t, nil) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "well" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestRegularExpressionsCannotBeSimulated(t *testing.T) {
	if _, ok := newDialogue(&spec.Check{TCP: []spec.TCPStep{{Send: "x"}, {ExpectRegex: "y"}}}); ok {
		t.Error("a check with a regular expression is simulated")
	}
}
