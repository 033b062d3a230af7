package cloudinit

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/nearest"
)

// Cloud is a cloud that gives user-data to a machine, with its limits.
type Cloud struct {
	Name string
	// limit is the maximum size of user-data in bytes; 0 means no limit.
	limit int
	// base64 means that the limit applies to the user-data after base64.
	base64 bool
	// gzip means that user-data may be compressed, because cloud-init gets exactly the bytes that were given to the cloud.
	gzip bool
	meta metaKind
	// vips describes why a VIP does not work with keepalived alone in this cloud; "" if it does.
	vips, vipsHint string
	// unicast means that the cloud's networks do not carry multicast.
	unicast bool
}

// metaKind is what a cloud accepts in addition to user-data.
type metaKind int

const (
	metaNone        metaKind = iota // the cloud generates its own
	metaAndNetwork                  // meta-data and network-config, as two files
	metaWithNetwork                 // meta-data with the network inside
)

// NoCloud is a volume or a folder of the machine itself. It has no size limit.
const NoCloud = "nocloud"

// Clouds returns all supported clouds. Sources of the limits:
//
// ec2: 16 KiB before base64; EC2 user guide, "Run commands when you launch an EC2 instance with user data input"
//
// openstack: 65535 bytes after base64; nova, "Provide user data to instances"
//
// vmware: 64 KiB of guestinfo.userdata, with guestinfo.userdata.encoding gzip+base64 or base64
//
// azure: 64 KB, 65535 bytes before base64; "Custom data and cloud-init on Azure Virtual Machines"
//
// gce: 256 KB for a metadata value, which must be text
//
// hetzner: 32 KiB, which must be text
func Clouds() []Cloud {
	const reassign = "run a command on the node that becomes the holder, which "
	return []Cloud{
		{Name: NoCloud, meta: metaAndNetwork},
		{Name: "ec2", limit: 16 << 10, gzip: true, unicast: true,
			vips: "a VIP does not move by itself: a VPC delivers packets to the interface to which an address is assigned, and ignores gratuitous ARP",
			vipsHint: reassign + "assigns the VIP to it as a secondary private address (aws ec2 assign-private-ip-addresses --allow-reassignment) " +
				"or changes a route (with the source/destination check off); allow IP protocol 112 between the nodes in the security group"},
		{Name: "openstack", limit: 65535, base64: true, gzip: true,
			vips:     "Neutron drops packets that a node sends from a VIP, unless the VIP is an allowed address of the node's port",
			vipsHint: "openstack port set --allowed-address ip-address=VIP PORT, for every node; allow IP protocol 112 between the nodes in the security group"},
		{Name: "vmware", limit: 64 << 10, base64: true, gzip: true, meta: metaWithNetwork},
		{Name: "azure", limit: 65535, gzip: true, unicast: true,
			vips:     "a VIP does not move by itself: a virtual network ignores gratuitous ARP. It supports only TCP, UDP, ICMP, ESP and AH. If VRRP does not reach the peers, every node takes every VIP",
			vipsHint: "put the nodes behind an Azure load balancer with floating IP, or " + reassign + "moves the IP configuration to its interface with Azure's API; test whether VRRP packets arrive"},
		{Name: "gce", limit: 256 << 10, unicast: true,
			vips: "a VIP does not move by itself: a VPC delivers packets according to its own tables, and ignores gratuitous ARP",
			vipsHint: reassign + "moves an alias IP range or a route to it (gcloud compute instances network-interfaces update --aliases); " +
				"allow IP protocol 112 between the nodes in the VPC's firewall, or use an internal load balancer"},
		{Name: "hetzner", limit: 32 << 10, unicast: true,
			vips:     "a VIP does not move by itself: the network delivers packets to the server to which an address is assigned, and ignores gratuitous ARP",
			vipsHint: reassign + "assigns the floating or alias IP to it with Hetzner's API"},
	}
}

// Problems returns warnings about why VIPs do not work in the cloud without further configuration.
func (c Cloud) Problems(multicast bool) diag.Problems {
	var problems diag.Problems
	if c.vips != "" {
		problems = append(problems, diag.Problem{Severity: diag.Warning, Path: "vips", Message: "on " + c.Name + " " + c.vips, Hint: c.vipsHint})
	}
	if c.unicast && multicast {
		problems = append(problems, diag.Problem{Severity: diag.Warning, Path: "vrrp.transport",
			Message: "networks of " + c.Name + " do not carry multicast: every node would take every VIP", Hint: "write transport: unicast"})
	}
	return problems
}

// CloudNames returns the names of all supported clouds.
func CloudNames() []string {
	var names []string
	for _, c := range Clouds() {
		names = append(names, c.Name)
	}
	return names
}

// GetCloud returns the cloud with the given name.
func GetCloud(name string) (Cloud, error) {
	for _, c := range Clouds() {
		if c.Name == name {
			return c, nil
		}
	}
	return Cloud{}, fmt.Errorf("cannot find cloud %q: %s", name, nearest.OneOf(name, CloudNames()))
}

// ErrTooLarge is the error that a *SizeError wraps.
var ErrTooLarge = errors.New("too large")

// SizeError reports that user-data exceeds the limit of its cloud.
type SizeError struct {
	Hostname, Cloud string
	Size, Limit     int // as the cloud measures them
	How             string
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("cannot give %s its user-data on %s: %d bytes%s are %d more than the limit of %d\n"+
		"hint: bake a golden image and use --image golden, transfer large files to the node in another way, or use a NoCloud seed (--cloud nocloud), which has no limit",
		e.Hostname, e.Cloud, e.Size, e.How, e.Size-e.Limit, e.Limit)
}

func (e *SizeError) Unwrap() error { return ErrTooLarge }

// size returns the size of user-data as the cloud measures it.
func (c Cloud) size(userData []byte) int {
	if c.base64 {
		return base64.StdEncoding.EncodedLen(len(userData))
	}
	return len(userData)
}

// fit makes user-data small enough for the cloud. It tries the plain document, then gzip, and for clouds that accept only
// text, a document whose files are compressed.
func (c Cloud) fit(hostname string, doc []byte, packed func() ([]byte, error)) (userData []byte, zipped bool, err error) {
	if c.limit == 0 || c.size(doc) <= c.limit {
		return doc, false, nil
	}
	how := " with every file compressed"
	if c.gzip {
		userData, zipped, how = compress(doc), true, " compressed"
	} else if userData, err = packed(); err != nil {
		return nil, false, err
	}
	if c.base64 {
		how += " and after base64"
	}
	if size := c.size(userData); size > c.limit {
		return nil, false, &SizeError{Hostname: hostname, Cloud: c.Name, Size: size, Limit: c.limit, How: how}
	}
	return userData, zipped, nil
}
