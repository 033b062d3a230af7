package spec

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/strictyaml"
)

// fillIn sets the defaults of omitted keys. It keeps all given values, even invalid ones, so that validation can report them.
func (s *Spec) fillIn(doc *strictyaml.Document) {
	set(doc, "image.release", &s.Image.Release, release.Default)
	set(doc, "vrrp.advert_int", &s.VRRP.AdvertInt, 250*time.Millisecond)
	set(doc, "vrrp.transport", &s.VRRP.Transport, Unicast)
	if s.Log.Target == "" && !doc.Has("log.address") {
		s.Log.Target = LocalLog
	}
	set(doc, "log.facility", &s.Log.Facility, "local0")
	if s.Stats != nil {
		set(doc, "stats.port", &s.Stats.Port, 1936)
	}
	for i := range s.Nodes {
		s.Nodes[i].Hostname = hostname(s.Nodes[i].Name)
		s.Nodes[i].Interface = s.Nodes[i].Device.Name
	}
	for i := range s.VIPs {
		s.VIPs[i].fillIn(doc, fmt.Sprintf("vips[%d]", i))
	}
	for i := range s.Services {
		s.Services[i].fillIn(doc, fmt.Sprintf("services[%d]", i))
	}
	s.fillInBackends(doc)
}

func (v *VIP) fillIn(doc *strictyaml.Document, path string) {
	v.Interface = v.Device.Name
	for i := range v.TrackScripts {
		script, p := &v.TrackScripts[i], fmt.Sprintf("%s.track_scripts[%d]", path, i)
		set(doc, p+".interval", &script.Interval, 2*time.Second)
		set(doc, p+".timeout", &script.Timeout, script.Interval)
		set(doc, p+".rise", &script.Rise, 2)
		set(doc, p+".fall", &script.Fall, 2)
	}
	if v.OnChange != nil {
		set(doc, path+".on_change.timeout", &v.OnChange.Timeout, 10*time.Second)
	}
}

func (svc *Service) fillIn(doc *strictyaml.Document, path string) {
	set(doc, path+".mode", &svc.Mode, TCP)
	set(doc, path+".balance", &svc.Balance, "roundrobin")
	set(doc, path+".forwarded", &svc.Forwarded, true)
	for i := range svc.Servers {
		set(doc, fmt.Sprintf("%s.servers[%d].port", path, i), &svc.Servers[i].Port, svc.onlyPort())
	}
}

// onlyPort returns the service's port; 0 if it has several.
func (svc *Service) onlyPort() int {
	if len(svc.Ports) == 1 && svc.Port == 0 && svc.Ports[0].Port.Low == svc.Ports[0].Port.High {
		return svc.Ports[0].Port.Low
	}
	return svc.Port
}

// fillInBackends sets the defaults of each backend. Its default mode is that of the first service that uses it.
func (s *Spec) fillInBackends(doc *strictyaml.Document) {
	used := map[string]Mode{}
	for _, svc := range s.Services {
		for _, name := range svc.backendNames() {
			if _, known := used[name]; !known {
				used[name] = svc.Mode
			}
		}
	}
	for i := range s.Backends {
		b, path := &s.Backends[i], fmt.Sprintf("backends[%d]", i)
		set(doc, path+".mode", &b.Mode, cmp.Or(used[b.Name], TCP))
		set(doc, path+".balance", &b.Balance, "roundrobin")
	}
}

// set sets a field to its default if its key was omitted.
func set[T any](doc *strictyaml.Document, path string, field *T, value T) {
	if !doc.Has(path) {
		*field = value
	}
}

// hostname returns a node's host name: hostname(5) allows only letters, digits and hyphens.
func hostname(name string) string {
	return strings.ReplaceAll(name, "_", "-")
}
