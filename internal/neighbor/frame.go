package neighbor

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Sizes and numbers from RFC 826, RFC 8200 and RFC 4861.
const (
	ethernetAddress = 6
	ethernetHeader  = 14
	arpPacket       = 28
	arpRequest      = 1
	arpReply        = 2
	ipv6Header      = 40
	solicitation    = 135
	advertisement   = 136
	hopLimit        = 255 // a packet with another value came through a router
	sourceOption    = 1
	targetOption    = 2
	ndPacket        = 24 // without options
	smallestFrame   = 60 // without the checksum, which the card adds
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ethernet returns an Ethernet header.
func ethernet(to, from net.HardwareAddr, protocol uint16) []byte {
	return binary.BigEndian.AppendUint16(append(slices.Clone(to), from...), protocol)
}

// arpQuestion returns an ARP probe (RFC 5227, 1.1). Its sender address is zero, so that receivers do not learn an address
// from it.
func arpQuestion(own net.HardwareAddr, addr netip.Addr) question {
	b := ethernet(broadcast, own, unix.ETH_P_ARP)
	b = append(b, 0, 1, 0x08, 0x00, ethernetAddress, 4, 0, arpRequest)
	b = append(b, own...)
	b = append(b, make([]byte, 4+ethernetAddress)...) // the sender address 0.0.0.0 and the target address
	b = append(b, addr.AsSlice()...)
	return question{
		frame: append(b, make([]byte, smallestFrame-len(b))...), protocol: unix.ETH_P_ARP, filter: filter(),
		answer: func(frame []byte) (net.HardwareAddr, bool) {
			who, sender, ok := parseARP(frame)
			return who, ok && sender == addr
		},
	}
}

// parseARP returns which machine claims to have which address: the sender of a reply, and also of a request.
func parseARP(frame []byte) (who net.HardwareAddr, sender netip.Addr, ok bool) {
	if len(frame) < ethernetHeader+arpPacket || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_ARP {
		return nil, netip.Addr{}, false
	}
	p := frame[ethernetHeader:]
	operation := binary.BigEndian.Uint16(p[6:])
	if string(p[:6]) != "\x00\x01\x08\x00\x06\x04" || operation != arpRequest && operation != arpReply {
		return nil, netip.Addr{}, false
	}
	return slices.Clone(p[8:14]), netip.AddrFrom4([4]byte(p[14:18])), unicast(p[8:14])
}

// unicast reports whether a hardware address can belong to a single machine.
func unicast(h []byte) bool { return h[0]&1 == 0 && string(h) != "\x00\x00\x00\x00\x00\x00" }

// ndQuestion returns a neighbour solicitation. If it comes from the interface's own link-local address, the answer goes only
// to this machine. If it comes from the unspecified address, the answer goes to all machines, which may then use the machine
// that answers instead of the holder that they know. So that is used only if there is no link-local address.
func ndQuestion(own net.HardwareAddr, from, addr netip.Addr) question {
	low := addr.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: low[13], 14: low[14], 15: low[15]} // RFC 4291, 2.7.1
	icmp := append([]byte{solicitation, 0, 0, 0, 0, 0, 0, 0}, low[:]...)
	source := [16]byte{}
	if from.IsValid() {
		source = from.As16()
		icmp = append(append(icmp, sourceOption, 1), own...)
	}
	binary.BigEndian.PutUint16(icmp[2:], checksum(source, group, icmp))
	b := ethernet(net.HardwareAddr{0x33, 0x33, 0xff, low[13], low[14], low[15]}, own, unix.ETH_P_IPV6)
	b = append(b, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, hopLimit)
	b = append(append(append(b, source[:]...), group[:]...), icmp...)
	return question{
		frame: b, protocol: unix.ETH_P_IPV6,
		multicast: net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1},
		filter:    filter(match{ethernetHeader + 6, unix.IPPROTO_ICMPV6}, match{ethernetHeader + ipv6Header, advertisement}),
		answer: func(frame []byte) (net.HardwareAddr, bool) {
			who, target, ok := parseND(frame)
			return who, ok && target == addr
		},
	}
}

// parseND returns which machine advertises which address (RFC 4861, 7.1.2).
func parseND(frame []byte) (who net.HardwareAddr, target netip.Addr, ok bool) {
	if len(frame) < ethernetHeader+ipv6Header+ndPacket || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IPV6 {
		return nil, netip.Addr{}, false
	}
	ip := frame[ethernetHeader:]
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != unix.IPPROTO_ICMPV6 || ip[7] != hopLimit || length < ndPacket || len(ip) < ipv6Header+length {
		return nil, netip.Addr{}, false
	}
	icmp := ip[ipv6Header : ipv6Header+length]
	if icmp[0] != advertisement || icmp[1] != 0 || checksum([16]byte(ip[8:24]), [16]byte(ip[24:40]), icmp) != 0 {
		return nil, netip.Addr{}, false
	}
	who = slices.Clone(frame[6:12]) // a unicast answer may omit the hardware address
	for options := icmp[ndPacket:]; len(options) >= 8; {
		size := int(options[1]) * 8
		if size == 0 || size > len(options) {
			return nil, netip.Addr{}, false
		}
		if options[0] == targetOption && size == 8 {
			who = slices.Clone(options[2:8])
		}
		options = options[size:]
	}
	return who, netip.AddrFrom16([16]byte(icmp[8:24])), unicast(who)
}

// checksum returns the checksum of ICMPv6 (RFC 8200, 8.1). It is 0 for a message with a correct checksum.
func checksum(from, to [16]byte, icmp []byte) uint16 {
	var sum uint32
	add := func(b []byte) {
		for i := 0; i < len(b); i += 2 {
			sum += uint32(b[i]) << 8
			if i+1 < len(b) {
				sum += uint32(b[i+1])
			}
		}
	}
	add(from[:])
	add(to[:])
	sum += uint32(len(icmp)) + unix.IPPROTO_ICMPV6
	add(icmp)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// match is the value of a byte at an offset of a frame.
type match struct {
	offset, value uint32
}

// filter returns a BPF program that accepts frames in which all the bytes match.
func filter(matches ...match) []unix.SockFilter {
	var program []unix.SockFilter
	for i, m := range matches {
		reject := uint8(2*(len(matches)-i) - 1)
		program = append(program,
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: m.offset},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: reject, K: m.value})
	}
	const whole = 1 << 16
	return append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: whole},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
}
