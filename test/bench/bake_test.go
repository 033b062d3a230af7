package bench

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	specs "github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/packertest"
	"github.com/hapair/hapair/test/cluster"
)

const aboutBake = `How long ` + "`bake image`" + ` takes to make a golden image of a release from a cached base image, compared with the minimum: a script that
copies the same base, installs the same packages with apt, and writes a compressed qcow2, without any check, sealing or confinement.
Both use apt's package lists and packages from the previous run. They run alternately, %d times each, after one run that is not
counted. The times of the single steps are from the median run. Packer's QEMU builder boots the same base as a machine and runs our
provisioner on it: once, because without KVM (tcg) that takes minutes.`

// bakes is the number of runs of each way.
const bakes = 5

//go:embed floor.sh
var floorScript string

// BenchmarkBake compares baking golden images with the minimum.
func BenchmarkBake(b *testing.B) {
	table := found.table(Table{Name: "bake", Title: "Baking a golden image", Unit: "ms", What: "release", About: fmt.Sprintf(aboutBake, bakes)})
	bake := cluster.Build(b, spec("250ms"))
	for _, name := range []string{"noble"} {
		b.Run(name, func(b *testing.B) {
			r, err := release.Get(name)
			if err != nil {
				b.Fatal(err)
			}
			ways := []bakeWay{{name: "bake image", run: func(ctx context.Context) (steps, error) { return bakeGolden(ctx, bake, name) }}}
			if _, err := ways[0].run(b.Context()); err != nil { // this caches the base image
				b.Fatal(err)
			}
			f := newFloor(b, bake, r)
			ways = append(ways, bakeWay{name: "floor", run: f.run})
			if _, err := f.run(b.Context()); err != nil {
				b.Fatal(err)
			}
			for range bakes {
				for i := range ways {
					if err := ways[i].measure(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			qemu := bakeWay{name: "Packer's QEMU builder", run: newPackerQEMU(b, bake, f.base, name)}
			if err := qemu.measure(b.Context()); err != nil {
				b.Fatal(err)
			}
			ways = append(ways, qemu)
			for _, w := range ways {
				table.add(name, w.name, w.sample())
				tell("%s of %s: %s ms: %s", w.name, name, cell(w.sample()), w.sample().Note)
				b.ReportMetric(w.sample().Median(), strings.ReplaceAll(w.name, " ", "-")+"-ms")
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ways[0].sample().Median()/ways[1].sample().Median(), "times-the-floor")
		})
	}
}

// steps are the steps of a bake, with their durations.
type steps []step

type step struct {
	name string
	took time.Duration
}

// bakeWay is a way to make an image, with the durations of its runs.
type bakeWay struct {
	name string
	run  func(context.Context) (steps, error)
	took []time.Duration
	did  []steps
}

func (w *bakeWay) measure(ctx context.Context) error {
	start := time.Now()
	did, err := w.run(ctx)
	w.took, w.did = append(w.took, time.Since(start)), append(w.did, did)
	return err
}

// sample adds a note with the longest steps of the median run.
func (w *bakeWay) sample() Sample {
	var s Sample
	for _, d := range w.took {
		s.Values = append(s.Values, milliseconds(d))
	}
	middle := slices.Index(w.took, slices.Sorted(slices.Values(w.took))[len(w.took)/2])
	longest := slices.Clone(w.did[middle])
	slices.SortStableFunc(longest, func(a, b step) int { return int(b.took - a.took) })
	var notes []string
	for _, st := range longest[:min(len(longest), 6)] {
		notes = append(notes, fmt.Sprintf("%s %.1f s", st.name, st.took.Seconds()))
	}
	s.Note = strings.Join(notes, ", ")
	return s
}

// stepLine matches the line of a finished step in the output of bake image without a terminal.
var stepLine = regexp.MustCompile(`^ *([0-9.]+)s  (.*)$`)

// golden is the path of the baked image.
func golden(bake *cluster.Bake) string { return filepath.Join(bake.Dir, "golden.qcow2") }

func bakeGolden(ctx context.Context, bake *cluster.Bake, releaseName string) (steps, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bake.Dir, "bake"), "image", bake.Spec, "--release", releaseName,
		"-o", golden(bake)).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("bake image: %w\n%s", err, out)
	}
	var did steps
	for s := bufio.NewScanner(strings.NewReader(string(out))); s.Scan(); {
		m := stepLine.FindStringSubmatch(s.Text())
		if m == nil || strings.HasSuffix(m[2], " ...") {
			continue
		}
		took, err := time.ParseDuration(m[1] + "s")
		if err != nil {
			return nil, err
		}
		did = append(did, step{strings.Fields(m[2])[0] + " " + lastWord(m[2]), took})
	}
	return did, nil
}

