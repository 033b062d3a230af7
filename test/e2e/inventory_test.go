package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
)

// inventory is everything on a machine: values by keys of the form "KIND NAME", for example "file /etc/hosts".
type inventory map[string]string

// inventoryScript prints lines with KIND, NAME and VALUE, separated by tabs.
const inventoryScript = `set -eu
export LC_ALL=C
tab=$(printf '\t')
dpkg-query -W -f 'package\t${binary:Package}\t${db:Status-Want} ${db:Status-Status} ${Version}\n'
apt-mark showmanual | sed "s/.*/mark${tab}&${tab}manual/"
getent passwd | sed "s/^\([^:]*\):\(.*\)/user${tab}\1${tab}\2/"
getent group | sed "s/^\([^:]*\):\(.*\)/group${tab}\1${tab}\2/"
# Without the day on which the password was changed.
awk -F : '{ print "shadow\t" $1 "\t" $2 ":" $4 ":" $5 ":" $6 ":" $7 ":" $8 }' /etc/shadow
systemctl list-unit-files --no-legend --no-pager --plain | awk '{ print "unit-file\t" $1 "\t" $2 }'
systemctl list-units --all --no-legend --no-pager --plain --type=service,socket,timer,path,target | awk '{ print "unit\t" $1 "\t" $2 " " $3 " " $4 }'
sysctl -a 2>/dev/null | sed "s/^\([^ ]*\) = *\(.*\)/sysctl${tab}\1${tab}\2/"
systemd-analyze cat-config sysctl.d --no-pager | sha256sum | sed "s/\(.*\) .*/sysctl.d${tab}all${tab}\1/"
cd /
# Directories of the kernel's, and those whose content ends with the boot.
find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp \) -prune -o -printf 'file\t/%P\t%y %U:%G %m %l\n'
find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp \) -prune -o -type f -print0 |
	xargs -0 sha256sum -z | tr '\0' '\n' | sed "s/^\([0-9a-f]*\)  \.\(.*\)/content${tab}\2${tab}\1/"
`

// readInventory reads the inventory of a running host.
func readInventory(ctx context.Context, h *lab.Host) (inventory, error) {
	out, err := h.Must(ctx, "sh", "-c", inventoryScript)
	if err != nil {
		return nil, err
	}
	inv := inventory{}
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(f) != 3 {
			return nil, fmt.Errorf("cannot read the inventory of %s: the line %q does not have three columns", h.Name, line)
		}
		inv[f[0]+" "+f[1]] = f[2]
	}
	return inv, nil
}

// kinds returns the kinds that an inventory must contain, with a number that every machine exceeds, so that an empty list is
// noticed.
func kinds() map[string]int {
	return map[string]int{"package": 100, "mark": 1, "user": 15, "group": 30, "shadow": 15, "unit-file": 100, "unit": 50, "sysctl": 100, "sysctl.d": 0, "file": 5000, "content": 4000}
}

// compareInventories reports each difference that is not allowed.
func compareInventories(t *testing.T, golden, stock inventory) {
	t.Helper()
	counts := map[string]int{}
	for key := range golden {
		kind, _, _ := strings.Cut(key, " ")
		counts[kind]++
	}
	for kind, more := range kinds() {
		if counts[kind] <= more {
			t.Errorf("the inventory has %d of kind %s, want more than %d", counts[kind], kind, more)
		}
	}
	all := maps.Clone(golden)
	maps.Copy(all, stock)
	used := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		g, inGolden := golden[key]
		s, inStock := stock[key]
		if inGolden == inStock && g == s {
			continue
		}
		if pattern := allowedDifference(key); pattern != "" {
			used[pattern]++
			continue
		}
		t.Errorf("%s: golden %s, stock %s", key, shown(g, inGolden), shown(s, inStock))
	}
	t.Logf("%v compared", counts)
	for _, a := range allowedDifferences() {
		t.Logf("allowed, found %d times: %s (%s)", used[a.pattern], a.pattern, a.reason)
	}
}

func shown(value string, there bool) string {
	if !there {
		return "has none"
	}
	return fmt.Sprintf("has %q", value)
}
