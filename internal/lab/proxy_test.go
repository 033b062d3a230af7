package lab

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The proxy must forward only to the archives of the sources. It gets Ubuntu's security updates from the main archive.
func TestProxyForwardsToArchives(t *testing.T) {
	asked := ""
	out := roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}, nil
	})
	proxy := forward(archives("deb http://archive.ubuntu.com/ubuntu noble main\n"), out)
	for url, want := range map[string]string{
		"http://archive.ubuntu.com/ubuntu/a":  "http://archive.ubuntu.com/ubuntu/a",
		"http://security.ubuntu.com/ubuntu/b": "http://archive.ubuntu.com/ubuntu/b",
		"http://example.org/c":                "",
		"https://archive.ubuntu.com/ubuntu/d": "",
	} {
		asked = ""
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, strings.NewReader("")))
		if asked != want || (w.Code == http.StatusOK) != (want != "") {
			t.Errorf("for %s, the proxy requests %q and answers %d, want %q", url, asked, w.Code, want)
		}
	}
}
