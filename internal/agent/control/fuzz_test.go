package control

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// FuzzAsk answers a client with any bytes. Ask must return in time, with an error or a complete result.
func FuzzAsk(f *testing.F) {
	for _, answer := range []string{
		`{"result": {"cluster": "c", "vips": [{"name": "v", "held": true}]}}`, `{"error": "no"}`, `{}`, `{"result": null}`, `{"result": []}`, `[]`, `{"result": {"vips": [{`, "\x00", "",
	} {
		f.Add([]byte(answer))
	}
	path := filepath.Join(f.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { listener.Close() })
	answers := make(chan []byte)
	go func() {
		for answer := range answers {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			conn.Write(answer)
			conn.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	f.Fuzz(func(t *testing.T, answer []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		answers <- answer
		var s Status
		err := Ask(ctx, path, Request{Command: "status"}, &s)
		if ctx.Err() != nil {
			t.Errorf("Ask did not return within 5 s: %v", err)
		}
	})
}
