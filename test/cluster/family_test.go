package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/spec"
)

// TestFamilySpecs checks that the resulting specs are valid, and contain only addresses of their family.
func TestFamilySpecs(t *testing.T) {
	example, _ := examples.Get("controllers")
	for name, data := range map[string][]byte{"pair": PairSpec(""), "controllers": example} {
		for f, want := range map[Family]string{
			IPv4: "[192.168.56.101/24] [192.168.1.32/24] [192.168.56.1 192.168.56.2]",
			Dual: "[192.168.56.101/24 fd00:56::101/64] [192.168.1.32/24 fd00:1::32/64] [192.168.56.1 fd00:56::2]",
			IPv6: "[fd00:56::101/64] [fd00:1::32/64] [fd00:56::1 fd00:56::2]",
		} {
			s, problems := spec.Parse(name+".yaml", f.Spec(data), spec.Sources{ReadFile: func(string) ([]byte, error) { return []byte("secret\n"), nil }})
			if problems.HasErrors() {
				t.Errorf("%s, %s: %v", name, f, problems)
				continue
			}
			servers := s.Services[0].Servers
			got := fmt.Sprintf("%v %v [%s %s]", prefixes(s.Nodes[0].Addresses), prefixes(s.VIPs[0].Addresses), short(servers[0]), short(servers[1]))
			if got != want {
				t.Errorf("%s, %s: %s, want %s", name, f, got, want)
			}
		}
	}
}

func prefixes(addresses []spec.Address) string {
	var all []string
	for _, a := range addresses {
		all = append(all, a.Prefix().String())
	}
	return "[" + strings.Join(all, " ") + "]"
}

// short returns a server's address without the part that differs between the two specs: the pair's servers are 201 and 202,
// the controllers 101 and 102.
func short(s spec.Server) string {
	return strings.NewReplacer("201", "1", "202", "2", "101", "1", "102", "2").Replace(fmt.Sprint(s.Address))
}
