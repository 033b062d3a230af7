package matrix

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// Broken ends of files, with errors that the daemons' own tests find.
const (
	nonsense   = "\nfrontend broken\n    bind nonsense\n"
	unfinished = "\nvrrp_instance {\n"
	noWorker   = "global\n    stats socket /proc/x.sock\n"
)

func editRows() []row {
	var all []row
	for _, e := range cluster.Edits() {
		all = append(all, row{name: "broken haproxy.cfg, saved " + e.Name, lossless: true, harm: refused(e, haproxyCfg, func(s string) string { return s + nonsense })})
	}
	all = append(all,
		row{name: "broken keepalived.conf on the holder", lossless: true, harm: refused(cluster.ByRename(), keepalivedConf, func(s string) string { return s + unfinished })},
		row{name: "haproxy.cfg is empty", lossless: true, harm: refused(cluster.Edits()[1], haproxyCfg, empty)},
		row{name: "keepalived.conf is empty", lossless: true, harm: refused(cluster.Edits()[1], keepalivedConf, empty)},
		row{name: "haproxy.cfg is removed", lossless: true, harm: removed(haproxyCfg)},
		row{name: "keepalived.conf is removed", lossless: true, harm: removed(keepalivedConf)},
		row{name: "both files broken at once", lossless: true, harm: bothBroken},
		row{name: "half a haproxy.cfg, finished after 2 s", lossless: true, harm: halfWritten},
		row{name: "`haproxy -c` passes, and cannot be bound: another program has the address", lossless: true, harm: taken},
		row{name: "`haproxy -c` passes, no worker starts, systemd calls the reload done", harm: unstartable},
		row{name: "/etc/haproxy swapped for a symbolic link, then for a broken one", lossless: true, harm: swapped},
		row{name: "1,000 writes in 10 s", lossless: true, harm: storm},
		row{name: "100 good reloads in a row", lossless: true, harm: hundred},
	)
	return inGroup("Edits of the files", all)
}

func inGroup(name string, rows []row) []row {
	for i := range rows {
		rows[i].group = name
	}
	return rows
}

func empty(string) string { return "" }

// refused saves a file that is refused. The file must stay as saved, and nothing else may happen.
func refused(e cluster.Edit, path string, breaks func(string) string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		n, err := number(r.holder)
		if err != nil {
			return err
		}
		content := breaks(r.original[r.holder.Name][path])
		if err := r.save(ctx, e, path, content); err != nil {
			return err
		}
		if _, err := r.saying(ctx, n, journal.Refused); err != nil {
			return err
		}
		now, err := r.holder.ReadFile(path)
		if err != nil || string(now) != content {
			return fmt.Errorf("%s is not as it was saved (%w)", path, err)
		}
		r.end = "the old one serves; the file stays as it was saved"
		return nil
	}
}

func removed(path string) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		n, err := number(r.holder)
		if err == nil {
			err = sh(ctx, r.holder, `rm "$1"`, path)
		}
		if err == nil {
			_, err = r.saying(ctx, n, journal.Refused)
		}
		r.end = "the old one serves"
		return err
	}
}

func bothBroken(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	original := r.original[r.holder.Name]
	r.saved(haproxyCfg, original[haproxyCfg]+nonsense)
	r.saved(keepalivedConf, original[keepalivedConf]+unfinished)
	if err := cluster.Pipe(ctx, r.holder, original[haproxyCfg]+nonsense, `cat >/run/h`); err != nil {
		return err
	}
	if err := cluster.Pipe(ctx, r.holder, original[keepalivedConf]+unfinished, `cat >/run/k`); err != nil {
		return err
	}
	if err := sh(ctx, r.holder, `cat /run/h >"$1"; cat /run/k >"$2"`, haproxyCfg, keepalivedConf); err != nil {
		return err
	}
	c, err := r.saying(ctx, n, journal.Refused)
	if err == nil && len(c.Targets) != 2 {
		err = fmt.Errorf("the files were not in one change: %+v", c)
	}
	r.end = "the old ones serve; both files stay as they were saved"
	return err
}

// halfWritten stops in the middle of a line, like a program whose buffer is full.
func halfWritten(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	content := cluster.Marked(r.original[r.holder.Name][haproxyCfg], "finished")
	half := strings.Index(content, "frontend web") + len("fron")
	if err := cluster.Pipe(ctx, r.holder, content[:half], `cat >"$1"`, haproxyCfg); err != nil {
		return err
	}
	if _, err := r.saying(ctx, n, journal.Refused); err != nil {
		return err
	}
	said := r.said
	if err := cluster.Pipe(ctx, r.holder, content[half:], `sleep 2; cat >>"$1"`, haproxyCfg); err != nil {
		return err
	}
	if _, err := r.saying(ctx, n, journal.Proven); err != nil {
		return err
	}
	r.said = said + "; then " + r.said
	r.end = "the finished one serves"
	return r.serves(ctx, "finished")
}

