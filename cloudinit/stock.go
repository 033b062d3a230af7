package cloudinit

import (
	_ "embed"
	"path"
	"strings"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/wellknown"
)

// agentFile is the name of the agent's package in a seed, beside user-data.
const agentFile = "ha-agent.deb"

// packageScript installs the agent's package, $1, when everything is there that it depends on. Files that cloud-init has
// written are kept.
const packageScript = `DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends install "$1" && rm -f "$1"`

// sysctlDir is the folder for files of kernel settings (sysctl.d(5)).
const sysctlDir = "/etc/sysctl.d"

//go:embed scripts/agent-from-seed.sh
var agentFromSeed string

//go:embed scripts/agent-from-url.py
var agentFromURL string

//go:embed scripts/verify.sh
var verifyScript string

// command is a command with its arguments. cloud-init quotes them.
type command []string

// bootCommands returns commands that run before everything else, at every boot. They apply the kernel settings that the
// services need at their first start, which happens when their packages are installed. They also get the agent, once, so
// that a node that cannot get it reports the error before anything else is done.
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
	target := r.Agent
	if a.isPackage() {
		target = install.AgentPackage
	}
	if a.URL != "" {
		// cloud-init is a Python program, so the machine has Python. It may have neither curl nor wget.
		return append(list, command{"cloud-init-per", "instance", "hapair-agent", "python3", "-c", agentFromURL, a.URL, a.SHA256, target})
	}
	return append(list, command{"cloud-init-per", "instance", "hapair-agent", "sh", "-c", agentFromSeed, "sh", agentFile, a.SHA256, target})
}

// firstBootFile configures apt while cloud-init installs packages, for which cloud-init itself has no options, so that a node
// gets the packages of a golden image: none that are only recommended, and updates that Ubuntu phases. Otherwise apt takes
// those or not by the machine's ID, except in a chroot, where images are baked: it takes them there. The file is removed when
// the packages are installed.
const firstBootFile = "/etc/apt/apt.conf.d/90hapair-first-boot"

func firstBootApt() writeFile {
	return writeFile{Path: firstBootFile, Permissions: "0644", Owner: "root:root",
		Content: "APT::Install-Recommends \"false\";\nAPT::Get::Always-Include-Phased-Updates \"true\";\n"}
}

// sysctls returns the settings of a sysctl.d file as arguments for `sysctl -w` (sysctl.d(5)).
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

// stockFiles delays all files that are not needed early until the packages are installed, for three reasons. The packages
// create the owners, and write_files stops at the first owner that does not exist. The packages contain conffiles with the
// same names, and dpkg would ask what to do if other files were in their place. And the packages start their services, which
// works with their own configuration but not with ours, because runcmd creates our accounts and folders later.
func stockFiles(files []recipe.File, encode fileEncoding) []any {
	list := []any{firstBootApt()}
	for _, f := range files {
		w := newWriteFile(f, encode)
		w.Defer = !f.Early
		list = append(list, w)
	}
	return list
}

// runCommands returns the commands that run last. cloud-init makes one shell script of them. "set -e" ends it at the first
// failure, and `cloud-init status` then reports "error".
func runCommands(r recipe.Recipe, a Agent) []any {
	list := []any{command{"rm", "-f", firstBootFile}, "set -e"}
	if r.Agent != "" && a.isPackage() {
		list = append(list, command{"sh", "-c", packageScript, "sh", install.AgentPackage})
	}
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

// restart restarts units after all of them are enabled, so that a service finds the others that it wants. It uses restart
// and not start, because packages have already started their services with their own configuration. If one unit fails, the
// others are still restarted, and the failure is reported at the end.
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

// applied returns commands that apply files that systemd's services read before cloud-init wrote them. The commands name our
// files, so that an error in another file is not reported as ours.
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
		case strings.HasPrefix(f.Path, "/etc/systemd/network"), dir == "/usr/lib/systemd/networkd.conf.d":
			networkd = true
		}
	}
	if networkd {
		list = append(list, command{"systemctl", "try-restart", "systemd-networkd.service"})
	}
	return list
}

// lastCommands adds the verification of the node after everything else, even after the user's own runcmd. If it fails,
// cloud-init reports an error, and so does the console. A golden image already contains the agent.
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
		// All of runcmd is one script. The trap keeps a failure of the user's last command as the script's status.
		doc.append("runcmd", `status=$?; trap '[ "$status" -eq 0 ] || exit "$status"' EXIT`)
	}
	doc.append("runcmd", verify)
	return doc
}
