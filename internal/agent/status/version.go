package status

import (
	"context"
	"regexp"
	"time"
)

// versionAge is how long the version that a program printed is reused.
const versionAge = time.Minute

// keepalivedVersion returns keepalived's version, which may be some seconds old.
func (o *Observer) keepalivedVersion(ctx context.Context) string {
	o.mu.Lock()
	version, asked := o.said, o.asked
	o.mu.Unlock()
	if version != "" && time.Since(asked) < versionAge {
		return version
	}
	version = o.askKeepalivedVersion(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said, o.asked = version, time.Now()
	return version
}

// askKeepalivedVersion runs keepalived, which prints "Keepalived v2.2.8 (…)".
func (o *Observer) askKeepalivedVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	r, err := o.Run(ctx, "keepalived", "--version")
	if err != nil {
		return ""
	}
	m := regexp.MustCompile(`Keepalived v(\d+(?:\.\d+)+)`).FindStringSubmatch(r.Output)
	if m == nil {
		return ""
	}
	return m[1]
}
