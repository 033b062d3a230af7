package sysctl

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const file = "# a comment\n; another\n\n  net.ipv4.ip_forward = 1 \n-net/ipv6/conf/eth0.1/forwarding=0\nkernel.domainname =\n-net.ipv4.conf.all.rp_filter\n-net.ipv4.conf.*.rp_filter = 2"
	want := []Setting{
		{Key: "net.ipv4.ip_forward", Value: "1"},
		{Key: "net.ipv6.conf.eth0/1.forwarding", Value: "0", Optional: true},
		{Key: "kernel.domainname"},
		{Key: "net.ipv4.conf.all.rp_filter", Optional: true, Excluded: true},
		{Key: "net.ipv4.conf.*.rp_filter", Value: "2", Optional: true},
	}
	got, err := Parse(file)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Parse = %+v, %v; want %+v", got, err, want)
	}
	if !got[4].IsPattern() || got[0].IsPattern() {
		t.Error("only the last setting must be a pattern")
	}
	for i, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/eth0.1/forwarding"} {
		if p := got[i].Path("/proc/sys"); p != path {
			t.Errorf("%s has the path %s, want %s", got[i].Key, p, path)
		}
	}
}

func TestBadLines(t *testing.T) {
	got, err := Parse("net.ipv4.ip_forward = 1\nnonsense\n = 2\n")
	if err == nil || err.Error() != `line 2 is not KEY = VALUE: "nonsense"` || len(got) != 1 {
		t.Errorf("Parse of a bad line = %+v, %v", got, err)
	}
}

func TestValue(t *testing.T) {
	const file = "net.ipv4.ip_nonlocal_bind = 0\nnonsense\n-net/ipv4/ip_nonlocal_bind=1\n-net.ipv4.ip_nonlocal_bind\n"
	if got := Value(file, "net.ipv4.ip_nonlocal_bind"); got != "1" {
		t.Errorf("the value is %q, want 1", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-net/ipv4/ip_nonlocal_bind=1\n")
	f.Add("../../etc/passwd = x\n")
	f.Fuzz(func(t *testing.T, file string) {
		all, _ := Parse(file)
		for _, s := range all {
			if p := s.Path("/proc/sys"); p != "/proc/sys" && !strings.HasPrefix(p, "/proc/sys/") {
				t.Errorf("the key %q has the path %s, which is outside of /proc/sys", s.Key, p)
			}
		}
	})
}
