// Package preflight runs the stages that come after validation, without writing anything, and returns their errors with
// positions in the spec.
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

// Options are the options of the later commands.
type Options struct {
	Release release.Release
	Cloud   cloudinit.Cloud
}

// stages runs the stages and collects their problems, each once.
type stages struct {
	spec     *spec.Spec // with a value for each secret
	o        Options
	problems diag.Problems
}

// Check returns the problems that later stages find in a valid spec: with the recipes of the image and of every node, the
// seeds for both kinds of image, and the Packer builds. A problem that occurs only with some options is a warning.
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

// seed generates a node's seed for a golden and for a stock image. A problem that occurs only with a stock image is a warning.
func (c *stages) seed(path string, golden, stock recipe.Recipe) {
	o := cloudinit.Options{Image: cloudinit.Golden, Cloud: c.o.Cloud, CloudConfig: c.spec.CloudConfig}
	_, err := cloudinit.Generate(golden, o)
	if c.add(diag.Error, path, "", err); err != nil {
		return
	}
	o.Image = cloudinit.Stock
	o.Agent = cloudinit.Agent{URL: "https://example.org/ha-agent", SHA256: "0"}
	_, err = cloudinit.Generate(stock, o)
	c.add(diag.Warning, path, "fails with bake cloud-init --image stock: ", err)
}

// add adds an error to the problems. Problems keep their own paths; other errors get the given path.
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
