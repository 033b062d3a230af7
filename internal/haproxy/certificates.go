package haproxy

import (
	"context"
	"fmt"
	"strings"
)

// WorkerCertificate returns the serial number, in hexadecimal capitals without leading zeros, of the certificate that a worker
// has loaded from a file. It is empty if the worker has not loaded that file. The socket must be the master's.
func (s Socket) WorkerCertificate(ctx context.Context, pid int, path string) (string, error) {
	if strings.ContainsAny(path, " \\\"'") { // haproxy would take it for several words
		return "", nil
	}
	answer, err := s.Ask(ctx, fmt.Sprintf("@!%d show ssl cert %s", pid, path))
	if err != nil {
		return "", err
	}
	return parseSerial(answer), nil
}

// parseSerial returns the serial number in the answer to `show ssl cert FILE`, or "".
func parseSerial(answer string) string {
	for line := range strings.Lines(answer) {
		if serial, ok := strings.CutPrefix(strings.TrimSpace(line), "Serial: "); ok {
			return strings.TrimLeft(strings.ToUpper(serial), "0")
		}
	}
	return ""
}
