package eventually

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// recorder is a testing.TB whose failure does not end this test.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(_ string, args ...any) {
	for _, a := range args {
		switch a := a.(type) {
		case error:
			r.failure += a.Error()
		case string:
			r.failure += a
		}
	}
}

func TestNil(t *testing.T) {
	calls := 0
	Nil(t, time.Minute, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if calls != 3 {
		t.Errorf("it was called %d times", calls)
	}
}

func TestFailure(t *testing.T) {
	for name, wait := range map[string]func(testing.TB){
		"the cause, the logs": func(t testing.TB) {
			Nil(t, time.Millisecond, func() error { return errors.New("the cause, ") }, func() string { return "the logs" })
		},
		"not so: it rains": func(t testing.TB) { True(t, time.Millisecond, "it rains", func() bool { return false }) },
	} {
		r := &recorder{TB: t}
		wait(r)
		if got := strings.ReplaceAll(r.failure, "\n", ""); got != name {
			t.Errorf("%q, want %q", got, name)
		}
	}
}
