package audit

import (
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/image"
)

// Any two valid manifests can be compared, in both directions, with matching results.
func FuzzCompare(f *testing.F) {
	f.Add(`{"image": "sha256:00", "packages": {"a": "1"}, "files": {"/a": "sha256:01"}}`, `{"image": "sha256:00", "packages": {"a": "1:1"}, "files": {"/a": {"digest": "x y z", "mode": " "}}}`)
	f.Fuzz(func(t *testing.T, textA, textB string) {
		a, errA := image.ParseManifest([]byte(textA))
		b, errB := image.ParseManifest([]byte(textB))
		if errA != nil || errB != nil {
			return
		}
		there, back := Compare(a, b), Compare(b, a)
		if len(there) != len(back) || len(Compare(a, a)) != 0 {
			t.Errorf("one direction %v, the other %v", there, back)
		}
		var words strings.Builder
		if err := Words(&words, there); err != nil || len(there) > 0 && words.Len() == 0 {
			t.Errorf("Words(%v) = %q, %v", there, words.String(), err)
		}
		if (len(Unified("a", a, "b", b)) > 0) != (len(there) > 0) {
			t.Errorf("%v, but the unified diff is\n%s", there, Unified("a", a, "b", b))
		}
	})
}
