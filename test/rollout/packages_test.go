package rollout

import (
	"context"
	"strings"
	"testing"
)

// repack defines shell functions. "repack NAME" makes the directory $root with the files and scripts of an installed package, and
// "build VERSION FILE" makes a package of it.
const repack = `repack() {
	root=$(mktemp -d)
	mkdir -p $root/DEBIAN
	chmod 755 $root $root/DEBIAN
	dpkg-query -L $1 | while read -r f; do
		if [ -d "$f" ] && [ ! -L "$f" ]; then mkdir -p "$root$f"; fi
		if [ ! -d "$f" ] && { [ -L "$f" ] || [ -f "$f" ]; }; then mkdir -p "$root${f%/*}"; cp -a "$f" "$root$f"; fi
	done
	dpkg-query -s $1 | sed '/^Status:/d; /^Conffiles:/d; /^ \/etc\//d' >$root/DEBIAN/control
	for script in preinst postinst prerm postrm triggers; do
		if [ -e /var/lib/dpkg/info/$1.$script ]; then cp -p /var/lib/dpkg/info/$1.$script $root/DEBIAN/$script; fi
	done
	if [ -e /var/lib/dpkg/info/$1.conffiles ]; then
		while read -r f; do if [ -e "$root$f" ]; then echo "$f"; fi; done </var/lib/dpkg/info/$1.conffiles >$root/DEBIAN/conffiles
	fi
}
build() {
	sed -i "s/^Version: .*/Version: $1/" $root/DEBIAN/control
	dpkg-deb --root-owner-group -Zgzip --build $root $2
}
`

// newer makes newer packages of those that are installed, with the same files and scripts, and an archive of them that counts as
// one of security updates. The node's own archives cannot be reached from the lab, and are put aside.
const newer = repack + `archive=/srv/noble-security
mkdir -p $archive /run/aside
cd $archive
for name in haproxy keepalived; do
	repack $name
	build "$(dpkg-query -W -f '${Version}' $name)+newer" $name.deb
	{ dpkg-deb -f $name.deb; echo "Filename: ./$name.deb"; echo "Size: $(stat -c %s $name.deb)"; echo "SHA256: $(sha256sum <$name.deb | cut -d' ' -f1)"; echo; } >>Packages
done
mv /etc/apt/sources.list* /run/aside/
mkdir -p /etc/apt/sources.list.d
echo "deb [trusted=yes] file:$archive ./" >/etc/apt/sources.list`

// packagesUpgraded upgrades haproxy and keepalived on both nodes.
func packagesUpgraded(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(208)))
	before := map[string]string{}
	const versions = `dpkg-query -W -f '${Package} ${Version} ${Status}\n' haproxy keepalived; systemctl show -P ExecMainStartTimestamp keepalived`
	for _, h := range p.hosts() {
		out, err := h.Must(t.Context(), "sh", "-euc", versions)
		if err != nil {
			t.Fatal(err)
		}
		before[h.Name] = out
		if out, err := h.Must(t.Context(), "sh", "-euc", newer); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		defer func() {
			const undo = `rm -r /etc/apt/sources.list*; mv /run/aside/* /etc/apt/; rm -r /srv/noble-security`
			if _, err := h.Must(context.WithoutCancel(t.Context()), "sh", "-euc", undo); err != nil {
				t.Error(err)
			}
		}()
	}
	if out := p.rollout(t, 0, "--packages"); strings.Count(out, "+newer (security update)") != 8 { // announced and done, two on each node
		t.Errorf("not all packages were upgraded: %s", out)
	}
	for _, h := range p.hosts() {
		out, err := h.Must(t.Context(), "sh", "-euc", versions)
		if err != nil {
			t.Fatal(err)
		}
		// haproxy's package only reloads haproxy.
		was, is := strings.Split(before[h.Name], "\n"), strings.Split(out, "\n")
		if strings.Count(out, "+newer hold ok installed") != 2 || was[2] == is[2] {
			t.Errorf("%s does not run newer packages that are held: before\n%sand now\n%s", h.Name, before[h.Name], out)
		}
	}
	p.want(t, p.before.Number, "+newer", 0)
	p.end = "both run the newer packages"
}
