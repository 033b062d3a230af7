package observe

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
)

// has reports whether a page has a line that matches a pattern.
func has(page, pattern string) bool {
	return regexp.MustCompile(`(?m)^` + pattern + `$`).MatchString(page)
}

func (p *pair) page(pages []string, h *lab.Host) string {
	if p.nodes[0] == h {
		return pages[0]
	}
	return pages[1]
}

// calm waits until both nodes are healthy.
func (p *pair) calm() []string {
	p.t.Helper()
	return p.scraped("both nodes are healthy", func(pages []string) bool {
		held := 0
		for _, page := range pages {
			if !has(page, `hapair_haproxy_up 1`) || !has(page, `hapair_keepalived_up 1`) || !has(page, `hapair_maintenance 0`) ||
				!has(page, `hapair_on_change_failed\{.*\} 0`) || has(page, `hapair_config_drift.* 1`) || has(page, `hapair_config_generation.* 0`) || has(page, `hapair_vip_other_holders\{.* [1-9]`) ||
				!has(page, `hapair_vrrp_state\{.*state="(master|backup)"\} 1`) {
				return false
			}
			if has(page, `hapair_vip_held\{.*\} 1`) {
				held++
			}
		}
		return held == 1
	})
}

func TestStatusMetricsAndAlerts(t *testing.T) {
	tool := promtool(t)
	p := newPair(t)
	p.settle()
	healthy := p.calm()
	var all []situation
	for _, f := range []func() situation{p.splitBrain, p.commandFails, p.haproxyStops, p.keepalivedStops, p.badFile, p.certificates, p.revisions, p.maintenance, p.agentStops, p.nobody} {
		s := f()
		if t.Failed() {
			return
		}
		s.healthy = healthy
		all = append(all, s)
		p.settle()
		healthy = p.calm()
	}
	for _, s := range all {
		for _, page := range append(s.pages, s.healthy...) {
			if page != "" {
				lint(t, tool, page)
			}
		}
	}
	judge(t, tool, all)
}

// splitBrain blocks VRRP between the nodes while both are on the network of the VIP.
func (p *pair) splitBrain() situation {
	p.t.Helper()
	for _, h := range p.nodes {
		if err := h.Isolate("eth3", true); err != nil {
			p.t.Fatal(err)
		}
	}
	pages := p.scraped("both report another holder of the VIP", func(pages []string) bool {
		return has(pages[0], `hapair_vip_other_holders\{.*\} 1`) && has(pages[1], `hapair_vip_other_holders\{.*\} 1`)
	})
	macs := []string{strings.TrimSpace(p.must(p.nodes[0], "cat /sys/class/net/eth4/address")), strings.TrimSpace(p.must(p.nodes[1], "cat /sys/class/net/eth4/address"))}
	for i, h := range p.nodes {
		s, err := p.status(h)
		want := []control.OtherHolder{{Address: theVIP.String(), HardwareAddress: macs[1-i]}}
		if err != nil || fmt.Sprint(s.VIPs[0].OtherHolders) != fmt.Sprint(want) {
			p.t.Errorf("%s: %v, %+v; want %+v", h.Name, err, s.VIPs[0], want)
		}
		if text := p.text(h); !strings.Contains(text, "YES: "+macs[1-i]) {
			p.t.Errorf("the status of %s does not report the split brain:\n%s", h.Name, text)
		}
	}
	if _, _, err := p.client.Get(p.t.Context(), "http://"+theVIP.String()+":5000/"); err != nil {
		p.t.Errorf("the VIP does not answer in a split brain: %v", err)
	}
	for _, h := range p.nodes {
		if err := h.Isolate("eth3", false); err != nil {
			p.t.Fatal(err)
		}
	}
	holder, _ := p.settle()
	// The client sends nothing meanwhile, so its cache entry comes from an announcement.
	p.eventually("the client's neighbour cache points to the holder", func() error {
		mac, err := p.client.Neighbour(theVIP)
		if want := macs[map[bool]int{true: 0, false: 1}[holder == p.nodes[0]]]; err == nil && mac.String() != want {
			err = fmt.Errorf("it points to %v, the holder is %s", mac, want)
		}
		return err
	})
	p.calm()
	for _, h := range p.nodes {
		if n := strings.TrimSpace(p.must(h, `journalctl -q -u ha-agent -g "another machine answers" | wc -l`)); n != "1" {
			p.t.Errorf("%s: logged the other holder %s times, want 1", h.Name, n)
		}
	}
	return situation{name: "VRRP cut", pages: pages, alerts: []string{"HapairSplitBrain"}, at: "18m"}
}

// commandFails makes the VIP's command fail on the holder, which repeats it.
func (p *pair) commandFails() situation {
	p.t.Helper()
	holder, _ := p.settle()
	p.must(holder, "echo 'exit 3' >"+onChange)
	pages := p.scraped("the command has failed", func(pages []string) bool {
		return has(p.page(pages, holder), `hapair_on_change_failed\{vip="public"\} 1`)
	})
	if text := p.text(holder); !strings.Contains(text, "on_change FAILED for MASTER") || !strings.Contains(text, "it exited with status") {
		p.t.Error(text)
	}
	p.must(holder, "printf '#!/bin/sh\\nexit 0\\n' >"+onChange)
	return situation{name: "the command of a VIP fails", pages: pages, alerts: []string{"HapairOnChangeFails"}, at: "18m"}
}

