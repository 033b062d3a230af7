package provisioner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/recipe"
)

// Provision makes the machine a golden image.
func (p *Provisioner) Provision(ctx context.Context, ui packersdk.Ui, comm packersdk.Communicator, build map[string]any) (err error) {
	for _, w := range p.warnings {
		ui.Say(w.String())
	}
	r, err := recipe.Image(p.spec, p.release)
	if err != nil {
		return err
	}
	m, err := connect(ctx, comm)
	if err != nil {
		return err
	}
	m.direct = build["ConnType"] == ownChroot
	defer func() {
		// The upload directory must not stay in the image, and goes also after a cancellation.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer stop()
		err = errors.Join(err, m.close(ctx))
	}()
	agent := func() (io.ReadCloser, error) { return os.Open(p.config.Agent) }
	steps := append([]install.Step{firstBoot()}, install.Image(r, agent)...)
	if !p.config.Seal.False() {
		steps = append(steps, install.Seal()...)
	}
	return install.Do(ctx, m, steps, report(ui, steps))
}

// firstBoot waits until cloud-init has ended its work, where it works at this boot: it installs, restarts and writes
// what the image's recipe writes too. `cloud-init status --wait` is no way to wait for that: cloud-init 22.4 returns from
// it while its last stage still runs.
func firstBoot() install.Step {
	const script = `set -u
# Made by cloud-init's systemd generator where this boot has cloud-init in it.
[ -e /run/cloud-init/enabled ] || exit 0
n=0
until [ -e /var/lib/cloud/instance/boot-finished ]; do
	n=$((n + 1))
	if [ "$n" -gt 900 ]; then
		echo 'cloud-init has not finished within 15 minutes: see /var/log/cloud-init.log'
		exit 1
	fi
	sleep 1
done
`
	return install.Step{
		Name: "wait for the machine's first boot to end",
		Run: func(ctx context.Context, m install.Machine, out io.Writer) error {
			return m.Run(ctx, script, out)
		},
	}
}

// report shows people how the work goes on.
func report(ui packersdk.Ui, steps []install.Step) install.Report {
	number := make(map[string]int, len(steps))
	for i, s := range steps {
		number[s.Name] = i + 1
	}
	return func(p install.Progress) {
		switch {
		case p.Done:
		case p.Line != "":
			ui.Say("    " + p.Line)
		case p.Fraction == 0:
			ui.Say(fmt.Sprintf("%d/%d %s", number[p.Step], len(steps), p.Step))
		}
	}
}
