package image

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/archive"
)

// snapshotFormat is the time format of a snapshot in an archive's URL.
const snapshotFormat = "20060102T150405Z"

// ParseSnapshot parses a time of an archive: a day (2026-01-31, which means its first second in UTC), a time in RFC 3339
// format, or a snapshot's name (20260131T000000Z). It returns the name. An empty s returns "". A time after now is an error,
// and so is a base that is not bootstrapped, because only a bootstrapped image gets its packages from a snapshot.
func ParseSnapshot(s, base string, now time.Time) (string, error) {
	switch {
	case s == "":
		return "", nil
	case base != Bootstrap:
		return "", fmt.Errorf("cannot use the snapshot %q with the base %s: only a bootstrapped image can use a snapshot", s, base)
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

// suites returns the suites from which a base is bootstrapped, and the options for their lines in apt's sources. It returns
// nil if mmdebstrap's own default is used.
func (o *Options) suites() (all []archive.Suite, options string) {
	r, url := o.Release, o.Release.Archive
	if o.Snapshot != "" {
		url = r.Snapshots
	}
	if o.Mirror != "" {
		url = o.Mirror
	}
	if url == "" {
		return nil, ""
	}
	all = archive.Suites(r, url)
	if o.Snapshot == "" {
		return all, ""
	}
	for i := range all {
		all[i].Archive += "/" + o.Snapshot
	}
	// The package lists of a snapshot were valid only for some days.
	return all, "[check-valid-until=no] "
}

// keepSources makes an image that was installed from a snapshot use the release's current archive for updates, so that nodes
// get security updates newer than the snapshot.
func (w *Work) keepSources(ctx context.Context) error {
	if w.o.Snapshot == "" {
		return nil
	}
	r := w.o.Release
	return w.machine.Upload(ctx, aptSourcesPath, 0o644, strings.NewReader(archive.AptSources(archive.Suites(r, r.Upstream), r, "")))
}

// aptSourcesPath is the file with the package sources of a bootstrapped base.
const aptSourcesPath = "/etc/apt/sources.list"
