// Package advert sends and receives VRRP advertisements (RFC 9568, and RFC 3768 for version 2) in addition to keepalived. It
// sends the advertisement of priority 0, with which a master resigns, for an instance whose keepalived cannot or must not
// send it.
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
	advertisement = 1 // the only packet type
	headerSize    = 8
	passwordSize  = 8 // in bytes, for version 2
	checksumAt    = 6 // offset of the checksum
)

// packet returns an advertisement of an instance with a priority, without the IP header. For IPv6 the checksum is zero,
// because the kernel fills it in, as it does for keepalived.
func packet(in keepalived.Instance, priority uint8, from, to netip.Addr) ([]byte, error) {
	var addresses []byte
	count := 0
	for _, v := range in.VIPs {
		if v.Excluded {
			continue
		}
		if v.Address.Addr().Is6() != in.IPv6 {
			return nil, fmt.Errorf("cannot advertise %s: %v has a different address family", in.Name, v.Address)
		}
		addresses = append(addresses, v.Address.Addr().AsSlice()...)
		count++
	}
	if count == 0 || count > 255 {
		return nil, fmt.Errorf("cannot advertise %s: it has %d addresses: must have 1 to 255", in.Name, count)
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
			return nil, fmt.Errorf("cannot advertise %s: its authentication type must be PASS or none", in.Name)
		}
		// keepalived also sends the eight bytes of the password if there is no authentication (RFC 3768, 5.3.10).
		b = append(append(b, addresses...), password...)
		binary.BigEndian.PutUint16(b[checksumAt:], checksum(b, 0))
	default:
		return nil, fmt.Errorf("cannot advertise %s: VRRP version %d does not exist", in.Name, in.Version)
	}
	return b, nil
}

// pseudo returns the sum of the pseudo-header that version 3 includes in its checksum (RFC 9568, 5.2.8).
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

// checksum returns the Internet checksum (RFC 1071) of b. begun is the sum of a pseudo-header.
func checksum(b []byte, begun uint32) uint16 {
	s := sum(b, begun)
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// parse parses an advertisement without its IP header. It does not verify the checksum, because a neighbour on the link
// could send any advertisement with a correct checksum.
func parse(b []byte) (virtualRouterID int, priority uint8, ok bool) {
	if len(b) < headerSize || b[0]&0xf != advertisement {
		return 0, 0, false
	}
	return int(b[1]), b[2], true
}
