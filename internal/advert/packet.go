// Package advert sends and reads VRRP advertisements (RFC 9568, and RFC 3768 for version 2) beside keepalived: the one of
// priority 0, by which a master resigns, for an instance whose keepalived cannot send it, or must not yet.
package advert

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
)

// Protocol is the IP protocol number of VRRP.
const Protocol = 112

const (
	advertisement = 1 // the only type of packet
	headerSize    = 8
	passwordSize  = 8 // of version 2
	checksumAt    = 6 // offset
)

// packet is an advertisement of an instance with a priority, without the IP header. Its checksum is left out over IPv6: the
// kernel fills it in, as it does for keepalived.
func packet(in keepalived.Instance, priority uint8, from, to netip.Addr) ([]byte, error) {
	var addresses []byte
	count := 0
	for _, v := range in.VIPs {
		if v.Excluded {
			continue
		}
		if v.Address.Addr().Is6() != in.IPv6 {
			return nil, fmt.Errorf("cannot advertise %s: %v is not of its address family", in.Name, v.Address)
		}
		addresses = append(addresses, v.Address.Addr().AsSlice()...)
		count++
	}
	if count == 0 || count > 255 {
		return nil, fmt.Errorf("cannot advertise %s: it has %d addresses, must have 1 to 255", in.Name, count)
	}
	b := []byte{byte(in.Version<<4 | advertisement), byte(in.VirtualRouterID), priority, byte(count), 0, 0, 0, 0}
	switch in.Version {
	case 3:
		centiseconds := min(in.AdvertInt/(10*time.Millisecond), 1<<12-1)
		binary.BigEndian.PutUint16(b[4:], uint16(centiseconds))
		b = append(b, addresses...)
		if !in.IPv6 {
			binary.BigEndian.PutUint16(b[checksumAt:], checksum(b, pseudo(from, to, len(b))))
		}
	case 2:
		b[5] = byte(min(in.AdvertInt/time.Second, 255))
		password := make([]byte, passwordSize)
		switch in.AuthType {
		case "":
		case "PASS":
			b[4] = 1
			copy(password, in.AuthPass)
		default:
			return nil, fmt.Errorf("cannot advertise %s: its authentication is neither of type PASS nor none", in.Name)
		}
		// keepalived sends the eight bytes of the password also without authentication (RFC 3768, 5.3.10).
		b = append(append(b, addresses...), password...)
		binary.BigEndian.PutUint16(b[checksumAt:], checksum(b, 0))
	default:
		return nil, fmt.Errorf("cannot advertise %s: VRRP has no version %d", in.Name, in.Version)
	}
	return b, nil
}

// pseudo is the sum of the pseudo-header that version 3 takes into its checksum (RFC 9568, 5.2.8).
func pseudo(from, to netip.Addr, length int) uint32 {
	b := append(from.AsSlice(), to.AsSlice()...)
	b = append(b, 0, Protocol)
	return sum(binary.BigEndian.AppendUint16(b, uint16(length)), 0)
}

func sum(b []byte, s uint32) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	return s
}

// checksum is that of the Internet protocols (RFC 1071), begun with the sum of a pseudo-header.
func checksum(b []byte, begun uint32) uint16 {
	s := sum(b, begun)
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// parse reads an advertisement without its IP header. It verifies no checksum: what it reports decides nothing that a
// neighbour on the link could not decide by advertising.
func parse(b []byte) (virtualRouterID int, priority uint8, ok bool) {
	if len(b) < headerSize || b[0]&0xf != advertisement {
		return 0, 0, false
	}
	return int(b[1]), b[2], true
}
