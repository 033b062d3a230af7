// Package packer contains the documentation of the Packer plugin's components, and their tests with a real Packer. The
// components are in provisioner, builder and datasource; template writes builds that use them.
//
// docs-partials and .web-docs are generated from docs and from the comments of the components' Config types.
package packer

//go:generate go test -run TestDocs -update .
