package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/archive"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
)

// bootstrapSize is the size of the disk of a bootstrapped base, in bytes. It has room for the packages; cloud-init grows the
// root file system at first boot.
const bootstrapSize = 2 << 30

// basePackages returns the packages of a system that boots in a virtual machine and gets its identity from cloud-init.
func basePackages(r release.Release) []string {
	list := []string{
		"systemd", "systemd-sysv", "udev", "dbus", r.Kernel, "initramfs-tools", "e2fsprogs", "kmod",
		"zstd",                                            // compresses the initramfs of each kernel much faster than gzip
		"grub-pc", "shim-signed", "grub-efi-amd64-signed", // for BIOS, and for UEFI with or without secure boot
		"cloud-init", "cloud-guest-utils", "fdisk", "netplan.io", "systemd-timesyncd", "openssh-server", "sudo",
		"iproute2", "iputils-ping", "procps", "ca-certificates", "nftables", "apt-utils",
		"lsb-release", // without it, cloud-init logs a warning, and its status becomes "degraded"
	}
	if r.Systemd.AtLeast(250, 0, 0) {
		list = append(list, "systemd-resolved") // in earlier releases it is part of the package systemd
	}
	return list
}

// bootstrapper bootstraps a base image.
type bootstrapper struct {
	o       *Options
	sources string // for apt; if empty, mmdebstrap writes its own default
}

// bootstrapBase bootstraps the base image, or finds it in the cache, and opens it. The digest in info is that of all inputs
// of the bootstrap.
func bootstrapBase(ctx context.Context, o *Options) (file *os.File, info BaseInfo, err error) {
	b, err := newBootstrapper(ctx, o)
	if err != nil {
		return nil, info, err
	}
	digest := b.digest()
	info = BaseInfo{Source: Bootstrap, Digest: "sha256:" + digest}
	name := "bootstrap-" + o.Release.Name + "-" + digest[:16] + ".raw"
	if file, err = o.cachedBootstrap(ctx, name); file != nil || err != nil {
		return file, info, err
	}
	// While this process waited for the lock, another one may have made the base.
	unlock, err := archive.Lock(ctx, filepath.Join(o.CacheDir, name+".lock"))
	if err != nil {
		return nil, info, err
	}
	defer unlock()
	if file, err = o.cachedBootstrap(ctx, name); file != nil || err != nil {
		return file, info, err
	}
	if err := b.make(ctx, filepath.Join(o.CacheDir, name)); err != nil {
		return nil, info, err
	}
	file, err = o.cached(name)
	return file, info, err
}

// newBootstrapper finds out which suites the archive has.
func newBootstrapper(ctx context.Context, o *Options) (*bootstrapper, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("cannot bootstrap on %s: only amd64 is supported; name an image with --base", runtime.GOARCH)
	}
	b := &bootstrapper{o: o}
	all, options := o.suites()
	if all == nil {
		return b, nil
	}
	found, err := archive.Reachable(ctx, o.client(), all, o.leaveOut)
	if err != nil {
		return nil, err
	}
	b.sources = archive.AptSources(found, o.Release, options)
	return b, nil
}

// leaveOut reports that the image will not have a suite.
func (o *Options) leaveOut(s archive.Suite) {
	_ = o.stage(fmt.Sprintf("warning: %s is not used: the archive %s does not have it", s.Name, s.Archive), func() error { return nil })
}

