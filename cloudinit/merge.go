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

// lists returns the cloud-config keys that both hapair and a spec's cloud_config may have. The spec's items come after
// hapair's. An item that names one of hapair's paths or users is refused.
func lists() []string { return []string{"bootcmd", "packages", "runcmd", "users", "write_files"} }

// refused returns keys that would disable other parts of the document or of the node.
func refused() map[string]string {
	const modules = "without its modules, cloud-init would ignore parts of hapair's document: remove unwanted modules from the image instead"
	return map[string]string{
		"cloud_init_modules":   modules,
		"cloud_config_modules": modules,
		"cloud_final_modules":  modules,
		"merge_how":            "hapair merges the document itself",
		"merge_type":           "hapair merges the document itself",
		"network":              "user-data cannot configure the network: use nodes[].network",
		"user":                 "it changes the default user: use access.users, or an item of cloud_config.users",
		"apt_get_command":      "packages would be installed with other options than hapair needs",
	}
}

// defaults returns keys that hapair sets only if the spec does not.
func defaults() document {
	// A minimal image has no other locale, and cloud-init's module `locale` fails if it cannot generate one.
	return document{{"locale", "C.UTF-8"}}
}

// merge adds a spec's cloud_config to a document. It does not change what hapair wrote: it appends to hapair's lists, and
// any other key that hapair wrote is an error.
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
			refuse(key, fmt.Sprintf("cannot set %q in cloud_config", key), hint)
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
			refuse(key, fmt.Sprintf("cannot set %q: hapair sets it", key), "remove it from cloud_config")
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

// separated runs a user's commands so that their failure does not prevent hapair's later commands from running.
func separated(key string, items []any) []any {
	if key != "runcmd" || len(items) == 0 {
		return items
	}
	return append(append([]any{"set +e"}, items...), "set -e")
}

// clashes returns problems for items that name something that hapair creates.
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
				Message: fmt.Sprintf("%.60q is not the name of a package", name), Hint: "apt would interpret it as a removal or a pattern"})
		}
		for _, name := range names(key, item) {
			if taken[name] {
				problems = append(problems, diag.Problem{Severity: diag.Error, Path: fmt.Sprintf("cloud_config.%s[%d]", key, n),
					Message: fmt.Sprintf("cannot write %q: hapair writes it", name), Hint: "remove it from cloud_config"})
			}
		}
	}
	return problems
}

// names returns the paths or the users that an item of cloud-config creates.
func names(key string, item any) []string {
	m, _ := item.(map[string]any)
	switch key {
	case "write_files":
		name, _ := m["path"].(string)
		return []string{path.Clean("/" + name)}
	case "users":
		if text, ok := item.(string); ok { // cloud-init treats "a, b" as two users
			return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		}
		name, _ := m["name"].(string)
		return []string{name}
	}
	return nil
}

// packageName returns the package name of an item of packages. The item is a name, possibly with a version, a suite or an
// architecture, or a list of a name and a version. It returns false for anything else.
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
