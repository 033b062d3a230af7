package redact

import "testing"

func TestYAMLLine(t *testing.T) {
	for line, want := range map[string]string{
		"  password: hunter2":                 "  password: ***",
		"  password: {file: secrets/stats}":   "  password: {file: secrets/stats}",
		"  password: {env: STATS}":            "  password: {env: STATS}",
		"  password: {env: hunter2!}":         "  password: ***",
		"{a: b, api_token: x, port: 5}":       "{a: b, api_token: ***",
		"{password: {env: A}, passwrd: x}":    "{password: {env: A}, passwrd: ***",
		"  port: 80":                          "  port: 80",
		"  psswort:":                          "  psswort:",
		`  "privatekey": -----BEGIN PRIVATE-`: `  "privatekey": ***`,
	} {
		if got := YAMLLine(line); got != want {
			t.Errorf("YAMLLine(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	if got := Cut("äöü", 2); got != "äö…" {
		t.Error(got)
	}
	if got := Cut("äö", 2); got != "äö" {
		t.Error(got)
	}
	if got := From("äöü", 2); got != "ä***" {
		t.Error(got)
	}
}
