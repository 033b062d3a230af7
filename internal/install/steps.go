package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/recipe"
)

// Image returns the steps that carry out an image's recipe. agent is the source of r.Agent, and may be nil if the recipe has
// no agent. The steps of Seal must follow. Carrying out the steps twice is safe.
func Image(r recipe.Recipe, agent Source) []Step {
	early, late := split(r.Files)
	steps := []Step{
		{Name: "wait for the first boot to end", Run: Script(waitScript)},
		{Name: "keep services from starting", Run: Script(policyScript), Undo: Script(policyUndo)},
	}
	if len(r.Users) > 0 {
		steps = append(steps, Step{Name: "make users", Run: Script(usersScript(r.Users))})
	}
	if len(early) > 0 {
		steps = append(steps, Step{Name: "write early files", Run: writeFiles(early)})
	}
	if r.Agent != "" {
		steps = append(steps, Step{Name: "upload the agent", Run: uploadAgent(r.Agent, agent), Undo: Script(agentUndo)})
	}
	if len(r.Packages) > 0 {
		steps = append(steps, Step{Name: "read the package lists", Run: Script(updateScript)})
	}
	if len(r.Packages) > 0 || r.Agent != "" {
		steps = append(steps, Step{Name: "install packages", Run: Script(installScript(r))})
	}
	if len(late) > 0 {
		steps = append(steps, Step{Name: "write files", Run: writeFiles(late)})
	}
	if len(r.Units) > 0 {
		steps = append(steps, Step{Name: "switch units", Run: Script(unitsScript(r.Units))})
	}
	if len(r.Hold) > 0 {
		steps = append(steps, Step{Name: "hold packages back", Run: Script("set -eu\napt-mark hold " + quoteAll(r.Hold) + "\n")})
	}
	if r.Agent != "" {
		steps = append(steps, Step{Name: "verify the image", Run: Script(Quote(r.Agent) + " verify --stage image\n")})
	}
	return append(steps, Step{Name: "let services start again", Run: Script(policyUndo)})
}

// split separates the files that are needed before the packages are installed from the others.
func split(files []recipe.File) (early, late []recipe.File) {
	for _, f := range files {
		if f.Early {
			early = append(early, f)
		} else {
			late = append(late, f)
		}
	}
	return early, late
}

// waitScript waits for cloud-init on a machine that was just booted, because cloud-init would interfere with apt and
// sealing. The command "cloud-init status --wait" is not used, because in version 22.4 it returns early if something failed.
// In an image that does not run there is nothing to wait for.
const waitScript = `set -eu
[ -e /run/cloud-init/enabled ] || exit 0
tries=0
until [ -e /var/lib/cloud/instance/boot-finished ]; do
	case $(systemctl show -p ActiveState --value cloud-final.service) in
	active | failed) exit 0 ;;
	esac
	tries=$((tries + 1))
	if [ $tries -gt 600 ]; then
		echo "cloud-init did not finish within 10 minutes: see /var/log/cloud-init-output.log" >&2
		exit 1
	fi
	sleep 1
done
`

// policyScript prevents invoke-rc.d and deb-systemd-invoke from starting services (status 101: forbidden by policy, see
// /usr/share/doc/init-system-helpers/README.policy-rc.d). If the machine has its own policy, it is renamed until policyUndo.
const policyScript = `set -eu
policy=/usr/sbin/policy-rc.d
if [ -e $policy ] && ! grep -q 'hapair: nothing starts' $policy; then
	mv -f $policy $policy.hapair-kept
fi
printf '%s\n' '#!/bin/sh' '# hapair: nothing starts while an image is made' 'exit 101' >$policy
chmod 755 $policy
`

const policyUndo = `set -eu
policy=/usr/sbin/policy-rc.d
if [ -e $policy ] && grep -q 'hapair: nothing starts' $policy; then
	rm -f $policy
fi
if [ -e $policy.hapair-kept ]; then
	mv -f $policy.hapair-kept $policy
fi
`

func usersScript(users []recipe.User) string {
	var b strings.Builder
	b.WriteString("set -eu\n")
	for _, u := range users {
		fmt.Fprintf(&b, "getent passwd %s >/dev/null || useradd --system --user-group --no-create-home --home-dir %s --shell /usr/sbin/nologin %s\n",
			Quote(u.Name), Quote(u.Home), Quote(u.Name))
	}
	return b.String()
}

// apt waits for a lock that another process holds (for example unattended upgrades after boot) instead of failing.
const aptGet = `set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l UCF_FORCE_CONFFOLD=1
apt() { apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null; }
`

// Without this option, an update that could read nothing exits with status 0.
const updateScript = aptGet + "apt update -o APT::Update::Error-Mode=any\n"

