package schema

import (
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// required lists the keys that an entry of a type must have.
func required(t reflect.Type) []string {
	return map[reflect.Type][]string{
		reflect.TypeFor[spec.Spec]():        {"apiVersion", "cluster", "nodes", "vips"},
		reflect.TypeFor[spec.Node]():        {"name", "address", "interface"},
		reflect.TypeFor[spec.VIP]():         {"name", "address"},
		reflect.TypeFor[spec.VIPRoute]():    {"to"},
		reflect.TypeFor[spec.TrackScript](): {"name", "command"},
		reflect.TypeFor[spec.OnChange]():    {"command"},
		reflect.TypeFor[spec.Interface]():   {"name"},
		reflect.TypeFor[spec.Service]():     {"name", "vip"},
		reflect.TypeFor[spec.Port]():        {"port"},
		reflect.TypeFor[spec.Backend]():     {"name"},
		reflect.TypeFor[spec.Route]():       {"backend"},
		reflect.TypeFor[spec.ErrorFile]():   {"status", "path"},
		reflect.TypeFor[spec.ServerTLS]():   {"verify"},
		reflect.TypeFor[spec.Server]():      {"name", "address"},
		reflect.TypeFor[spec.File]():        {"path"},
		reflect.TypeFor[spec.User]():        {"name", "ssh_authorized_keys"},
	}[t]
}

// rules are the constraints on fields besides their types.
func rules() map[string]func(*jsonschema.Schema) {
	port := between(1, 65535)
	return map[string]func(*jsonschema.Schema){
		"Spec.APIVersion":        words(spec.APIVersion),
		"Spec.Nodes":             atLeast(2),
		"Spec.VIPs":              atLeast(1),
		"Image.Release":          words(release.Names()...),
		"VIP.VirtualRouterID":    between(1, 255),
		"VIP.Addresses":          atMost(spec.MaxVIPAddresses),
		"VIPRoute.Table":         between(1, 1<<32-1),
		"VIPRoute.Metric":        between(1, 1<<32-1),
		"TrackScript.Rise":       between(1, 1000),
		"TrackScript.Fall":       between(1, 1000),
		"TrackScript.Weight":     between(-253, 253),
		"Interface.MAC":          pattern(`^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$`),
		"Interface.Bond":         atLeast(1),
		"Interface.Mode":         words(spec.BondModes()...),
		"Interface.VLAN":         between(1, 4094),
		"VRRP.Transport":         words(string(spec.Unicast), string(spec.Multicast)),
		"Spec.Stats":             login,
		"Stats.Port":             port,
		"Log.Facility":           words(spec.Facilities()...),
		"Service.Port":           port,
		"Service.Mode":           words(string(spec.HTTP), string(spec.TCP)),
		"Service.Ports":          atLeast(1),
		"Service.MaxConn":        positive,
		"Service.Allow":          atLeast(1),
		"Backend.Mode":           words(string(spec.HTTP), string(spec.TCP)),
		"Check.Version":          words("1.0", "1.1"),
		"Check.Protocol":         words(spec.CheckProtocols()...),
		"Check.Port":             port,
		"Check.Rise":             positive,
		"Check.Fall":             positive,
		"CheckTimes.Rise":        positive,
		"CheckTimes.Fall":        positive,
		"TLS.ClientVerify":       words("required", "optional"),
		"Server.Port":            port,
		"Server.Weight":          between(0, 256),
		"Server.MaxConn":         positive,
		"Server.SendProxy":       words("v1", "v2"),
		"HAProxy.MaxConn":        positive,
		"User.SSHAuthorizedKeys": atLeast(1),
	}
}

// login requires a user with a password, or allowed networks.
func login(s *jsonschema.Schema) {
	s.DependentRequired = map[string][]string{"user": {"password"}, "password": {"user"}}
	s.AllOf = []*jsonschema.Schema{{AnyOf: []*jsonschema.Schema{{Required: []string{"user"}}, {Required: []string{"allow"}}}}}
}

func words(list ...string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) {
		for _, word := range list {
			s.Enum = append(s.Enum, word)
		}
	}
}

func positive(s *jsonschema.Schema) { s.Minimum = jsonschema.Ptr(1.0) }

func pattern(p string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Pattern = p }
}

func between(least, most float64) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Minimum, s.Maximum = &least, &most }
}

func atMost(n int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.MaxItems = &n }
}

func atLeast(n int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.MinItems = &n }
}
