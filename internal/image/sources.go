package image

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/release"
)

// suite is a line of apt's sources.
type suite struct {
	archive, name string
	optional      bool // not used if the archive does not have it
}

// suites returns the suites from which a release is installed: the release, its updates, and its security updates.
func suites(r release.Release, archive string) []suite {
	archive = strings.TrimRight(archive, "/")
	security := archive
	if r.Distribution == "debian" {
		// Debian has a separate archive for security updates. On mirrors it is beside the main archive.
		security = strings.TrimSuffix(archive, "/debian") + "/debian-security"
	}
	return []suite{
		{archive, r.Name, false},
		{archive, r.Name + "-updates", true},
		{security, r.Name + "-security", true},
	}
}

// reachable requests the suites' release files, and returns the suites that exist. If the archive does not have a suite
// (status 404), the suite is skipped and leave is called, unless it is the release itself. Any other failure is an error,
// because it does not show that the suite is missing, and an image without the security suite would never get security
// updates.
func reachable(ctx context.Context, client *http.Client, all []suite, leave func(s suite)) ([]suite, error) {
	var found []suite
	for _, s := range all {
		status, err := ask(ctx, client, s.archive+"/dists/"+s.name+"/InRelease")
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && status == http.StatusOK:
			found = append(found, s)
			continue
		case err == nil && status == http.StatusNotFound && s.optional:
			leave(s)
			continue
		case err == nil:
			err = fmt.Errorf("HTTP status %d (%s)", status, http.StatusText(status))
		}
		return nil, fmt.Errorf("cannot read %s of the archive %s: %w: try again, or name another mirror with --mirror or an image with --base", s.name, s.archive, err)
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

// aptSources returns the suites in the format of /etc/apt/sources.list.
func aptSources(found []suite, r release.Release, options string) string {
	var b strings.Builder
	for _, s := range found {
		fmt.Fprintf(&b, "deb %s%s %s %s\n", options, s.archive, s.name, strings.Join(r.Components, " "))
	}
	return b.String()
}
