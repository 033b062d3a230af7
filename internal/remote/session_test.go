package remote

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSession(t *testing.T) {
	type number struct{ N int }
	for name, c := range map[string]struct {
		script string
		want   int // of the second answer
		err    string
	}{
		"answers":    {`while read -r line; do echo "$line"; done`, 2, ""},
		"ends":       {`read -r line; echo "$line"; exit 0`, 0, "its answer was cut off"},
		"fails":      {`read -r line; echo "$line"; echo 'ha-agent: no' >&2; exit 3`, 0, "cannot run ha-agent revision serve on lb1 (192.0.2.11): no"},
		"is cut off": {`read -r line; echo "$line"; exit 255`, 0, "cannot reach lb1"},
		"not JSON":   {`read -r line; echo "$line"; echo fine; cat >/dev/null`, 0, "is not the JSON that this version of bake expects"},
		"silence":    {`read -r line; echo "$line"; exec sleep 60`, 0, "no answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeSSH(t, c.script)
			s, err := (&Login{}).Open(node, "ha-agent", "revision", "serve")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var got number
			if err := s.Ask(t.Context(), number{1}, &got); err != nil || got.N != 1 {
				t.Fatalf("the first answer is %v, %v", got, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			got = number{}
			err = s.Ask(ctx, number{2}, &got)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || got.N != c.want {
				t.Errorf("the second answer is %v, %v; want %d, %q", got, err, c.want, c.err)
			}
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%T is not an Error", err)
			}
		})
	}
}
