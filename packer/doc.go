// Package packer holds what the parts of the Packer plugin have in common: their documentation and their tests with a
// real Packer. The parts are in provisioner, builder and datasource; template writes builds that use them.
//
// docs-partials and .web-docs are generated from the comments of the parts' Config types and from docs.
package packer

//go:generate go test -run TestDocs -update .