// digest returns the digest of everything that determines the base.
func (b *bootstrapper) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %q %q %q %q %+v %q\n", b.o.Release.Name, bootstrapSize, partitionTable, b.sources, basePackages(b.o.Release), grubScript,
		espFiles(b.o.Release), espConfig)
	for _, f := range b.files() {
		fmt.Fprintf(h, "%q %q\n", f.path, f.content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (b *bootstrapper) make(ctx context.Context, file string) error {
	disk, err := newScratch(b.o.CacheDir)
	if err != nil {
		return err
	}
	defer disk.discard()
	if err := format(ctx, disk.File, bootstrapSize, b.digest()); err != nil {
		return err
	}
	parts, err := partitions(ctx, disk.File)
	if err != nil {
		return err
	}
	opened, err := newOpened(disk.File, parts)
	if err != nil {
		return err
	}
	err = b.fill(ctx, opened)
	if err := errors.Join(err, opened.close()); err != nil {
		return err
	}
	content, err := contentDigest(ctx, disk.File)
	if err != nil {
		return fmt.Errorf("cannot read the new base: %w", err)
	}
	if err := disk.publish(file, 0o600); err != nil {
		return err
	}
	return b.o.keepDigest(file, content)
}

func (b *bootstrapper) fill(ctx context.Context, o *opened) error {
	if err := o.mountNew(); err != nil {
		return err
	}
	if err := b.mmdebstrap(ctx, o); err != nil {
		return err
	}
	disk, err := o.attach(partition{}, false) // the whole disk, for grub
	if err != nil {
		return err
	}
	opts := *b.o
	opts.Epoch = time.Unix(0, 0) // so that bakes with other epochs can share the base
	m, closeMachine, err := newMachine(o, &opts, true)
	if err != nil {
		return err
	}
	for _, f := range b.files() {
		if err := o.root.mkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			return err
		}
		if err := m.Upload(ctx, f.path, 0o644, strings.NewReader(f.content)); err != nil {
			return err
		}
	}
	script := install.Script(fmt.Sprintf(grubScript, disk.alias()))
	err = install.Do(ctx, m, []install.Step{{Name: "install the boot loader", Run: script}}, b.o.Report)
	if err == nil {
		err = b.fillESP(ctx, o)
	}
	return errors.Join(err, closeMachine())
}

// mountNew mounts the only ext4 partition of a new disk. It turns off barriers, because nothing has to be durable before the
// end.
func (o *opened) mountNew() error {
	for _, p := range o.parts {
		if p.fs == nil {
			continue
		}
		l, err := o.attach(p, false)
		if err != nil {
			return err
		}
		o.device, o.uuid = l, p.fs.uuid
		if err := o.mount(l.path(), rootDir, "ext4", unix.MS_NOATIME, "nobarrier,"+onError); err != nil {
			return err
		}
		return o.openRoot()
	}
	return errNoRoot
}

// mmdebstrap unpacks and configures the packages in the mounted file system. Its temporary files are in the mount namespace.
func (b *bootstrapper) mmdebstrap(ctx context.Context, o *opened) error {
	path, err := lookTool("mmdebstrap")
	if err != nil {
		return err
	}
	r := b.o.Release
	keys, err := archive.Keyring(ctx, r)
	if err != nil {
		return err
	}
	keyring := tempDir + "/archive.gpg" // apt's own user can read it
	if err := o.ns.do(func() error { return os.WriteFile(keyring, keys, 0o644) }); err != nil {
		return fmt.Errorf("cannot keep the keys of %s: %w", r.Name, err)
	}
	args := []string{"--", path, "--mode=root", "--format=directory", "--variant=minbase", "--architectures=amd64",
		"--keyring=" + keyring, "--components=" + strings.Join(r.Components, ","), "--include=" + strings.Join(basePackages(r), ","),
		// Without this answer, grub-pc's postinst script asks for a disk to write to.
		`--essential-hook=echo grub-pc grub-pc/install_devices_empty boolean true | chroot "$1" debconf-set-selections`,
		r.Name, rootDir}
	if b.sources != "" {
		args = append(args, "-") // "-" is standard input
	}
	cmd, err := sandbox(ctx, args...)
	if err != nil {
		return err
	}
	cmd.Env = append(append(toolEnv(), "TMPDIR="+tempDir, "SOURCE_DATE_EPOCH=0"), b.o.Env...)
	if b.o.packages != nil {
		cmd.Env = append(cmd.Env, "http_proxy="+b.o.packages.proxy) // not as an option of apt, which mmdebstrap would leave in the image
	}
	cmd.Stdin = strings.NewReader(b.sources)
	return install.Output("bootstrap "+r.Name, b.o.Report, func(w *install.Lines) error {
		cmd.Stdout, cmd.Stderr = w, w
		err := o.run(cmd)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	})
}

// file is a file of a bootstrapped base.
type file struct{ path, content string }

func (b *bootstrapper) files() []file {
	all := []file{
		{"/etc/fstab", "LABEL=" + rootLabel + " / ext4 defaults,errors=remount-ro 0 1\n" +
			// The boot loader's packages write to this partition. A machine without it, or with a damaged one, must still
			// boot. No unit waits for it, so it needs no shorter timeout, which a slow machine could miss.
			"LABEL=" + espLabel + " /boot/efi vfat umask=0077,nofail 0 0\n"},
		{"/etc/hostname", "localhost\n"},
		{"/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"},
		{"/etc/default/locale", "LANG=C.UTF-8\n"},
		// Since Ubuntu 24.04, systemd-tmpfiles replaces /etc/default/locale by a link to /etc/locale.conf at the first boot.
		{"/etc/locale.conf", "LANG=C.UTF-8\n"},
		{"/etc/cloud/cloud.cfg.d/50_hapair_base.cfg", "# A minimal system has no other locale, and making one would fail.\nlocale: C.UTF-8\n"},
		{"/etc/default/grub.d/50_hapair.cfg", grubDefaults},
	}
	if b.sources != "" {
		all = append(all, file{aptSourcesPath, b.sources})
	}
	return all
}

const grubDefaults = `# A virtual machine: no menu to wait for, and the console on the serial port as well.
GRUB_TIMEOUT=0
# Ubuntu's grub would wait 30 s for a key after a boot that did not end well, such as one that a power cut ended.
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200"
GRUB_DISABLE_OS_PROBER=true
`

// grubScript ends a bootstrap, in the chroot. The %s is the loop device of the whole disk. grub-install sees the root file
// system as a loop device without partitions, so it must be told to include part_gpt.
const grubScript = `set -eu
if [ -e /lib/systemd/system/systemd-resolved.service ]; then
	ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
fi
systemctl enable systemd-networkd.service
grub-install --target=i386-pc --boot-directory=/boot --skip-fs-probe --grub-mkdevicemap=/dev/null --modules='part_gpt ext2' /dev/%s
# The signed grub has most modules in it; without secure boot it loads others, such as bli, from here.
mkdir -p /boot/grub/x86_64-efi
cp /usr/lib/grub/x86_64-efi/*.mod /usr/lib/grub/x86_64-efi/*.lst /boot/grub/x86_64-efi/
update-grub
# It ends well when it finds no kernel.
grep -q '^[[:space:]]*linux.* root=UUID=' /boot/grub/grub.cfg || { echo 'no kernel in grub.cfg' >&2; exit 1; }
`
