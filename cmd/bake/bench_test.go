package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/exitstatus"
)

// BenchmarkBake measures what a person waits for when a spec is edited.
func BenchmarkBake(b *testing.B) {
	b.Setenv("STATS_PASSWORD", "correct-horse-battery") // some examples take it from there
	for _, args := range []string{"validate SPEC", "render SPEC -o DIR", "cloud-init SPEC -o DIR --cloud openstack"} {
		b.Run(strings.Fields(args)[0], func(b *testing.B) {
			words := strings.Fields(strings.NewReplacer("SPEC", "../../examples/three-nodes.yaml", "DIR", b.TempDir()).Replace(args))
			for b.Loop() {
				var out, errs bytes.Buffer
				if status := run(b.Context(), words, strings.NewReader(""), &out, &errs); status != exitstatus.OK {
					b.Fatalf("bake %s: exit %d: %s", args, status, &errs)
				}
			}
		})
	}
}
