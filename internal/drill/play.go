package drill

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/selfsigned"
	"github.com/hapair/hapair/internal/spec"
)

// A simulated server accepts everything that haproxy sends to it: the PROXY protocol, TLS, HTTP, and the checks of other
// protocols. Its clients use HTTP, even behind services of mode tcp.

// dialogue describes how a server answers a check that is not HTTP.
type dialogue struct {
	banner []byte // sent before the client sends anything
	begins []byte // the first bytes that the client sends, unless the server sends first
	mysql  bool   // the client may send its answer before the server's banner, as haproxy does
	steps  []exchange
}

// exchange is the text for which the server waits, and its answer.
type exchange struct {
	until  string // the last bytes of the text; empty means any text
	answer []byte
}

// Answers of servers whose protocol haproxy checks: the minimum that its checks accept (check.c, tcpcheck.c).
var (
	// A handshake of version 10, and an OK packet.
	mysqlBanner = packet(0, "\x0a8.0.0\x00\x01\x00\x00\x00authdata\x00\xff\xf7\x21\x02\x00\x08\x00\x15"+strings.Repeat("\x00", 10)+"authdatapart\x00")
	mysqlOK     = packet(2, "\x00\x00\x00\x02\x00\x00\x00")
	// AuthenticationOk, and a bind response with success.
	pgsqlOK = []byte("R\x00\x00\x00\x08\x00\x00\x00\x00")
	ldapOK  = []byte("0\x0c\x02\x01\x01a\x07\x0a\x01\x00\x04\x00\x04\x00")
)

// packet returns a packet of MySQL's protocol.
func packet(number byte, payload string) []byte {
	return append([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, number}, payload...)
}

// newDialogue returns the dialogue for the checks of a pool, or nil if they are HTTP, TLS or connections. ok is false if a
// simulated server cannot answer them.
func newDialogue(k *spec.Check) (d *dialogue, ok bool) {
	if k == nil || k.Off || k.HTTP != "" {
		return nil, true
	}
	switch k.Protocol {
	case "mysql":
		return &dialogue{mysql: true, banner: mysqlBanner, steps: []exchange{{"", mysqlOK}}}, true
	case "pgsql":
		return &dialogue{begins: []byte{0}, steps: []exchange{{"", pgsqlOK}}}, true
	case "ldap":
		return &dialogue{begins: []byte("0"), steps: []exchange{{"", ldapOK}}}, true
	case "redis":
		return &dialogue{begins: []byte("*"), steps: []exchange{{"PING\r\n", []byte("+PONG\r\n")}}}, true
	case "smtp":
		return &dialogue{banner: []byte("220 drill ESMTP\r\n"), steps: []exchange{{"\r\n", []byte("250 drill\r\n")}, {"\r\n", []byte("221 bye\r\n")}}}, true
	}
	if len(k.TCP) > 0 {
		return scripted(k.TCP)
	}
	return nil, true
}

// scripted returns the dialogue for a check with texts to send and to expect.
func scripted(steps []spec.TCPStep) (*dialogue, bool) {
	d := &dialogue{}
	for i, s := range steps {
		sent, expected := s.SentBytes(), s.ExpectedBytes()
		switch {
		case sent != nil:
			d.steps = append(d.steps, exchange{until: string(sent)})
			if i == 0 {
				d.begins = sent[:1]
			}
		case expected == nil:
			return nil, false // a regular expression
		case len(d.steps) == 0:
			d.banner = append(d.banner, append(expected, "\r\n"...)...)
		default:
			last := &d.steps[len(d.steps)-1]
			last.answer = append(last.answer, append(expected, "\r\n"...)...)
		}
	}
	return d, true
}

// hold carries out the dialogue with a client.
func (d *dialogue) hold(r *bufio.Reader, w io.Writer) {
	for _, step := range d.steps {
		var got []byte
		for len(got) == 0 || !bytes.HasSuffix(got, []byte(step.until)) {
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			got = append(got, b)
		}
		if step.until == "" { // a packet, whose end is not needed
			_, _ = r.Discard(r.Buffered())
		}
		if _, err := w.Write(step.answer); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, r) // closing with anything unread would reset the connection, and the answer with it
}

