package haproxycfg

import (
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/spec"
)

// routes writes the rules that send requests to backends: one line for each combination of conditions.
func (l *layout) routes(svc *spec.Service) {
	sni := "ssl_fc_sni"
	if svc.TLS == nil && svc.Mode == spec.TCP {
		sni = "req.ssl_sni"
		for _, r := range svc.Routes {
			if len(r.SNI) > 0 {
				l.line("routes", "tcp-request inspect-delay 5s")
				l.line("routes", "tcp-request content accept if { req.ssl_hello_type 1 }")
				break
			}
		}
	}
	for i := range svc.Routes {
		r := &svc.Routes[i]
		ways := []string{""}
		ways = and(ways, l.named("req.hdr(host),field(1,:)", r.Host))
		ways = and(ways, l.begins(r.Path))
		ways = and(ways, l.named(sni, r.SNI))
		ways = and(ways, alternatives(l.tail(r.When)))
		for _, way := range ways {
			l.line(fmt.Sprintf("routes[%d]", i), "use_backend", l.word(r.Backend), "if"+way)
		}
	}
}

// and combines each condition of one list with each of another. An empty list changes nothing.
func and(ways, others []string) []string {
	if len(others) == 0 {
		return ways
	}
	var out []string
	for _, way := range ways {
		for _, other := range others {
			out = append(out, way+" "+other)
		}
	}
	return out
}

// named returns conditions that match one of some names, or names below those that begin with "*".
func (l *layout) named(sample string, names []string) []string {
	var exact, below []string
	for _, name := range names {
		if suffix, ok := strings.CutPrefix(name, "*"); ok {
			below = append(below, l.word(suffix))
		} else {
			exact = append(exact, l.word(name))
		}
	}
	var out []string
	for _, kind := range []struct {
		match string
		names []string
	}{{"str", exact}, {"end", below}} {
		if len(kind.names) == 0 {
			continue
		}
		for _, some := range chunks(kind.names) {
			out = append(out, fmt.Sprintf("{ %s -m %s -i %s }", sample, kind.match, strings.Join(some, " ")))
		}
	}
	return out
}

func (l *layout) begins(paths []string) []string {
	if len(paths) == 0 {
		return nil
	}
	var out []string
	for _, some := range chunks(paths) {
		out = append(out, fmt.Sprintf("{ path_beg %s }", l.words(strings.Join(some, " "))))
	}
	return out
}

// alternatives splits a condition at "or" and "||", which have a lower precedence than the conditions that are added. Text in
// braces and quotes is not split.
func alternatives(condition string) []string {
	if condition == "" {
		return nil
	}
	var out, current []string
	depth, quote := 0, byte(0)
	for _, word := range strings.Fields(condition) {
		if depth == 0 && quote == 0 && (word == "or" || word == "||") {
			out, current = append(out, strings.Join(current, " ")), nil
			continue
		}
		for i := 0; i < len(word); i++ {
			switch c := word[i]; {
			case quote != 0 && c == quote:
				quote = 0
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote == 0 && c == '{' && word == "{":
				depth++
			case quote == 0 && c == '}' && word == "}":
				depth--
			}
		}
		current = append(current, word)
	}
	return append(out, strings.Join(current, " "))
}
