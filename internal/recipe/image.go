package recipe

import (
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/units"
)

func packages(s *spec.Spec) []string {
	return append([]string{"haproxy", "keepalived"}, s.Image.Packages...)
}

func imageUnits(*spec.Spec) []Unit {
	return []Unit{{"haproxy.service", Enabled}, {"keepalived.service", Enabled}}
}

func imageFiles(*spec.Spec, release.Release) ([]File, error) {
	sysctl := system(units.SysctlPath, units.Sysctl)
	sysctl.Early = true
	return []File{sysctl}, nil
}

// system is a file of root's that everybody may read.
func system(path string, content []byte) File {
	return File{Path: path, Mode: 0o644, Owner: "root", Group: "root", Content: content}
}

// haproxyConfig holds the hash of a password: only root and haproxy read it. The group comes with the package.
func haproxyConfig(content []byte) File {
	return File{Path: HAProxyConfig, Mode: 0o640, Owner: "root", Group: "haproxy", Content: content, Package: "haproxy"}
}

func keepalivedConfig(content []byte) File {
	return File{Path: KeepalivedConfig, Mode: 0o600, Owner: "root", Group: "root", Content: content}
}