// lastWord shortens the name of a step, which may end in a path.
func lastWord(s string) string {
	fields := strings.Fields(s)
	return filepath.Base(fields[len(fields)-1])
}

// floor is the minimum: a script that makes an image.
type floor struct {
	base        string
	start, size int64 // of the root's partition, in bytes
	kept        string
	packages    []string
}

func newFloor(b *testing.B, bake *cluster.Bake, r release.Release) *floor {
	b.Helper()
	s, problems := specs.Load(bake.Spec)
	if s == nil {
		b.Fatal(problems)
	}
	what, err := recipe.Image(s, r)
	if err != nil {
		b.Fatal(err)
	}
	f := &floor{base: cachedBase(b, golden(bake)), kept: b.TempDir(), packages: what.Packages}
	if f.start, f.size, err = largestPartition(b.Context(), f.base); err != nil {
		b.Fatal(err)
	}
	return f
}

// cachedBase returns the path of the base in the cache from which an image was baked.
func cachedBase(b *testing.B, baked string) string {
	b.Helper()
	cache, err := lab.CacheDir()
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.ReadFile(image.ManifestPath(baked))
	if err != nil {
		b.Fatal(err)
	}
	var m image.Manifest
	if err := json.Unmarshal(content, &m); err != nil {
		b.Fatal(err)
	}
	digest, _ := strings.CutPrefix(m.Base.Digest, "sha256:")
	return filepath.Join(cache, "bootstrap-"+m.Release+"-"+digest[:16]+".raw")
}

// largestPartition returns start and size of the largest partition, in bytes.
func largestPartition(ctx context.Context, disk string) (start, size int64, err error) {
	out, err := exec.CommandContext(ctx, "sfdisk", "--json", disk).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("sfdisk: %w", err)
	}
	var table struct {
		PartitionTable struct {
			SectorSize int64
			Partitions []struct{ Start, Size int64 }
		}
	}
	if err := json.Unmarshal(out, &table); err != nil {
		return 0, 0, err
	}
	sector := table.PartitionTable.SectorSize
	for _, p := range table.PartitionTable.Partitions {
		if p.Size*sector > size {
			start, size = p.Start*sector, p.Size*sector
		}
	}
	return start, size, nil
}

func (f *floor) run(ctx context.Context) (steps, error) {
	work, err := os.MkdirTemp("", "hapair-floor-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	args := append([]string{"--mount", "--propagation", "private", "sh", "-c", floorScript, "sh", f.base,
		fmt.Sprint(f.start), fmt.Sprint(f.size), f.kept, work}, f.packages...)
	out, err := exec.CommandContext(ctx, "unshare", args...).CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(work, "log"))
		return nil, fmt.Errorf("the floor: %w\n%s\n%s", err, out, log)
	}
	var did steps
	for line := range strings.Lines(string(out)) {
		var name string
		var took int64
		if _, err := fmt.Sscan(line, &name, &took); err != nil {
			return nil, fmt.Errorf("the floor printed %q: %w", line, err)
		}
		did = append(did, step{name, time.Duration(took)})
	}
	return did, nil
}

// accelerator returns what QEMU uses on this machine.
func accelerator() string {
	if _, err := os.Stat("/dev/kvm"); err == nil {
		return "kvm"
	}
	return "tcg"
}

// newPackerQEMU writes the files of a build with Packer's builder for QEMU, and returns a function that runs it.
func newPackerQEMU(b *testing.B, bake *cluster.Bake, base, releaseName string) func(context.Context) (steps, error) {
	b.Helper()
	env := packertest.Plugin(b)
	packertest.Qemu(b, env)
	dir := filepath.Join(bake.Dir, "qemu")
	out, err := exec.CommandContext(b.Context(), filepath.Join(bake.Dir, "bake"), "packer", bake.Spec, "-o", dir, "--builder", "qemu", "--release", releaseName).CombinedOutput()
	if err != nil {
		b.Fatalf("bake packer: %v\n%s", err, out)
	}
	return func(ctx context.Context) (steps, error) {
		start := time.Now()
		out, err := packertest.Run(ctx, b, env, dir, "build", "-var", "base="+base, "-var", "base_checksum=none", "-var", "accelerator="+accelerator(), "-var", "disk_size=2G", ".")
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		return steps{{"packer build with " + accelerator(), time.Since(start)}}, nil
	}
}