func taken(ctx context.Context, r *run) error {
	const script = `systemd-run --quiet --unit=squatter socat "$1,bind=$2" -
until ss -Hltn "src $2:5999" | grep -q LISTEN; do sleep 0.02; done`
	vip, listen := r.Family.Addresses(cluster.VIP), "TCP4-LISTEN:5999"
	address := vip[len(vip)-1].String()
	if vip[len(vip)-1].Is6() {
		address, listen = "["+address+"]", "TCP6-LISTEN:5999"
	}
	if err := sh(ctx, r.holder, script, listen, address); err != nil {
		return err
	}
	err := refused(cluster.ByRename(), haproxyCfg, func(s string) string {
		return s + "\nfrontend taken\n    mode http\n    bind " + address + ":5999\n"
	})(ctx, r)
	if err != nil {
		return err
	}
	return sh(ctx, r.holder, "systemctl stop squatter")
}

// unstartable names a socket that cannot be created, which only a starting worker finds.
func unstartable(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	content := strings.Replace(r.original[r.holder.Name][haproxyCfg], "global\n", noWorker, 1)
	if err := r.save(ctx, cluster.ByRename(), haproxyCfg, content); err != nil {
		return err
	}
	if _, err := r.saying(ctx, n, journal.RolledBack); err != nil {
		return err
	}
	now, err := r.holder.ReadFile(haproxyCfg)
	if err != nil || string(now) != r.original[r.holder.Name][haproxyCfg] {
		return fmt.Errorf("the last known good %s is not back (%w)", haproxyCfg, err)
	}
	r.end = "the old one serves and is back in place; the new one is set aside"
	return nil
}

// swapped replaces directories like Kubernetes' mounts do, first with good files and then with bad ones.
func swapped(ctx context.Context, r *run) error {
	n, err := number(r.holder)
	if err != nil {
		return err
	}
	original := r.original[r.holder.Name][haproxyCfg]
	const second = `cp -a /etc/haproxy /etc/haproxy.2; cat >/etc/haproxy.2/haproxy.cfg
mv /etc/haproxy /etc/haproxy.1; ln -s haproxy.2 /etc/haproxy`
	if err := cluster.Pipe(ctx, r.holder, cluster.Marked(original, "swapped"), second); err != nil {
		return err
	}
	c, err := r.saying(ctx, n, journal.Proven)
	if err != nil {
		return err
	}
	if err := r.serves(ctx, "swapped"); err != nil {
		return err
	}
	const third = `cp -a /etc/haproxy.2 /etc/haproxy.3; cat >/etc/haproxy.3/haproxy.cfg
ln -s haproxy.3 /etc/haproxy.new; mv -T /etc/haproxy.new /etc/haproxy`
	if err := cluster.Pipe(ctx, r.holder, original+nonsense, third); err != nil {
		return err
	}
	if _, err := r.saying(ctx, c.Number, journal.Refused); err != nil {
		return err
	}
	if err := r.serves(ctx, "swapped"); err != nil {
		return err
	}
	r.end = "the first one it was swapped for serves"
	return sh(ctx, r.holder, `rm /etc/haproxy; mv /etc/haproxy.1 /etc/haproxy; rm -r /etc/haproxy.2 /etc/haproxy.3`)
}

// storm writes a thousand good files, a hundred per second.
func storm(ctx context.Context, r *run) error {
	before, err := reloads(ctx, r.holder)
	if err != nil {
		return err
	}
	const script = `cat >/run/storm; exec perl -MTime::HiRes=sleep,time -e '
	local $/; open F, "</run/storm" or die; my $all = <F>; my $begin = time;
	for my $i (1 .. 1000) {
		(my $text = $all) =~ s/string storm/string storm-$i/;
		open O, ">$ARGV[0].new" or die; print O $text; close O or die;
		rename "$ARGV[0].new", $ARGV[0] or die;
		my $rest = $begin + $i / 100 - time; sleep $rest if $rest > 0;
	}' "$1"`
	if err := cluster.Pipe(ctx, r.holder, cluster.Marked(r.original[r.holder.Name][haproxyCfg], "storm"), script, haproxyCfg); err != nil {
		return err
	}
	wrote := time.Now()
	if err := r.serves(ctx, "storm-1000"); err != nil {
		return err
	}
	took := time.Since(wrote)
	if err := r.proven(ctx); err != nil {
		return err
	}
	after, err := reloads(ctx, r.holder)
	r.said = "good: what runs is what is on the disk"
	r.end = fmt.Sprintf("the last one serves, %d ms after it was written; haproxy was reloaded %d times", took.Milliseconds(), after-before)
	return err
}

// reloads returns how often haproxy was reloaded since the host booted.
func reloads(ctx context.Context, h *lab.Host) (n int, err error) {
	out, err := h.Must(ctx, "sh", "-c", "journalctl -b -o cat -u haproxy.service | grep -c ^Reloaded || :")
	if err == nil {
		_, err = fmt.Sscan(out, &n)
	}
	return n, err
}

// hundred saves a hundred good files, each when the previous one serves.
func hundred(ctx context.Context, r *run) error {
	for i := range 100 {
		n, err := number(r.holder)
		if err != nil {
			return err
		}
		mark := fmt.Sprintf("reload-%d", i)
		if err := r.save(ctx, cluster.ByRename(), haproxyCfg, cluster.Marked(r.original[r.holder.Name][haproxyCfg], mark)); err != nil {
			return err
		}
		if err := r.judged(ctx, n, journal.Proven); err != nil {
			return err
		}
	}
	if _, err := r.saying(ctx, 0, journal.Proven); err != nil {
		return err
	}
	r.end = "the last one serves"
	return r.serves(ctx, "reload-99")
}
