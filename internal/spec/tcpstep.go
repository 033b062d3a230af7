package spec

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// SentBytes returns the data that the step sends; nil if it sends nothing.
func (s *TCPStep) SentBytes() []byte { return stepBytes(s.Send, s.SendBinary) }

// ExpectedBytes returns the data that the step expects; nil if it expects nothing, or a match of a regular expression.
func (s *TCPStep) ExpectedBytes() []byte { return stepBytes(s.Expect, s.ExpectBinary) }

func stepBytes(text, binary string) []byte {
	if text != "" {
		return []byte(unescape(text))
	}
	b, _ := hex.DecodeString(binary) // validated
	if len(b) == 0 {
		return nil
	}
	return b
}

// unescape replaces \r, \n, \t, \\ and \xHH by bytes, as haproxy does, because people write them in YAML without double quotes,
// too.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch c := s[i+1]; c {
		case 'r', 'n', 't', '\\':
			b.WriteByte(map[byte]byte{'r': '\r', 'n': '\n', 't': '\t', '\\': '\\'}[c])
			i++
		case 'x':
			if i+4 <= len(s) {
				if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil && n != 0 {
					b.WriteByte(byte(n))
					i += 3
					continue
				}
			}
			b.WriteByte('\\')
		default:
			b.WriteByte('\\')
		}
	}
	return b.String()
}
