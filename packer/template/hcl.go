package template

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

func comment(body *hclwrite.Body, line string) {
	body.AppendUnstructuredTokens(hclwrite.Tokens{{Type: hclsyntax.TokenComment, Bytes: []byte("# " + strings.ReplaceAll(line, "\n", " ") + "\n")}})
}

func text(body *hclwrite.Body, name, value string) {
	body.SetAttributeValue(name, cty.StringVal(value))
}

func boolean(body *hclwrite.Body, name string, value bool) {
	body.SetAttributeValue(name, cty.BoolVal(value))
}

func number(body *hclwrite.Body, name string, value int64) {
	body.SetAttributeValue(name, cty.NumberIntVal(value))
}

// reference sets an attribute to a variable.
func reference(body *hclwrite.Body, name, variable string) {
	body.SetAttributeTraversal(name, hcl.Traversal{hcl.TraverseRoot{Name: "var"}, hcl.TraverseAttr{Name: variable}})
}

// expression sets an attribute to a constant expression. Values from the user go through cty, which escapes them.
func expression(body *hclwrite.Body, name, source string) {
	body.SetAttributeRaw(name, lex(source))
}

func lex(source string) hclwrite.Tokens {
	f, diags := hclwrite.ParseConfig([]byte("x = "+source+"\n"), "", hcl.InitialPos)
	if diags.HasErrors() {
		panic(fmt.Sprintf("cannot parse a constant expression: %s: %v", source, diags))
	}
	return f.Body().GetAttribute("x").Expr().BuildTokens(nil)
}

// beside sets an attribute to a path. A relative path is made relative to the template's directory, because Packer would use
// the directory in which it was started.
func beside(body *hclwrite.Body, name, file string) {
	body.SetAttributeRaw(name, besideTokens(file))
}

func besideTokens(file string) hclwrite.Tokens {
	if path.IsAbs(file) {
		return hclwrite.TokensForValue(cty.StringVal(file))
	}
	return join("${path.root}/", file)
}

// join returns a string of two parts: the first is HCL, the second is text, which is escaped.
func join(template, literal string) hclwrite.Tokens {
	tokens := hclwrite.TokensForValue(cty.StringVal(literal)) // a quote, the text, a quote
	open := lex(`"` + template + `"`)
	return append(open[:len(open)-1:len(open)-1], tokens[1:]...)
}

// beginning returns the first part of an image's name. It contains only characters that all clouds allow: letters, digits
// and dashes.
func beginning(b Build) string {
	return strings.ReplaceAll(b.Cluster, "_", "-") + "-" + b.Release.Name
}

func (v variable) write(body *hclwrite.Body) {
	body.AppendNewline()
	block := body.AppendNewBlock("variable", []string{v.name}).Body()
	text(block, "description", v.description)
	if v.value == nil {
		block.SetAttributeRaw("type", lex("string"))
		return
	}
	block.SetAttributeRaw("type", lex("string"))
	block.SetAttributeValue("default", *v.value)
}

// must returns a variable that the user must set.
func must(name, description string) variable { return variable{name, description, nil} }

// may returns a variable with a default.
func may(name, description, value string) variable {
	v := cty.StringVal(value)
	return variable{name, description, &v}
}

// unset returns a variable whose default is that of the builder.
func unset(name, description string) variable {
	v := cty.NullVal(cty.String)
	return variable{name, description, &v}
}
