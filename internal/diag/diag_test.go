package diag

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func problems() Problems {
	return Problems{
		{Severity: Warning, File: "b.yaml", Line: 1, Column: 1, Message: "odd"},
		{Severity: Error, File: "a.yaml", Line: 3, Column: 8, Path: "services[1].port", Message: "out of range", Hint: "must be 1 to 65535", Source: "\tpört: 0"},
		{Severity: Error, File: "a.yaml", Line: 3, Column: 2, Message: "unknown key", Source: "\tpört: 0"},
		{Severity: Error, Message: "without a place"},
	}
}

func TestPrint(t *testing.T) {
	ps := problems()
	ps.Sort()
	var out strings.Builder
	ps.Print(&out)
	want := `error: without a place
a.yaml:3:2: error: unknown key
    	pört: 0
    	^
a.yaml:3:8: error: services[1].port: out of range
    	pört: 0
    	      ^
    hint: must be 1 to 65535
b.yaml:1:1: warning: odd
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestPrintJSON(t *testing.T) {
	var out strings.Builder
	if err := problems()[1:2].PrintJSON(&out); err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "severity": "error",
    "file": "a.yaml",
    "line": 3,
    "column": 8,
    "path": "services[1].port",
    "message": "out of range",
    "hint": "must be 1 to 65535",
    "source": "\tpört: 0"
  }
]
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := Problems(nil).PrintJSON(&out); err != nil || out.String() != "[]\n" {
		t.Errorf("no problems are %q, %v", out.String(), err)
	}
}

func TestErr(t *testing.T) {
	ps := problems()
	if err := ps[:1].Err(); err != nil {
		t.Errorf("only warnings: got the error %v", err)
	}
	if err := Problems(nil).Err(); err != nil {
		t.Errorf("no problems: got the error %v", err)
	}
	err := ps.Err()
	if err == nil || !strings.Contains(err.Error(), "a.yaml:3:8: error: services[1].port: out of range\na.yaml:3:2: error: unknown key") {
		t.Errorf("got %v", err)
	}
}

func TestAt(t *testing.T) {
	if got := problems().At("services[1].port"); len(got) != 1 || got[0].Column != 8 {
		t.Errorf("got %v", got)
	}
	if got := problems().At("services"); got != nil {
		t.Errorf("got %v", got)
	}
}

// A generated line can have megabytes, but the output must be short.
func TestBounded(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	ps := Problems{{Severity: Error, File: "f", Line: 1, Column: 1, Message: long, Hint: long, Source: long}, {Severity: Error, File: "f", Line: 1, Column: 1 << 20, Source: long}}
	var text, asJSON bytes.Buffer
	ps.Print(&text)
	if err := ps.PrintJSON(&asJSON); err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(map[string]any{"problems": ps})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"text": text.Len(), "JSON": asJSON.Len(), "JSON in JSON": len(whole), "error": len(ps.Error())} {
		if n > 8<<10 {
			t.Errorf("%s has %d bytes", name, n)
		}
	}
}
