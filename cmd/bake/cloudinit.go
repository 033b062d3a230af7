package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// cloudInitFlags are the flags of `bake cloud-init`.
type cloudInitFlags struct {
	output, image, cloud, release string
	agent, agentURL, agentSHA256  string
}

func newCloudInit(e *env) *cobra.Command {
	var f cloudInitFlags
	c := &cobra.Command{
		Use:   "cloud-init SPEC -o DIR",
		Short: "Write each node's user-data, meta-data, network-config and NoCloud seed",
		Args:  oneArg("SPEC"),
		Example: `  bake cloud-init cluster.yaml -o seeds
  bake cloud-init cluster.yaml -o seeds --image stock --cloud openstack \
      --agent-url https://example.org/ha-agent --agent-sha256 "$(sha256sum <ha-agent | cut -d ' ' -f 1)"`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "output", "DIR"); err != nil {
				return err
			}
			return e.cloudInit(c.Context(), args[0], f)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write DIR/NODE/user-data and the other files to this folder (required)")
	flags.StringVar(&f.image, "image", string(cloudinit.Golden), "the image that the node boots from: golden (the seed adds only the identity) or stock (the first boot installs everything)")
	flags.StringVar(&f.cloud, "cloud", cloudinit.NoCloud, "the cloud that gets the user-data, which sets its size limit: "+strings.Join(cloudinit.CloudNames(), ", "))
	flags.StringVar(&f.agent, "agent", "", "the ha-agent to install, for --image stock (default: ha-agent in the directory of bake)")
	flags.StringVar(&f.agentURL, "agent-url", "", "the URL from which a stock node downloads ha-agent, as a Debian package (.deb) or as a program; needs --agent-sha256")
	flags.StringVar(&f.agentSHA256, "agent-sha256", "", "the SHA-256 of the file at --agent-url, in hex")
	flags.StringVar(&f.release, "release", "", "use this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	return c
}

func (e *env) cloudInit(ctx context.Context, path string, f cloudInitFlags) error {
	o, err := f.options()
	if err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	s, r, err := e.loadFor(ctx, path, f.release)
	if err != nil {
		return err
	}
	if err := e.printProblems(o.Cloud.Problems(s.VRRP.Transport == spec.Multicast)); err != nil {
		return err
	}
	if o.Image == cloudinit.Stock && o.Agent.URL == "" {
		if o.Agent, err = f.seededAgent(); err != nil {
			return err
		}
	}
	seeds, err := cloudinit.Nodes(s, r, o)
	if err != nil {
		return e.cloudInitError(err)
	}
	written, err := cloudinit.Write(ctx, f.output, seeds)
	if err == nil {
		err = markSeeds(f.output, s.Cluster, written)
	}
	if err == nil {
		err = e.sweep(f.output, seedsMark, s)
	}
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	return e.printWritten(written, seeds)
}

// options parses the flags and checks that they fit together.
func (f cloudInitFlags) options() (o cloudinit.Options, err error) {
	if o.Image, err = cloudinit.ParseImage(f.image); err != nil {
		return o, err
	}
	if o.Cloud, err = cloudinit.GetCloud(f.cloud); err != nil {
		return o, err
	}
	given := f.agent != "" || f.agentURL != "" || f.agentSHA256 != ""
	switch {
	case o.Image == cloudinit.Golden && given:
		return o, errors.New("cannot use the --agent flags with a golden image, because it already contains ha-agent: remove them, or use --image stock")
	case (f.agentURL == "") != (f.agentSHA256 == ""):
		return o, errors.New("cannot download ha-agent: --agent-url and --agent-sha256 must be used together")
	case f.agentURL != "" && f.agent != "":
		return o, errors.New("cannot use both --agent and --agent-url: the agent is either in the seed or downloaded")
	case o.Image == cloudinit.Stock && f.agentURL == "" && o.Cloud.Name != cloudinit.NoCloud:
		return o, fmt.Errorf("cannot put ha-agent into the seed, because %s has no seed volume: use --agent-url and --agent-sha256", o.Cloud.Name)
	}
	if f.agentURL != "" {
		if u, err := url.Parse(f.agentURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return o, fmt.Errorf("cannot use --agent-url %q: it must be an http or https URL", f.agentURL)
		}
		digest := strings.ToLower(f.agentSHA256)
		if b, err := hex.DecodeString(digest); err != nil || len(b) != sha256.Size {
			return o, fmt.Errorf("cannot use --agent-sha256 %q: it must have 64 hex digits, as sha256sum prints them", f.agentSHA256)
		}
		o.Agent = cloudinit.Agent{URL: f.agentURL, SHA256: digest}
	}
	return o, nil
}

// maxAgent is the size limit for the agent's binary, which has about 10 MiB.
const maxAgent = 128 << 20

// seededAgent makes the agent's package, which is put into the seed, from its binary.
func (f cloudInitFlags) seededAgent() (cloudinit.Agent, error) {
	path, err := findAgent(f.agent)
	if err != nil {
		return cloudinit.Agent{}, err
	}
	program, err := regular.ReadFile(path, maxAgent)
	if err != nil {
		return cloudinit.Agent{}, cannot("read the ha-agent that a stock image needs: %v", err)
	}
	if _, err := elf.NewFile(bytes.NewReader(program)); err != nil {
		return cloudinit.Agent{}, cannot("use %s as ha-agent: it is not a Linux program; give another path with --agent PATH", path)
	}
	deb, err := packages.AgentFile(program)
	if err != nil {
		return cloudinit.Agent{}, exitstatus.With(exitstatus.Failure, err)
	}
	digest := sha256.Sum256(deb)
	return cloudinit.Agent{Package: deb, SHA256: hex.EncodeToString(digest[:])}, nil
}

// cloudInitError adds the exit status to an error. Too much data for the cloud is a negative result, because the spec or
// another cloud can fix it.
func (e *env) cloudInitError(err error) error {
	if errors.Is(err, cloudinit.ErrTooLarge) {
		return exitstatus.With(exitstatus.No, err)
	}
	return e.renderError(err)
}

func (e *env) printWritten(written []cloudinit.Written, seeds []cloudinit.NodeSeed) error {
	for _, s := range seeds {
		for _, note := range s.Seed.Notes {
			fmt.Fprintf(e.stderr, "note: %s\n", note)
		}
	}
	if e.json {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(written)
	}
	for _, w := range written {
		packed := ""
		if w.Gzip {
			packed = ", gzip"
		}
		fmt.Fprintf(e.stdout, "%s (%d bytes%s)\n", w.Path, w.Size, packed)
	}
	return nil
}
