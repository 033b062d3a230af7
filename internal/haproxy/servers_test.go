package haproxy

import (
	"fmt"
	"strings"
	"testing"
)

// recorded has the beginnings of answers to `show stat -1 4 -1` by version. Columns differ between versions, and more of
// them follow.
var recorded = map[string]string{
	"2.4": "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,\n" +
		"web,w1,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,4,0,,1,2,1,,0,,2,0,,0,L4OK,,0,,\n" +
		"web,w2,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP 1/3,1,1,0,0,0,0,0,,1,2,2,,0,,2,0,,0,INI,,,,\n" +
		"n,x,0,0,0,0,,0,0,0,,0,,0,0,0,0,no check,1,1,0,,,4,,,1,3,1,,0,,2,0,,0,,,,,\n\n",
	"2.8": "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,\n" +
		"web,w1,0,0,0,0,,0,0,0,,0,,0,0,0,0,DOWN,1,1,0,3,1,4,4,,1,2,1,,0,,2,0,,0,* L4CON,,0,,\n" +
		"web,w2,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT,1,1,0,0,0,0,0,,1,2,2,,0,,2,0,,0,L7STS,503,0,,\n" +
		"web,BACKEND,0,0,0,0,410,0,0,0,0,0,,0,0,0,0,UP,1,1,0,,0,4,0,,1,2,0,,0,,1,0,,0,,,,,\n\n",
	"3.0": "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,last_chk,\n" +
		"web,w1,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT (via a/b),1,1,0,0,0,4,0,,1,2,1,,0,,2,0,,0,,,,,\"a,\"\"b\",\n" +
		"web,w2,0,0,0,0,,0,0,0,,0,,0,0,0,0,DRAIN,1,1,0,0,0,4,0,,1,2,1,,0,,2,0,,0,L7OK,200,1,,,\n\n",
}

func TestParseServers(t *testing.T) {
	for version, want := range map[string]string{
		"2.4": "web/w1 up passed; web/w2 up; n/x up",
		"2.8": "web/w1 failed; web/w2 failed out",
		"3.0": "web/w1 out; web/w2 passed out",
	} {
		servers, err := ParseServers(recorded[version])
		if err != nil {
			t.Errorf("answer of version %s: %v", version, err)
		}
		var got []string
		for _, s := range servers {
			text := s.Proxy + "/" + s.Name
			for _, is := range []struct {
				word string
				yes  bool
			}{{" up", s.Up()}, {" passed", s.Checked() && s.CheckPassed()}, {" failed", s.Checked() && !s.CheckPassed()}, {" out", s.Administrative()}} {
				if is.yes {
					text += is.word
				}
			}
			got = append(got, text)
		}
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("answer of version %s: servers %s, want %s", version, text, want)
		}
	}
}

func TestParseServersRefuses(t *testing.T) {
	for _, answer := range []string{"", "Permission denied\n", "# pxname,svname\n", "# pxname,svname,status,check_status\na,b\n"} {
		if servers, err := ParseServers(answer); err == nil {
			t.Errorf("parseServers(%q) = %v, want an error", answer, servers)
		}
	}
}

func FuzzParseServers(f *testing.F) {
	for _, answer := range recorded {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		servers, err := ParseServers(answer)
		if err != nil && servers != nil {
			t.Errorf("backends %v and %v", servers, err)
		}
	})
}

func TestBackends(t *testing.T) {
	const conf = "global\n  x\ndefaults\n  timeout connect 5s # c\n\nfrontend f\n  bind :80\nbackend a\n  server  s 1.2.3.4:80\n# no\nlisten b\n  bind :81\ndefaults\n  mode tcp\nbackend c\n  server s 1.2.3.4:80\nuserlist u\n  user x\n"
	want := map[string]string{
		"a": "timeout connect 5s # c\nserver s 1.2.3.4:80\n", "b": "timeout connect 5s # c\nbind :81\n", "c": "mode tcp\nserver s 1.2.3.4:80\n",
	}
	if got := Backends(conf); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
