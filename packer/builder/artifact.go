package builder

import (
	"errors"
	"fmt"
	"os"

	"github.com/hapair/hapair/internal/image"
)

// artifact is the image that was made, with its manifest beside it.
type artifact struct {
	path     string
	manifest image.Manifest
}

// manifestPath is where package image puts the manifest.
func (a *artifact) manifestPath() string { return image.ManifestPath(a.path) }

// BuilderId names the kind of artifact to post-processors.
func (*artifact) BuilderId() string { return "hapair.chroot" }

// Files are the image, its manifest and its list of software.
func (a *artifact) Files() []string {
	return []string{a.path, a.manifestPath(), image.SoftwarePath(a.path)}
}

// Id is the image's path.
func (a *artifact) Id() string { return a.path }

func (a *artifact) String() string {
	return fmt.Sprintf("%s (%s, %s, %d packages), with its manifest %s",
		a.path, a.manifest.Release, a.manifest.Format, len(a.manifest.Packages), a.manifestPath())
}

// State has nothing to tell.
func (*artifact) State(string) any { return nil }

// Destroy removes them.
func (a *artifact) Destroy() error {
	var errs []error
	for _, file := range a.Files() {
		errs = append(errs, os.Remove(file))
	}
	return errors.Join(errs...)
}