// namesScript refuses a name that the archive does not have. Otherwise apt-get would use the name as a pattern, or without
// its last character.
const namesScript = `known=$(apt-cache showpkg "$@" 2>/dev/null | sed -n 's/^Package: //p')
missing=
for name; do
	echo "$known" | grep -q -x -F -e "$name" || {
		echo "cannot install $name: the archive has no package of this name" >&2
		missing=1
	}
done
[ -z "$missing" ]
`

// installScript installs a recipe's packages and the agent's at once, because each call of apt takes a second. confold keeps
// configuration files that were written before their package was installed.
func installScript(r recipe.Recipe) string {
	var b strings.Builder
	b.WriteString(aptGet)
	if len(r.Packages) > 0 {
		fmt.Fprintf(&b, "set -- %s\n%s", quoteAll(r.Packages), namesScript)
	}
	if r.Agent != "" {
		fmt.Fprintf(&b, "set -- \"$@\" %s\n", AgentPackage)
	}
	b.WriteString("apt install --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -- \"$@\"\n")
	if r.Agent != "" {
		b.WriteString(agentUndo)
	}
	return b.String()
}

// writeFiles uploads files and then sets the owner of each, because the owner may exist only on the machine.
func writeFiles(files []recipe.File) func(context.Context, Machine, io.Writer) error {
	return func(ctx context.Context, m Machine, out io.Writer) error {
		if err := m.Run(ctx, dirsScript(files), out); err != nil {
			return err
		}
		for _, f := range files {
			fmt.Fprintln(out, f.Path)
			if err := m.Upload(ctx, f.Path, f.Mode.Perm(), bytes.NewReader(f.Content)); err != nil {
				return err
			}
		}
		return m.Run(ctx, ownersScript(files), out)
	}
}

func dirsScript(files []recipe.File) string {
	var dirs []string
	for _, f := range files {
		dirs = append(dirs, path.Dir(f.Path))
	}
	slices.Sort(dirs)
	return "set -eu\numask 022\nmkdir -p -- " + quoteAll(slices.Compact(dirs)) + "\n"
}

func ownersScript(files []recipe.File) string {
	var b strings.Builder
	b.WriteString("set -eu\n")
	for _, f := range files {
		// chmod comes after chown, because chown removes set-uid bits.
		fmt.Fprintf(&b, "chown -- %s %s\nchmod -- %04o %s\n", Quote(f.Owner+":"+f.Group), Quote(f.Path), f.Mode.Perm(), Quote(f.Path))
	}
	return b.String()
}

// AgentPackage is the path of the agent's package on a machine while it is installed. Only root can write there.
const AgentPackage = "/usr/lib/hapair/ha-agent.deb"

// maxAgent is the limit for the size of the agent's program, which has about 12 MB.
const maxAgent = 64 << 20

// uploadAgent uploads the agent's program, as which it is recorded, and its Debian package, so that dpkg knows the agent and
// can upgrade it.
func uploadAgent(to string, agent Source) func(context.Context, Machine, io.Writer) error {
	return func(ctx context.Context, m Machine, out io.Writer) error {
		program, err := readAgent(agent)
		if err != nil {
			return err
		}
		deb, err := packages.AgentFile(program)
		if err != nil {
			return err
		}
		if err := m.Run(ctx, "set -eu\numask 022\nmkdir -p -- "+Quote(path.Dir(to))+" "+path.Dir(AgentPackage)+"\n", out); err != nil {
			return err
		}
		if err := m.Upload(ctx, to, 0o755, bytes.NewReader(program)); err != nil {
			return err
		}
		return m.Upload(ctx, AgentPackage, 0o644, bytes.NewReader(deb))
	}
}

const agentUndo = "rm -f " + AgentPackage + "\n"

func readAgent(agent Source) ([]byte, error) {
	if agent == nil {
		return nil, errors.New("the agent's binary is missing")
	}
	f, err := agent()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	program, err := io.ReadAll(io.LimitReader(f, maxAgent+1))
	if err == nil && len(program) > maxAgent {
		err = fmt.Errorf("the agent's binary has more than %d MiB", maxAgent>>20)
	}
	return program, err
}

// unitsScript returns a script that enables and disables units for the next boot. It also works in a chroot, where systemctl
// only creates links.
func unitsScript(units []recipe.Unit) string {
	verbs := map[string]string{"enabled": "enable", "disabled": "disable", "masked": "mask"}
	var b strings.Builder
	b.WriteString("set -eu\n")
	for _, u := range units {
		verb, ok := verbs[u.State]
		if !ok {
			fmt.Fprintf(&b, "echo %s >&2\nexit 1\n", Quote(fmt.Sprintf("cannot change unit %s: unknown state %q", u.Name, u.State)))
			continue
		}
		fmt.Fprintf(&b, "systemctl %s -- %s\n", verb, Quote(u.Name))
	}
	return b.String()
}
