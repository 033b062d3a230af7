package docs

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/image"
)

// machineBlock matches a command block of docs/machines.md. Its first line names the platform: "```sh qemu". test/machine runs
// the blocks for QEMU. For the others, only the shell's syntax is checked.
var machineBlock = regexp.MustCompile("(?ms)^```sh ([a-z]+)\n(.*?)^```$")

func TestMachines(t *testing.T) {
	page, err := os.ReadFile("../../docs/machines.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	kinds := map[string]int{}
	for _, m := range machineBlock.FindAllStringSubmatch(text, -1) {
		kinds[m[1]]++
		cmd := exec.CommandContext(t.Context(), "sh", "-n")
		cmd.Stdin = strings.NewReader(m[2])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("a block for %s is not a valid shell script: %v: %s\n%s", m[1], err, out, m[2])
		}
	}
	for _, kind := range []string{"qemu", "libvirt", "proxmox", "openstack", "vmware", "azure"} {
		if kinds[kind] == 0 {
			t.Errorf("the page has no commands for %s", kind)
		}
	}
	for _, f := range image.Formats() {
		if !strings.Contains(text, "| `"+string(f)+"` |") {
			t.Errorf("the page does not describe the format %s", f)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat("../../docs/" + link[1]); err != nil {
			t.Errorf("the page has a broken link: %v", err)
		}
	}
}
