package archive

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/release"
)

// archiveOf serves the release files of a Debian archive, each with the given HTTP status, or 404 if none is given.
func archiveOf(t *testing.T, status map[string]int) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, ok := status[r.URL.Path]
		if !ok {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(server.Close)
	return server
}

const (
	trixieMain     = "/debian/dists/trixie/InRelease"
	trixieUpdates  = "/debian/dists/trixie-updates/InRelease"
	trixieSecurity = "/debian-security/dists/trixie-security/InRelease"
)

func TestSuites(t *testing.T) {
	server := archiveOf(t, map[string]int{trixieMain: 200, trixieSecurity: 200})
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	leave := func(s Suite) { left = append(left, s.Name) }
	found, err := Reachable(t.Context(), server.Client(), Suites(r, server.URL+"/debian/"), leave)
	if err != nil {
		t.Fatal(err)
	}
	want := "deb " + server.URL + "/debian trixie main\ndeb " + server.URL + "/debian-security trixie-security main\n"
	if got := AptSources(found, r, ""); got != want {
		t.Errorf("sources:\n%swant:\n%s", got, want)
	}
	if len(left) != 1 || left[0] != "trixie-updates" {
		t.Errorf("reported as left out: %v", left)
	}
	if _, err := Reachable(t.Context(), server.Client(), Suites(r, server.URL+"/other"), leave); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no archive: %v", err)
	}
}

// Only if an archive answers that it has no security suite, an image may be made without one.
func TestSecuritySuiteFails(t *testing.T) {
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{401, 403, 500, 503} {
		server := archiveOf(t, map[string]int{trixieMain: 200, trixieUpdates: 200, trixieSecurity: status})
		_, err := Reachable(t.Context(), server.Client(), Suites(r, server.URL+"/debian"), func(s Suite) { t.Errorf("status %d: %s was left out", status, s.Name) })
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint("cannot read trixie-security of the archive ", server.URL, "/debian-security: HTTP status ", status)) {
			t.Errorf("status %d: error %v", status, err)
		}
	}
	server := archiveOf(t, map[string]int{trixieMain: 200, trixieUpdates: 200})
	all := Suites(r, server.URL+"/debian")
	all[2].Archive = "http://127.0.0.1:1/debian-security"
	if _, err := Reachable(t.Context(), server.Client(), all, func(s Suite) { t.Errorf("%s is left out", s.Name) }); err == nil {
		t.Error("no error for an archive that cannot be reached")
	}
}
