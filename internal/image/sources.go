package image

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/hapair/hapair/internal/release"
)

// suite is one line of apt's sources.
type suite struct {
	archive, name string
	optional      bool // left out where it is not there
}

// suites lists what a release is installed from: itself, its updates, its security updates.
func suites(r release.Release, mirror string) []suite {
	archive := strings.TrimRight(r.Archive, "/")
	if mirror != "" {
		archive = strings.TrimRight(mirror, "/")
	}
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

// reachable asks for the suites' release files. Those that are not there are left out, but for the release itself.
func reachable(ctx context.Context, client *http.Client, all []suite) ([]suite, error) {
	var found []suite
	for _, s := range all {
		err := ask(ctx, client, s.archive+"/dists/"+s.name+"/InRelease")
		if err == nil {
			found = append(found, s)
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !s.optional {
			return nil, fmt.Errorf("cannot bootstrap %s: the archive %s does not answer (%w): name a mirror by --mirror, or an image by --base", s.name, s.archive, err)
		}
	}
	return found, nil
}

func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// aptSources writes them in the format of /etc/apt/sources.list.
func aptSources(found []suite, r release.Release) string {
	var b strings.Builder
	for _, s := range found {
		fmt.Fprintf(&b, "deb %s %s %s\n", s.archive, s.name, strings.Join(r.Components, " "))
	}
	return b.String()
}
