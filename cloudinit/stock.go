package cloudinit

import (
	_ "embed"
	"path"
	"strings"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/wellknown"
)

// agentFile is the name of the agent's program in a seed, beside user-data.
const agentFile = "ha-agent"

// sysctlDir has files of kernel settings (sysctl.d(5)).
const sysctlDir = "/etc/sysctl.d"

//go:embed scripts/agent-from-seed.sh
var agentFromSeed string

//go:embed scripts/agent-from-url.py
var agentFromURL string

//go:embed scripts/verify.sh
var verifyScript string

// command is a command with its arguments: cloud-init quotes them.
type command []string

// bootCommands run before everything else, and at every boot. They put the settings in force that the services need at
// their first start, which is when their packages are installed; and they fetch the agent, once, so that a node
// which cannot have it says so before anything else is done.
func bootCommands(r recipe.Recipe, a Agent) []any {
	list := []any{}
	for _, f := range r.Files {
		if f.Early && path.Dir(f.Path) == sysctlDir {
			for _, setting := range sysctls(f.Content) {
				list = append(list, command{"sysctl", "-w", setting})
			}
		}
	}
	if r.Agent == "" {
		return list
	}
	if a.URL != "" {
		// cloud-init is a Python program: a machine that reads this has Python, and need have neither curl nor wget.
		return append(list, command{"cloud-init-per", "instance", "hapair-agent", "python3", "-c", agentFromURL, a.URL, a.SHA256, r.Agent})
	}
	return append(list, command{"cloud-init-per", "instance", "hapair-agent", "sh", "-c", agentFromSeed, "sh", agentFile, a.SHA256, r.Agent})
}

// recommendsFile keeps apt from installing recommended packages while cloud-init installs: golden images have none of them
// either, and cloud-init has no option for that. It is removed when the packages are installed.
const recommendsFile = "/etc/apt/apt.conf.d/90hapair-first-boot"

func noRecommends() writeFile {
	return writeFile{Path: recommendsFile, Permissions: "0644", Owner: "root:root", Content: "APT::Install-Recommends \"false\";\n"}
}

// sysctls lists the settings of a sysctl.d file as `sysctl -w` takes them (sysctl.d(5)).
func sysctls(content []byte) []string {
	var list []string
	for _, line := range strings.Split(string(content), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "-")
		key, value, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		list = append(list, strings.TrimSpace(key)+"="+strings.TrimSpace(value))
	}
	return list
}

// stockFiles puts off all that need not come early until the packages are installed. The packages make the owners (and
// write_files stops at the first owner that it does not find), they bring conffiles of the same names, which dpkg would ask
// about if it found others in their place, and they start their services: with their own configuration that works, with
// ours it would not yet, as accounts and folders of ours are made by runcmd.
func stockFiles(files []recipe.File, encode fileEncoding) []any {
	list := []any{noRecommends()}
	for _, f := range files {
		w := newWriteFile(f, encode)
		w.Defer = !f.Early
		list = append(list, w)
	}
	return list
}

// runCommands come last. cloud-init makes one shell script of them: "set -e" ends it at the first failure, and
// `cloud-init status` then says "error".
func runCommands(r recipe.Recipe) []any {
	list := []any{command{"rm", "-f", recommendsFile}, "set -e"}
	if r.Agent != "" {
		list = append(list, command{"test", "-x", r.Agent})
	}
	list = append(list, command{"systemctl", "daemon-reload"})
	list = append(list, applied(r.Files)...)
	if len(r.Hold) > 0 {
		list = append(list, append(command{"apt-mark", "hold"}, r.Hold...))
	}
	for _, u := range r.Units {
		switch u.State {
		case "enabled":
			list = append(list, command{"systemctl", "enable", u.Name})
		case "disabled":
			list = append(list, command{"systemctl", "disable", "--now", u.Name})
		case "masked":
			list = append(list, command{"systemctl", "mask", "--now", u.Name})
		}
	}
	return append(list, restart(r.Units)...)
}

// restart comes only once all units are enabled: a service that wants another finds it. It is not start, because packages
// have started their services with their own configuration. One unit's failure keeps no other from starting: it is told
// when all have been tried.
func restart(units []recipe.Unit) []any {
	const script = `status=0; for unit; do systemctl restart "$unit" || status=1; done; exit "$status"`
	c := command{"sh", "-c", script, "sh"}
	for _, u := range units {
		if u.State == "enabled" {
			c = append(c, u.Name)
		}
	}
	if len(c) == 4 {
		return nil
	}
	return []any{c}
}

// applied puts files in force that systemd's services have read before cloud-init wrote them. It names our own files, so
// that a fault in somebody else's is not taken for one of ours.
func applied(files []recipe.File) []any {
	var list []any
	networkd := false
	for _, f := range files {
		switch dir := path.Dir(f.Path); {
		case dir == "/usr/lib/sysusers.d", dir == "/etc/sysusers.d":
			list = append(list, command{"systemd-sysusers", f.Path})
		case dir == "/usr/lib/tmpfiles.d", dir == "/etc/tmpfiles.d":
			list = append(list, command{"systemd-tmpfiles", "--create", f.Path})
		case dir == sysctlDir:
			list = append(list, command{"sysctl", "-q", "-p", f.Path})
		case strings.HasPrefix(f.Path, "/etc/systemd/network"): // network/ and networkd.conf.d/
			networkd = true
		}
	}
	if networkd {
		list = append(list, command{"systemctl", "try-restart", "systemd-networkd.service"})
	}
	return list
}

// lastCommands has the node verify itself after everything else, also after what the user's own runcmd does: cloud-init
// then reports an error for a node that is not what it must be, and so does the console. A golden image has its agent already.
func lastCommands(doc document, r recipe.Recipe, image Image) document {
	agent := r.Agent
	if image == Golden {
		agent = wellknown.Agent
	}
	if agent == "" {
		return doc
	}
	verify := command{"sh", "-c", verifyScript, "sh", agent, "/dev/console"}
	if doc.index("runcmd") < 0 {
		return append(doc, entry{"runcmd", []any{verify}})
	}
	if image == Golden {
		// All of runcmd is one script, whose status was that of the user's last command: a failure of it stays one.
		doc.append("runcmd", `status=$?; trap '[ "$status" -eq 0 ] || exit "$status"' EXIT`)
	}
	doc.append("runcmd", verify)
	return doc
}
