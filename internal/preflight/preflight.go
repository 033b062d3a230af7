// Package preflight runs the stages that come after validation, without writing anything, and gives what they refuse its
// place in the spec.
package preflight

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/packer/template"
)

// Options are what the later commands would be given.
type Options struct {
	Release release.Release
	Cloud   cloudinit.Cloud
}

// stages collects what the stages refuse, each thing once.
type stages struct {
	spec     *spec.Spec // with a value for each secret
	o        Options
	problems diag.Problems
}

// Check returns what the later stages refuse about a valid spec: the recipes of the image and of every node, the seeds for
// either kind of image, and the Packer builds. What only some options lead to is a warning.
func Check(s *spec.Spec, o Options) diag.Problems {
	c := &stages{spec: s.WithPlaceholders(), o: o}
	c.add(diag.Error, "", "", s.CheckFor(o.Release).Err())
	image, err := recipe.Image(c.spec, o.Release)
	c.add(diag.Error, "image", "", err)
	for i := range s.Nodes {
		n := &c.spec.Nodes[i]
		path := fmt.Sprintf("nodes[%d]", i)
		node, err := recipe.Node(c.spec, n, o.Release)
		if c.add(diag.Error, path, "", err); err != nil {
			continue
		}
		c.seed(path, node, recipe.Merge(image, node))
	}
	for _, b := range template.Builders() {
		_, err := template.HCL(template.Build{Builder: b, Cluster: s.Cluster, Release: o.Release, Spec: "spec.yaml"})
		c.add(diag.Error, "cluster", "", err)
	}
	for _, p := range append(o.Cloud.Problems(s.VRRP.Transport == spec.Multicast), haproxycfg.SocketProblems(s)...) {
		c.add(p.Severity, "", "", diag.Problems{p})
	}
	return s.Place(c.problems)
}

// seed makes a node's seed for a golden and for a stock image. What only a stock image's refuses is a warning.
func (c *stages) seed(path string, golden, stock recipe.Recipe) {
	o := cloudinit.Options{Image: cloudinit.Golden, Cloud: c.o.Cloud, CloudConfig: c.spec.CloudConfig}
	_, err := cloudinit.Generate(golden, o)
	if c.add(diag.Error, path, "", err); err != nil {
		return
	}
	o.Image = cloudinit.Stock
	o.Agent = cloudinit.Agent{URL: "https://example.org/ha-agent", SHA256: "0"}
	_, err = cloudinit.Generate(stock, o)
	c.add(diag.Warning, path, "bake cloud-init --image stock refuses it: ", err)
}

// add notes an error. Problems keep their paths; anything else is about a path.
func (c *stages) add(severity diag.Severity, path, prefix string, err error) {
	var problems diag.Problems
	if err == nil {
		return
	}
	if !errors.As(err, &problems) {
		message, hint, _ := strings.Cut(err.Error(), "\nhint: ")
		problems = diag.Problems{{Path: path, Message: strings.ReplaceAll(message, "\n  ", " "), Hint: hint}}
	}
	for _, p := range problems {
		if p.Severity == "" || p.Severity == diag.Error {
			p.Severity = severity
		}
		same := func(have diag.Problem) bool {
			return have.Path == p.Path && (have.Message == p.Message || have.Message == prefix+p.Message)
		}
		if slices.ContainsFunc(c.problems, same) {
			continue
		}
		p.Message = prefix + p.Message
		c.problems = append(c.problems, p)
	}
}