// playing is a listener whose connections speak HTTP. It handles other protocols, and everything that comes before HTTP.
type playing struct {
	net.Listener
	talk *dialogue
	tls  *tls.Config
	http chan net.Conn
	end  chan struct{}
	once sync.Once
}

// play wraps a listener of a server. talk answers the server's checks, and may be nil.
func play(l net.Listener, talk *dialogue) net.Listener {
	p := &playing{Listener: l, talk: talk, http: make(chan net.Conn), end: make(chan struct{}), tls: selfSigned()}
	go p.accept()
	return p
}

func (p *playing) accept() {
	defer p.once.Do(func() { close(p.end) })
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return
		}
		go p.open(conn)
	}
}

// Accept returns a connection that speaks HTTP.
func (p *playing) Accept() (net.Conn, error) {
	select {
	case conn := <-p.http:
		return conn, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}

// quiet is how long a server waits for the client before it sends its banner, because an HTTP client sends first.
const quiet = 50 * time.Millisecond

// open determines the protocol of a client.
func (p *playing) open(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	for {
		if p.talk != nil && p.talk.banner != nil {
			_ = conn.SetReadDeadline(time.Now().Add(quiet))
		}
		first, err := r.Peek(1)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		switch {
		case err != nil && p.talk != nil && p.talk.banner != nil && isTimeout(err):
			_, _ = conn.Write(p.talk.banner)
			p.talk.hold(r, conn)
		case err != nil:
		case proxied(r):
			continue
		case p.talk != nil && p.talk.mysql && answersMySQL(r):
			_, _ = conn.Write(p.talk.banner)
			p.talk.hold(r, conn)
		case p.talk != nil && p.talk.begins != nil && bytes.HasPrefix(p.talk.begins, first):
			p.talk.hold(r, conn)
		case first[0] == 0x16: // a TLS handshake
			_ = conn.SetDeadline(time.Time{})
			p.hand(tls.Server(&buffered{conn, r}, p.tls))
			return
		default:
			_ = conn.SetDeadline(time.Time{})
			p.hand(&buffered{conn, r})
			return
		}
		_ = conn.Close()
		return
	}
}

// answersMySQL reports whether a client answers a handshake: a packet of less than 256 bytes with the number 1.
func answersMySQL(r *bufio.Reader) bool {
	head, err := r.Peek(4)
	return err == nil && head[1] == 0 && head[2] == 0 && head[3] == 1
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func (p *playing) hand(conn net.Conn) {
	select {
	case p.http <- conn:
	case <-p.end:
		_ = conn.Close()
	}
}

// proxySignature is the beginning of a header of the PROXY protocol, version 2 (proxy-protocol.txt, 2.2).
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxied reads a header of the PROXY protocol, and reports whether there was one.
func proxied(r *bufio.Reader) bool {
	switch first, _ := r.Peek(1); string(first) {
	case "P":
		if head, err := r.Peek(2); err != nil || string(head) != "PR" {
			return false
		}
		if head, err := r.Peek(6); err != nil || string(head) != "PROXY " {
			return false
		}
		_, err := r.ReadString('\n')
		return err == nil
	case "\r":
		head, err := r.Peek(16)
		if err != nil || !strings.HasPrefix(string(head), proxySignature) {
			return false
		}
		_, err = r.Discard(16 + int(head[14])<<8 + int(head[15]))
		return err == nil
	}
	return false
}

// buffered is a connection from which some bytes were already read.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// selfSigned returns a TLS configuration with a self-signed certificate, or nil if it cannot be made.
var selfSigned = sync.OnceValue(func() *tls.Config {
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour)})
	if err != nil {
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.DER}, PrivateKey: c.Key}}, NextProtos: []string{"http/1.1"}}
})