func (p *pair) haproxyStops() situation {
	p.t.Helper()
	_, other := p.settle()
	p.must(other, "systemctl mask --runtime haproxy; systemctl kill --signal=KILL haproxy")
	pages := p.scraped("haproxy is reported down", func(pages []string) bool {
		return has(p.page(pages, other), `hapair_haproxy_up 0`) && has(p.page(pages, other), `hapair_vrrp_state\{.*state="fault"\} 1`)
	})
	if text := p.text(other); !strings.Contains(text, "DOES NOT ANSWER") || !strings.Contains(text, "FAULT since") {
		p.t.Error(text)
	}
	p.must(other, "systemctl unmask --runtime haproxy; systemctl reset-failed haproxy; systemctl start haproxy")
	return situation{name: "haproxy down", pages: pages, alerts: []string{"HapairHAProxyDown", "HapairFault"}, at: "18m"}
}

// keepalivedStops kills the holder's keepalived, whose last reported state was MASTER.
func (p *pair) keepalivedStops() situation {
	p.t.Helper()
	holder, _ := p.settle()
	p.must(holder, `mkdir -p /run/systemd/system/keepalived.service.d
		printf '[Service]\nRestart=no\n' >/run/systemd/system/keepalived.service.d/zz-dead.conf
		systemctl daemon-reload; kill -KILL $(pidof keepalived)`)
	pages := p.scraped("keepalived is reported down", func(pages []string) bool {
		return has(p.page(pages, holder), `hapair_keepalived_up 0`) && has(p.page(pages, holder), `hapair_vip_held\{.*\} 0`) && strings.Contains(strings.Join(pages, ""), `state="master"} 1`)
	})
	if has(p.page(pages, holder), `hapair_vrrp_state\{.*state="master"\} 1`) {
		p.t.Errorf("a stale MASTER:\n%s", p.page(pages, holder))
	}
	if text := p.text(holder); strings.Contains(text, "MASTER since") || !strings.Contains(text, "DOES NOT RUN") || !strings.Contains(text, "unknown") {
		p.t.Error(text)
	}
	p.must(holder, `rm /run/systemd/system/keepalived.service.d/zz-dead.conf
		systemctl daemon-reload; systemctl reset-failed keepalived; systemctl start keepalived`)
	return situation{name: "keepalived down", pages: pages, alerts: []string{"HapairKeepalivedDown", "HapairStateUnknown"}, at: "18m"}
}

func (p *pair) badFile() situation {
	p.t.Helper()
	_, other := p.settle()
	p.must(other, "cp -p /etc/haproxy/haproxy.cfg /run/good; echo nonsense >>/etc/haproxy/haproxy.cfg")
	pages := p.scraped("the change is refused", func(pages []string) bool {
		return has(p.page(pages, other), `hapair_changes_total\{verdict="refused"\} 1`) && has(p.page(pages, other), `hapair_config_drift\{target="haproxy"\} 1`)
	})
	if text := p.text(other); !strings.Contains(text, "DRIFT") || !strings.Contains(text, "REFUSED: haproxy") {
		p.t.Error(text)
	}
	p.must(other, "mv /run/good /etc/haproxy/haproxy.cfg")
	return situation{name: "a bad file", pages: pages, alerts: []string{"HapairDrift", "HapairChangeNotTaken"}, at: "18m"}
}

func (p *pair) maintenance() situation {
	p.t.Helper()
	_, other := p.settle()
	p.must(other, "ha-agent maintenance on")
	pages := p.scraped("the node is in maintenance", func(pages []string) bool {
		return has(p.page(pages, other), `hapair_maintenance 1`) && has(p.page(pages, other), `hapair_vrrp_state\{.*state="fault"\} 1`)
	})
	p.must(other, "ha-agent maintenance off")
	return situation{name: "maintenance", pages: pages, alerts: []string{"HapairMaintenance"}, at: "300m"}
}

func (p *pair) agentStops() situation {
	p.t.Helper()
	holder, _ := p.settle()
	p.must(holder, "systemctl stop ha-agent")
	pages := p.scraped("the agent is down", func(pages []string) bool { return p.page(pages, holder) == "" })
	if text := p.text(holder); !strings.Contains(text, "NOT RUNNING") || !regexp.MustCompile(`eth4 +held +unknown +unknown\n`).MatchString(text) {
		p.t.Error(text)
	}
	p.must(holder, "systemctl start ha-agent")
	// The other node's agent alone cannot determine that the VIP has no holder.
	return situation{name: "the holder's agent down", pages: pages, alerts: []string{"HapairAgentDown"}, at: "18m"}
}

func (p *pair) nobody() situation {
	p.t.Helper()
	for _, h := range p.nodes {
		p.must(h, "systemctl stop keepalived")
	}
	pages := p.scraped("the VIP has no holder", func(pages []string) bool {
		return has(pages[0], `hapair_vip_held\{.*\} 0`) && has(pages[1], `hapair_vip_held\{.*\} 0`) && has(pages[0], `hapair_keepalived_up 0`) && has(pages[1], `hapair_keepalived_up 0`)
	})
	for _, h := range p.nodes {
		p.must(h, "systemctl start keepalived")
	}
	return situation{name: "keepalived down on both", pages: pages, alerts: []string{"HapairNoHolder", "HapairKeepalivedDown", "HapairStateUnknown"}, at: "18m"}
}
