package strictyaml

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// bomb returns levels of aliases, of which each doubles the one before: they represent 2^levels values.
func bomb(levels, width int) string {
	var b strings.Builder
	b.WriteString("l0: &l0 [x]\n")
	for i := 1; i <= levels; i++ {
		fmt.Fprintf(&b, "l%d: &l%d [%s*l%d]\n", i, i, strings.Repeat(fmt.Sprintf("*l%d, ", i-1), width-1), i-1)
	}
	fmt.Fprintf(&b, "free: {bomb: *l%d}\n", levels)
	return b.String()
}

// fillSize is the size of the hostile files: that of the largest file or, in the unit tier, an eighth of it.
var fillSize = func() int {
	if os.Getenv("HAPAIR_TEST") == "" {
		return MaxSize / 8
	}
	return MaxSize
}()

// hostile are files that would take a simple reader endless time or memory.
func hostile() map[string]string {
	fill := func(unit string) string { return strings.Repeat(unit, fillSize/len(unit)) }
	mib := func(s string) string { return s[:min(len(s), fillSize)] }
	return map[string]string{
		"aliases":              bomb(40, 9),
		"alias of itself":      "free: &a {b: *a, c: *a}\n",
		"alias of a list":      "free: &a {l: [*a, *a, *a]}\n",
		"long text by aliases": "name: &t " + strings.Repeat("x", 500_000) + "\nfree: {l: [" + strings.TrimSuffix(strings.Repeat("*t, ", 100_000), ", ") + "]}\n",
		"flow depth":           mib("free: " + fill("[")),
		"mapping depth":        mib("free: " + fill("{a: ")),
		"block depth":          mib("free:\n  " + fill("- ")),
		"explicit keys":        mib(fill("? ")),
		"many values":          mib("free: {l: [" + fill("a,")),
		"many closed values":   "free: {l: [" + fill("a,")[:fillSize-20] + "]}",
		"many keys":            mib("free:\n" + fill("  a: b\n")),
		"many unknown keys":    manyKeys(),
		"one long line":        "{" + manyFlowKeys() + "}",
		"long key":             mib("? " + fill("k") + "\n: v"),
		"comments":             mib("name: a\n" + fill("#\n")),
		"comment blocks":       mib("name: a\n" + fill("# a\n\n")),
		"indented comments":    mib("name: a\nfree:\n" + fill("  a:\n  #\n")),
		"blank lines":          mib("name: |\n" + fill("\n")),
		"documents":            mib(fill("---\n")),
		"anchors":              mib("free: {l: [" + fill("&a b,")),
		"quotes":               mib(fill(`"`)),
		"colons":               mib(fill(": ")),
		"dashes":               mib(fill("-\n")),
		"secrets":              mib("stats:\n" + fill(" password: {a: b}\n")),
		"deep secrets":         deepLines(),
		"broken at the end":    mib("free:\n" + fill("  - {a: b}\n"))[:fillSize-100] + "\n bad",
		"too large":            strings.Repeat("a", MaxSize+1),
	}
}

func manyKeys() string {
	var b strings.Builder
	for i := 0; b.Len() < fillSize-20; i++ {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	return b.String()
}

func manyFlowKeys() string {
	var b strings.Builder
	for i := 0; b.Len() < fillSize-20; i++ {
		fmt.Fprintf(&b, "key%d: 1, ", i)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func deepLines() string {
	var b strings.Builder
	for i := 0; b.Len() < fillSize-2000; i++ {
		b.WriteString(strings.Repeat(" ", i%1000) + "password:\n")
	}
	return b.String()
}

// Each file must be read or refused within limits of time and memory. The limits are generous, because they must only
// distinguish from endless.
func TestHostileInput(t *testing.T) {
	const seconds, mib = 30, 512
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			var v sample
			problems := Decode("hostile.yaml", []byte(text), &v).Problems()
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%s, %d MiB, %d problems", took.Round(time.Millisecond), allocated, len(problems))
			if took > seconds*time.Second || allocated > mib {
				t.Errorf("took %s and %d MiB, at most %ds and %d MiB", took, allocated, seconds, mib)
			}
			size := 0
			for _, p := range problems {
				size += len(p.String()) + len(p.Source) + len(p.Hint)
			}
			if size > 256<<10 {
				t.Errorf("the problems have %d bytes", size)
			}
		})
	}
}
