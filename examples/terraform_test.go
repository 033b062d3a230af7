package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestTerraform checks what does not need the providers: the syntax, that each variable is declared and used, and that
// resources are of the provider that the module requires.
func TestTerraform(t *testing.T) {
	modules, err := filepath.Glob("terraform/*/main.tf")
	if err != nil || len(modules) != 3 {
		t.Fatalf("modules %v, %v", modules, err)
	}
	for _, path := range modules {
		t.Run(filepath.Dir(path), func(t *testing.T) { checkModule(t, path) })
	}
}

func checkModule(t *testing.T, path string) {
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, diags := hclsyntax.ParseConfig(src, path, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	provider := filepath.Base(filepath.Dir(path))
	body := f.Body.(*hclsyntax.Body)
	declared := map[string]bool{}
	for _, b := range body.Blocks {
		switch b.Type {
		case "variable":
			declared["var."+b.Labels[0]] = false
			if b.Body.Attributes["type"] == nil || b.Body.Attributes["description"] == nil {
				t.Errorf("%v: the variable %s has no type or no description", b.DefRange(), b.Labels[0])
			}
		case "locals":
			for name := range b.Body.Attributes {
				declared["local."+name] = false
			}
		case "resource":
			declared[b.Labels[0]+"."+b.Labels[1]] = true
		case "data":
			declared["data."+b.Labels[0]+"."+b.Labels[1]] = true
		}
		if (b.Type == "resource" || b.Type == "data") && !strings.HasPrefix(b.Labels[0], provider+"_") {
			t.Errorf("%v: %s is not of the provider %s", b.DefRange(), b.Labels[0], provider)
		}
	}
	for _, traversal := range references(body) {
		name := referenced(traversal)
		if name == "" {
			continue
		}
		if _, ok := declared[name]; !ok {
			t.Errorf("%v: %s is not declared", traversal.SourceRange(), name)
		}
		declared[name] = true
	}
	for name, used := range declared {
		if !used {
			t.Errorf("%s: %s is not used", path, name)
		}
	}
}

// references returns the traversals of all expressions of a body, except those in the types of variables.
func references(body *hclsyntax.Body) []hcl.Traversal {
	var all []hcl.Traversal
	for _, a := range body.Attributes {
		all = append(all, a.Expr.Variables()...)
	}
	for _, b := range body.Blocks {
		if b.Type != "variable" && b.Type != "terraform" {
			all = append(all, references(b.Body)...)
		}
	}
	return all
}

// referenced returns the object of a traversal: "var.NAME", "local.NAME", "TYPE.NAME" or "data.TYPE.NAME"; empty if it is an
// iterator, such as each.
func referenced(traversal hcl.Traversal) string {
	names := []string{traversal.RootName()}
	for _, step := range traversal[1:] {
		attr, ok := step.(hcl.TraverseAttr)
		if !ok {
			break
		}
		names = append(names, attr.Name)
	}
	parts := 2
	switch {
	case names[0] == "data":
		parts = 3
	case names[0] != "var" && names[0] != "local" && !strings.Contains(names[0], "_"):
		return ""
	}
	if names[0] == "network_device" || names[0] == "network_interface" || names[0] == "allowed_address_pairs" {
		return "" // the iterator of a dynamic block
	}
	return strings.Join(names[:min(parts, len(names))], ".")
}
