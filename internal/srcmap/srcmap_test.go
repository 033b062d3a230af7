package srcmap

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	marked := "head\n" + Field("services[0]") + "frontend a\n    balance x" + Line("services[0].balance") + "\n    server\n" +
		Field("") + "\n" + Text("haproxy.extra", "\n\none\ntwo") + "one\ntwo\n"
	got, origins := Split([]byte(marked))
	if want := "head\nfrontend a\n    balance x\n    server\n\none\ntwo\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want := []Origin{{}, {Path: "services[0]"}, {Path: "services[0].balance"}, {Path: "services[0]"}, {},
		{Path: "haproxy.extra", Text: true, Line: 2}, {Path: "haproxy.extra", Text: true, Line: 3}, {Path: "haproxy.extra", Text: true, Line: 4}}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Error(diff)
	}
	if got, origins := Split([]byte("a\nb")); string(got) != "a\nb" || len(origins) != 2 {
		t.Errorf("without marks: %q, %v", got, origins)
	}
}
