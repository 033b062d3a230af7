// Program busy opens many TCP connections through a load balancer, and is the server behind it. It prints what became of the
// connections as JSON.
//
//	busy serve ADDRESS                      answers each byte with the same byte
//	busy open COUNT RATE ADDRESS SOURCE...  opens connections from the sources in turn, RATE a second or all at once (0). A
//	                                        connection counts if a byte comes back. With a rate, it is closed then; otherwise
//	                                        all are kept until the standard input ends.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// patience is how long a connection may take until its byte is back. Clients that wait longer give up.
const patience = 10 * time.Second

// Report is what became of the connections.
type Report struct {
	Good   int     `json:"good"`
	Failed int     `json:"failed"`
	LastMS float64 `json:"last_ms"` // from the first attempt until the last good connection had its byte
	Why    string  `json:"why"`     // the first failure
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "busy:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) > 4 && args[0] == "open":
		count, err := strconv.Atoi(args[1])
		rate, err2 := strconv.Atoi(args[2])
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		c := clients{address: args[3], sources: args[4:], keep: rate == 0}
		if err := json.NewEncoder(os.Stdout).Encode(c.open(count, rate)); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	}
	return errors.New("cannot read the arguments: see the comment in main.go")
}

func serve(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

// clients opens connections to an address.
type clients struct {
	address string
	sources []string
	keep    bool

	mu     sync.Mutex
	report Report
	kept   []net.Conn
}

func (c *clients) open(count, rate int) Report {
	began := time.Now()
	var all sync.WaitGroup
	for i := range count {
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		all.Go(func() {
			conn, err := c.ask(c.sources[i%len(c.sources)])
			c.mu.Lock()
			defer c.mu.Unlock()
			switch {
			case err != nil:
				c.report.Failed++
				if c.report.Why == "" {
					c.report.Why = err.Error()
				}
				return
			case c.keep:
				c.kept = append(c.kept, conn)
			default:
				_ = conn.Close()
			}
			c.report.Good++
			c.report.LastMS = float64(time.Since(began).Milliseconds())
		})
	}
	all.Wait()
	return c.report
}

// ask connects, and waits until a byte is back from the server.
func (c *clients) ask(source string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := d.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	err = conn.SetDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = conn.Write([]byte{'.'})
	}
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
