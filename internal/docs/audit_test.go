package docs

import (
	"testing"

	"github.com/hapair/hapair/internal/testing/needs"
)

// TestAuditPage runs the command blocks of docs/audit.md, which bake an image.
func TestAuditPage(t *testing.T) {
	needs.Lab(t)
	tree := copyTree(t, "../..")
	for _, b := range blocks(t, "docs/audit.md") {
		runBlock(t, tree, b)
	}
}
