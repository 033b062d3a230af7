package image

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// snapshotFormat names a snapshot in an archive's address.
const snapshotFormat = "20060102T150405Z"

// ParseSnapshot reads a time of an archive: a day (2026-01-31, its first second in UTC), a time of RFC 3339, or a
// snapshot's name (20260131T000000Z). It returns the name; empty stays empty. A time after now is an error, and so is a base
// that is not bootstrapped: only a bootstrapped image has its packages from a snapshot.
func ParseSnapshot(s, base string, now time.Time) (string, error) {
	switch {
	case s == "":
		return "", nil
	case base != Bootstrap:
		return "", fmt.Errorf("cannot use the snapshot %q with the base %s: only a bootstrapped image has its packages from a snapshot", s, base)
	}
	for _, format := range []string{time.DateOnly, time.RFC3339, snapshotFormat} {
		at, err := time.Parse(format, s)
		if err != nil {
			continue
		}
		if at.After(now) {
			return "", fmt.Errorf("cannot use the snapshot %q: it is in the future", s)
		}
		return at.UTC().Format(snapshotFormat), nil
	}
	return "", fmt.Errorf("cannot use %q as a snapshot: must be a day or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z", s)
}

// suites are what a base is bootstrapped from, and the options of their lines in apt's sources; nil if mmdebstrap's own
// default is used.
func (o *Options) suites() (all []suite, options string) {
	r, archive := o.Release, o.Release.Archive
	if o.Snapshot != "" {
		archive = r.Snapshots
	}
	if o.Mirror != "" {
		archive = o.Mirror
	}
	if archive == "" {
		return nil, ""
	}
	all = suites(r, archive)
	if o.Snapshot == "" {
		return all, ""
	}
	for i := range all {
		all[i].archive += "/" + o.Snapshot
	}
	// The lists of a snapshot were valid for some days.
	return all, "[check-valid-until=no] "
}

// keepSources makes an image that was installed from a snapshot get its updates from the release's archive: a node must
// not stay at that day's security.
func (w *Work) keepSources(ctx context.Context) error {
	if w.o.Snapshot == "" {
		return nil
	}
	r := w.o.Release
	return w.machine.Upload(ctx, aptSourcesPath, 0o644, strings.NewReader(aptSources(suites(r, r.Upstream), r, "")))
}

// aptSourcesPath lists where a bootstrapped base gets its packages from.
const aptSourcesPath = "/etc/apt/sources.list"
