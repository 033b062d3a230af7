package matrix

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// splitTime is how long a pair may have two holders after an edit that separates the nodes: until two questions on the link
// were answered, and the last known good file was loaded. That takes 0.3 to 0.9 s, and longer on a busy machine. Without the
// agent it would last until somebody notices.
const splitTime = 4 * time.Second

// splitRows edit keepalived.conf of one node so that the nodes no longer hear each other. keepalived -t accepts these edits.
func splitRows() []row {
	router := replaced(`(?m)^    virtual_router_id .*`, "    virtual_router_id 251")
	version := func(s string) string {
		return replaced(advertInt, "    advert_int 1")(replaced("vrrp_version 3", "vrrp_version 2")(s))
	}
	peers := replaced(`(unicast_peer \{\n +)192.168.56.\d+`, "${1}192.168.56.109")
	password := replaced("auth_pass first", "auth_pass second")
	slow := replaced(advertInt, "    advert_int 3")
	return inGroup("Edits of keepalived.conf on one node alone", []row{
		{name: "another virtual_router_id, on the backup", both: splitTime, harm: partsBackup(router)},
		{name: "another virtual_router_id, on the holder", both: splitTime, harm: partsHolder(router)},
		{name: "VRRP version 2, on the backup", both: splitTime, harm: partsBackup(version)},
		{name: "VRRP version 2, on the holder", both: splitTime, harm: partsHolder(version)},
		{name: "another unicast_peer, on the backup", both: splitTime, harm: partsBackup(peers)},
		{name: "another unicast_peer, on the holder", both: splitTime, harm: partsHolder(peers)},
		{name: "another auth_pass of version 2, on the backup", both: splitTime, before: secondVersion, harm: partsBackup(password), after: firstVersion},
		{name: "another auth_pass of version 2, on the holder", both: splitTime, before: secondVersion, harm: partsHolder(password), after: firstVersion},
		{name: "another advert_int of version 2, on the backup", both: splitTime, before: secondVersion, harm: partsBackup(slow), after: firstVersion},
		{name: "another advert_int of version 2, on the holder", both: splitTime, before: secondVersion, harm: partsHolder(slow), after: firstVersion},
		{name: "another advert_int of version 3, on the holder", lossless: true, harm: provenSlower},
		{name: "another priority, on the backup", lossless: true, harm: provenPriority},
	})
}

// advertInt matches the line of keepalived.conf.
const advertInt = `(?m)^    advert_int .*`

func replaced(old, with string) func(string) string {
	return func(s string) string { return regexp.MustCompile(old).ReplaceAllString(s, with) }
}

func partsBackup(edit func(string) string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error { return r.parts(ctx, r.other, edit) }
}

func partsHolder(edit func(string) string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error { return r.parts(ctx, r.holder, edit) }
}

// parts edits keepalived.conf of a node, and waits until the change was rolled back and exactly one node holds the VIP.
func (r *run) parts(ctx context.Context, h *lab.Host, edit func(string) string) error {
	good, err := h.ReadFile(keepalivedConf)
	if err != nil {
		return err
	}
	c, err := r.edit(ctx, h, edit)
	if err != nil {
		return err
	}
	r.said = fmt.Sprintf("%s: %s", c.Verdict, c.Reason)
	if c.Verdict != journal.RolledBack || !strings.Contains(c.Reason, "another machine") {
		return fmt.Errorf("on %s, the change is %+v, want it rolled back because another machine answers", h.Name, c)
	}
	if now, err := h.ReadFile(keepalivedConf); err != nil || string(now) != string(good) {
		return fmt.Errorf("the last known good %s is not back (%w)", keepalivedConf, err)
	}
	r.end = "the old one is back in place, after " + c.Took
	_, err = r.Holders.WaitOne(ctx, time.Second)
	return err
}

// edit edits keepalived.conf of a node, and returns the change.
func (r *run) edit(ctx context.Context, h *lab.Host, edit func(string) string) (journal.Change, error) {
	now, err := h.ReadFile(keepalivedConf)
	if err != nil {
		return journal.Change{}, err
	}
	content := edit(string(now))
	if content == string(now) {
		return journal.Change{}, errors.New("the edit changes nothing")
	}
	r.users = append(r.users, bytesAt(h, keepalivedConf, content))
	return change(ctx, h, content)
}

// change saves keepalived.conf, and waits for the verdict.
func change(ctx context.Context, h *lab.Host, content string) (c journal.Change, err error) {
	n, err := number(h)
	if now, readErr := h.ReadFile(keepalivedConf); readErr == nil && string(now) == content {
		return journal.Change{Verdict: journal.Proven}, err
	}
	if err == nil {
		err = cluster.ByRename().Save(ctx, h, keepalivedConf, content)
	}
	if err != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c, await(ctx, func() error {
		if c, err = lastChange(h); err == nil && c.Number <= n {
			err = fmt.Errorf("on %s: no change after number %d", h.Name, n)
		}
		return err
	})
}

// versionTwo returns a keepalived.conf with VRRP version 2 and a password.
func versionTwo(s string) string {
	s = replaced("vrrp_version 3", "vrrp_version 2")(s)
	return replaced(advertInt, "    advert_int 1\n    authentication {\n        auth_type PASS\n        auth_pass first\n    }")(s)
}

// secondVersion changes both nodes to version 2. Meanwhile one node is in maintenance, because nodes that do not hear each
// other must not both serve.
func secondVersion(ctx context.Context, p *pair) error { return p.both(ctx, versionTwo) }

// firstVersion restores version 3.
func firstVersion(ctx context.Context, p *pair) error { return p.both(ctx, nil) }

// both changes keepalived.conf on both nodes with edit. If edit is nil, it restores the first version.
func (p *pair) both(ctx context.Context, edit func(string) string) error {
	holder, err := p.Holders.WaitOne(ctx, settled)
	if err != nil {
		return err
	}
	other := p.not(holder)
	if err := sh(ctx, other, "ha-agent maintenance on"); err != nil {
		return err
	}
	for _, h := range []*lab.Host{other, p.Nodes[holder]} {
		content := p.original[h.Name][keepalivedConf]
		if edit != nil {
			content = edit(content)
		}
		c, err := change(ctx, h, content)
		if err == nil && c.Verdict != journal.Proven {
			err = fmt.Errorf("on %s, the change is %+v, want it proven", h.Name, c)
		}
		if err != nil {
			return err
		}
	}
	return sh(ctx, other, "ha-agent maintenance off")
}

// provenSlower makes an edit that the peer can follow: in version 3, each advertisement contains the interval.
func provenSlower(ctx context.Context, r *run) error {
	return r.proves(ctx, r.holder, replaced(advertInt, "    advert_int 0.5"))
}

func provenPriority(ctx context.Context, r *run) error {
	return r.proves(ctx, r.other, replaced("    priority 2", "    priority 1"))
}

// proves edits keepalived.conf of a node, and checks that the change is proven.
func (r *run) proves(ctx context.Context, h *lab.Host, edit func(string) string) error {
	c, err := r.edit(ctx, h, edit)
	if err == nil && c.Verdict != journal.Proven {
		err = fmt.Errorf("on %s, the change is %+v, want it proven", h.Name, c)
	}
	r.said = string(c.Verdict)
	r.end = "the new one runs, after " + c.Took
	return err
}
