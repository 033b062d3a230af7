package archive

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/release"
)

// Suite is a line of apt's sources: a suite such as noble-updates of the archive at a URL.
type Suite struct {
	Archive, Name string
	Optional      bool // not used if the archive does not have it
}

// Suites returns the suites from which a release is installed: the release, its updates, and its security updates. archive is
// the URL of its archive.
func Suites(r release.Release, archive string) []Suite {
	archive = strings.TrimRight(archive, "/")
	security := archive
	if r.Distribution == "debian" {
		// Debian has a separate archive for security updates. On mirrors it is beside the main archive.
		security = strings.TrimSuffix(archive, "/debian") + "/debian-security"
	}
	return []Suite{
		{archive, r.Name, false},
		{archive, r.Name + "-updates", true},
		{security, r.Name + "-security", true},
	}
}

// Reachable requests the suites' release files, and returns the suites that exist. If the archive does not have a suite
// (status 404), the suite is skipped and leave is called, unless it is the release itself. Any other failure is an error,
// because it does not show that the suite is missing, and an image without the security suite would never get security
// updates.
func Reachable(ctx context.Context, client *http.Client, all []Suite, leave func(s Suite)) ([]Suite, error) {
	var found []Suite
	for _, s := range all {
		status, err := ask(ctx, client, s.Archive+"/dists/"+s.Name+"/InRelease")
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && status == http.StatusOK:
			found = append(found, s)
			continue
		case err == nil && status == http.StatusNotFound && s.Optional:
			leave(s)
			continue
		case err == nil:
			err = fmt.Errorf("HTTP status %d (%s)", status, http.StatusText(status))
		}
		return nil, fmt.Errorf("cannot read %s of the archive %s: %w: try again, or name another mirror with --mirror or an image with --base", s.Name, s.Archive, err)
	}
	return found, nil
}

// ask returns the HTTP status of a file.
func ask(ctx context.Context, client *http.Client, url string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// askTime is the time limit for an archive that accepts connections but does not respond.
const askTime = 30 * time.Second

// AptSources returns the suites in the format of /etc/apt/sources.list.
func AptSources(found []Suite, r release.Release, options string) string {
	var b strings.Builder
	for _, s := range found {
		fmt.Fprintf(&b, "deb %s%s %s %s\n", options, s.Archive, s.Name, strings.Join(r.Components, " "))
	}
	return b.String()
}
