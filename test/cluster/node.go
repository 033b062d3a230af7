package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
)

// Edit is a way in which editors save a file: a shell script that writes standard input to $1.
type Edit struct {
	Name, script string
}

// Edits returns the ways that editors use.
func Edits() []Edit {
	return []Edit{
		{"in place", `cat >/run/new && dd if=/run/new of="$1" conv=notrunc status=none && truncate -s "$(stat -c %s /run/new)" "$1"`},
		{"by truncating and writing", `cat >/run/new && : >"$1" && head -c 100 /run/new >>"$1" && tail -c +101 /run/new >>"$1"`},
		{"by rename", `cp -p "$1" "$1.new" && cat >"$1.new" && mv "$1.new" "$1"`},
		{"by rename, a backup kept", `mv "$1" "$1~" && cp -p "$1~" "$1.new" && cat >"$1.new" && mv "$1.new" "$1"`},
	}
}

// ByRename returns the way that most editors use.
func ByRename() Edit { return Edits()[2] }

// Save saves a file on a host.
func (e Edit) Save(ctx context.Context, h *lab.Host, path, content string) error {
	return Pipe(ctx, h, content, e.script, path)
}

// serviceBinds matches the bind lines of the controllers' service, one for each address of the VIP.
var serviceBinds = regexp.MustCompile(`(?m)(^    bind \S+:5000( v6only)?\n)+`)

// Marked returns a haproxy.cfg of the controllers that answers GET /mark with a text.
func Marked(cfg, mark string) string {
	at := serviceBinds.FindStringIndex(cfg)
	if at == nil {
		return cfg
	}
	return cfg[:at[1]] + "    http-request return status 200 content-type text/plain string " + mark + " if { path /mark }\n" + cfg[at[1]:]
}

// Status returns the output of ha-agent status on a host.
func Status(ctx context.Context, h *lab.Host) (control.Status, error) {
	var s control.Status
	cmd, err := h.Command(ctx, "ha-agent", "status", "--json")
	if err != nil {
		return s, err
	}
	out, err := cmd.Output()
	if jsonErr := json.Unmarshal(out, &s); jsonErr != nil {
		return s, fmt.Errorf("on %s: ha-agent status: %w (%v): %s", h.Name, jsonErr, err, out)
	}
	return s, nil
}

// Versions returns the versions of the programs on a host with an agent.
func Versions(ctx context.Context, h *lab.Host) (string, error) {
	s, err := Status(ctx, h)
	if err != nil {
		return "", err
	}
	out, err := h.Must(ctx, "systemctl", "--version")
	line, _, _ := strings.Cut(out, " (")
	return fmt.Sprintf("haproxy %s, keepalived %s, %s", s.Versions.HAProxy, s.Versions.Keepalived, line), err
}
