package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tool is a program of this machine, and the package that contains it in Debian and Ubuntu.
type tool struct{ name, pkg string }

// tools returns the programs that a bake needs.
func (o *Options) tools() []tool {
	need := []tool{
		{"sfdisk", "fdisk"}, {"e2fsck", "e2fsprogs"}, {"resize2fs", "e2fsprogs"},
		{"prlimit", "util-linux"}, {"qemu-img", "qemu-utils"},
	}
	if o.Base == Bootstrap {
		need = append(need, tool{"mkfs.ext4", "e2fsprogs"}, tool{"unshare", "util-linux"}, tool{"mmdebstrap", "mmdebstrap"},
			tool{"mkfs.vfat", "dosfstools"}, tool{"mcopy", "mtools"})
	}
	return need
}

// checkTools returns an error that names all missing packages.
func checkTools(need []tool, look func(string) (string, error)) error {
	var missing, packages []string
	for _, t := range need {
		if _, err := look(t.name); err == nil {
			continue
		}
		missing = append(missing, t.name)
		if !slices.Contains(packages, t.pkg) {
			packages = append(packages, t.pkg)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("cannot find %s: apt-get install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
}

// toolPath is the PATH for tools. The PATH of an unprivileged user or of cron may not include sbin.
const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookTool finds a program in toolPath.
func lookTool(name string) (string, error) {
	for _, dir := range strings.Split(toolPath, ":") {
		if path, err := exec.LookPath(dir + "/" + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// toolEnv returns the environment of tools. Their messages are parsed, and a user's settings must not affect their results.
func toolEnv() []string { return []string{"PATH=" + toolPath, "LC_ALL=C.UTF-8", "HOME=/root"} }

// onFile runs a tool with a file as descriptor 3, which is /proc/self/fd/3 in its arguments. It returns the tool's output.
func onFile(ctx context.Context, f *os.File, name string, args ...string) ([]byte, error) {
	return diskLimits.run(ctx, nil, []*os.File{f}, name, args...)
}
