package provisioner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/judge"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/regular"
)

// Provision turns the machine into a golden image.
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
		// The upload directory must not stay in the image, so it is removed even after a cancellation.
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer stop()
		err = errors.Join(err, m.close(ctx))
	}()
	agent := func() (io.ReadCloser, error) { return regular.Open(p.config.Agent) }
	steps := append(install.Image(r, agent), judge.Step(p.spec, p.release))
	if !p.config.Seal.False() {
		steps = append(steps, install.Seal()...)
	}
	if err := install.Do(ctx, m, steps, report(ui, steps)); err != nil {
		return err
	}
	if p.config.Manifest == "" {
		return nil
	}
	ui.Say("write the manifest " + p.config.Manifest)
	return p.writeManifest(ctx, m)
}

// report shows the progress to the user.
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
