package image

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/release"
)

// suite is one line of apt's sources.
type suite struct {
	archive, name string
	optional      bool // left out if the archive does not have it
}

// suites lists what a release is installed from: itself, its updates, its security updates.
func suites(r release.Release, archive string) []suite {
	archive = strings.TrimRight(archive, "/")
	security := archive
	if r.Distribution == "debian" {
		// Debian keeps them in an archive of their own; the mirrors have it beside the other.
		security = strings.TrimSuffix(archive, "/debian") + "/debian-security"
	}
	return []suite{
		{archive, r.Name, false},
		{archive, r.Name + "-updates", true},
		{security, r.Name + "-security", true},
	}
}

// reachable asks for the suites' release files. A suite other than the release itself is left out if its archive answers
// that it does not have it (404), and leave is told. Any other failure is an error: it says nothing about what the
// archive has, and an image without the security suite would never get security updates.
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
		return nil, fmt.Errorf("cannot read %s of the archive %s: %w: try again, or name another mirror by --mirror or an image by --base", s.name, s.archive, err)
	}
	return found, nil
}

// ask asks for the status of a file.
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

// askTime bounds the wait for an archive that takes connections and does not answer.
const askTime = 30 * time.Second

// aptSources writes them in the format of /etc/apt/sources.list.
func aptSources(found []suite, r release.Release, options string) string {
	var b strings.Builder
	for _, s := range found {
		fmt.Fprintf(&b, "deb %s%s %s %s\n", options, s.archive, s.name, strings.Join(r.Components, " "))
	}
	return b.String()
}
