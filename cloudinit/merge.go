package cloudinit

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"unicode"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/spec"
)

// lists are the keys of cloud-config that both hapair and a spec's cloud_config may have: the spec's items come after
// hapair's. An item that names what hapair makes already (a path, a user) is refused.
func lists() []string { return []string{"bootcmd", "packages", "runcmd", "users", "write_files"} }

// refused are keys by which a document takes other parts of itself, or of this node, out of force.
func refused() map[string]string {
	const modules = "without its modules cloud-init leaves out what hapair writes: take the modules you do not want off the image instead"
	return map[string]string{
		"cloud_init_modules":   modules,
		"cloud_config_modules": modules,
		"cloud_final_modules":  modules,
		"merge_how":            "hapair merges by itself",
		"merge_type":           "hapair merges by itself",
		"network":              "user-data cannot configure the network: use nodes[].network",
		"user":                 "it changes the default user: use access.users, or an item of cloud_config.users",
		"apt_get_command":      "packages would be installed by other rules than hapair relies on",
	}
}

// defaults are keys that hapair sets only where the spec does not.
func defaults() document {
	// A minimal image has no other locale, and cloud-init's module `locale` fails where it cannot make one.
	return document{{"locale", "C.UTF-8"}}
}

// merge adds a spec's cloud_config to a document. Nothing that hapair wrote is changed: its lists are appended to, and any
// other key that it wrote is an error.
func merge(doc document, more map[string]any) (document, diag.Problems) {
	var problems diag.Problems
	refuse := func(where, why, hint string) {
		problems = append(problems, diag.Problem{Severity: diag.Error, Path: "cloud_config." + where, Message: why, Hint: hint})
	}
	own := len(doc)
	for _, key := range sortedKeys(more) {
		value := more[key]
		hint, no := refused()[key]
		switch i := doc[:own].index(key); {
		case no:
			refuse(key, fmt.Sprintf("cannot take %q from a spec", key), hint)
		case slices.Contains(lists(), key):
			items, ok := value.([]any)
			if !ok {
				refuse(key, "must be a list", "")
				continue
			}
			problems = append(problems, clashes(doc, key, items)...)
			if i < 0 {
				doc = append(doc, entry{key, items})
				continue
			}
			doc.append(key, separated(key, items)...)
		case i >= 0:
			refuse(key, fmt.Sprintf("cannot set %q: hapair writes it itself", key), "leave it out of cloud_config")
		default:
			doc = append(doc, entry{key, value})
		}
	}
	for _, e := range defaults() {
		if doc.index(e.key) < 0 {
			doc = append(doc, e)
		}
	}
	return doc, problems
}

// separated keeps a user's commands from ending hapair's: what follows them runs whatever their outcome is.
func separated(key string, items []any) []any {
	if key != "runcmd" || len(items) == 0 {
		return items
	}
	return append(append([]any{"set +e"}, items...), "set -e")
}

// clashes are the items that name what hapair makes already.
func clashes(doc document, key string, items []any) diag.Problems {
	taken := map[string]bool{}
	if i := doc.index(key); i >= 0 {
		for _, item := range doc[i].value.([]any) {
			switch v := item.(type) {
			case writeFile:
				taken[v.Path] = true
			case user:
				taken[v.Name] = true
			}
		}
	}
	var problems diag.Problems
	for n, item := range items {
		if name, ok := packageName(item); key == "packages" && ok && !spec.IsPackageName(name) {
			problems = append(problems, diag.Problem{Severity: diag.Error, Path: fmt.Sprintf("cloud_config.%s[%d]", key, n),
				Message: fmt.Sprintf("%.60q is not the name of a package", name), Hint: "apt would take it as a removal or a pattern"})
		}
		for _, name := range names(key, item) {
			if taken[name] {
				problems = append(problems, diag.Problem{Severity: diag.Error, Path: fmt.Sprintf("cloud_config.%s[%d]", key, n),
					Message: fmt.Sprintf("cannot write %q: hapair writes it itself", name), Hint: "leave it out of cloud_config"})
			}
		}
	}
	return problems
}

// names are the paths or the users that an item of cloud-config makes.
func names(key string, item any) []string {
	m, _ := item.(map[string]any)
	switch key {
	case "write_files":
		name, _ := m["path"].(string)
		return []string{path.Clean("/" + name)}
	case "users":
		if text, ok := item.(string); ok { // cloud-init takes "a, b" for two users
			return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		}
		name, _ := m["name"].(string)
		return []string{name}
	}
	return nil
}

// packageName is the name in an item of packages: alone or with a version, a suite or an architecture, or the first of a
// list whose second is the version. False if the item is something else.
func packageName(item any) (string, bool) {
	if list, ok := item.([]any); ok && len(list) > 0 {
		item = list[0]
	}
	text, ok := item.(string)
	if i := strings.IndexAny(text, "=/:"); i > 0 {
		text = text[:i]
	}
	return text, ok
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
