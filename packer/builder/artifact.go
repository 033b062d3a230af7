package builder

import (
	"errors"
	"fmt"
	"os"

	"github.com/hapair/hapair/internal/image"
)

// artifact is the image that was made.
type artifact struct {
	path     string
	manifest image.Manifest
}

// manifestPath returns the path of the image's manifest.
func (a *artifact) manifestPath() string { return image.ManifestPath(a.path) }

// BuilderId identifies the kind of artifact for post-processors.
func (*artifact) BuilderId() string { return "hapair.chroot" }

// Files returns the paths of the image, its manifest and its list of software.
func (a *artifact) Files() []string {
	return []string{a.path, a.manifestPath(), image.SoftwarePath(a.path)}
}

// Id returns the image's path.
func (a *artifact) Id() string { return a.path }

func (a *artifact) String() string {
	return fmt.Sprintf("%s (%s, %s, %d packages), with its manifest %s",
		a.path, a.manifest.Release, a.manifest.Format, len(a.manifest.Packages), a.manifestPath())
}

// State has no values for post-processors.
func (*artifact) State(string) any { return nil }

// Destroy removes the files.
func (a *artifact) Destroy() error {
	var errs []error
	for _, file := range a.Files() {
		errs = append(errs, os.Remove(file))
	}
	return errors.Join(errs...)
}
