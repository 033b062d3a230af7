package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
)

// header marks the document as cloud-config.
const header = "#cloud-config\n"

// entry is one key of a document.
type entry struct {
	key   string
	value any
}

// document is a #cloud-config: its keys in the order in which they are written.
type document []entry

// writeFile is an entry of write_files.
type writeFile struct {
	Path string `yaml:"path"`
	// Permissions is a string. cloud-init would accept the number that YAML 1.1 makes of 0640, but its schema does not.
	Permissions string `yaml:"permissions"`
	Owner       string `yaml:"owner"`
	Encoding    string `yaml:"encoding,omitempty"`
	Content     string `yaml:"content"`
	// Defer delays the file until the packages are installed.
	Defer bool `yaml:"defer,omitempty"`
}

// user is an entry of users.
type user struct {
	Name              string   `yaml:"name"`
	System            bool     `yaml:"system,omitempty"`
	NoCreateHome      bool     `yaml:"no_create_home,omitempty"`
	Homedir           string   `yaml:"homedir,omitempty"`
	Shell             string   `yaml:"shell"`
	LockPasswd        bool     `yaml:"lock_passwd"`
	Sudo              string   `yaml:"sudo,omitempty"`
	SSHAuthorizedKeys []string `yaml:"ssh_authorized_keys,omitempty"`
}

// newDocument returns the complete user-data.
func newDocument(r recipe.Recipe, o Options, encode fileEncoding) ([]byte, error) {
	doc := identity(r)
	if o.Image == Stock {
		doc = append(doc, entry{"users", append(systemUsers(r.Users), people(r.Logins)...)})
		doc = append(doc, entry{"bootcmd", bootCommands(r, o.Agent)})
		doc = append(doc, entry{"write_files", stockFiles(r.Files, encode)})
		doc = append(doc, entry{"package_update", true}, entry{"packages", anySlice(r.Packages)})
		doc = append(doc, entry{"runcmd", runCommands(r, o.Agent)})
	} else {
		doc = append(doc, entry{"users", people(r.Logins)})
		doc = append(doc, entry{"write_files", goldenFiles(r.Files, encode)})
	}
	doc, problems := merge(doc, o.CloudConfig)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	doc = lastCommands(doc, r, o.Image)
	if i := doc.index("users"); len(doc[i].value.([]any)) == 0 {
		doc[i].value = nobody(r.Release)
	}
	return doc.marshal()
}

// nobody returns an empty value for users, which prevents cloud-init from creating the image's default user. The schema of
// 22.4 refuses an empty list, and later versions warn about a mapping ("deprecated in 22.2").
func nobody(releaseName string) any {
	if r, err := release.Get(releaseName); err == nil && !r.CloudInit.AtLeast(23, 1, 0) {
		return map[string]any{}
	}
	return []any{}
}

// identity returns the keys that both kinds of image need: the host name, and that logins by password or as root are
// disabled.
func identity(r recipe.Recipe) document {
	short, _, qualified := strings.Cut(r.Hostname, ".")
	doc := document{{"hostname", short}}
	if qualified {
		doc = append(doc, entry{"fqdn", r.Hostname}, entry{"prefer_fqdn_over_hostname", true})
	}
	return append(doc,
		entry{"preserve_hostname", false},
		// With 127.0.1.1 as its address, sudo and syslog find the host name without a name server.
		entry{"manage_etc_hosts", "localhost"},
		entry{"disable_root", true},
		entry{"ssh_pwauth", false},
	)
}

// systemUsers are created before the packages are installed, because keepalived refuses a script whose user does not exist.
func systemUsers(users []recipe.User) []any {
	list := []any{}
	for _, u := range users {
		list = append(list, user{Name: u.Name, System: true, NoCreateHome: true, Homedir: u.Home, Shell: "/usr/sbin/nologin", LockPasswd: true})
	}
	return list
}

// people returns the users who may log in. The list replaces the image's own, so that its default user is not created. If
// the list is empty, no login is possible.
func people(logins []recipe.Login) []any {
	list := []any{}
	for _, l := range logins {
		u := user{Name: l.Name, Shell: "/bin/bash", LockPasswd: true, SSHAuthorizedKeys: l.SSHAuthorizedKeys}
		if l.Sudo {
			u.Sudo = "ALL=(ALL) NOPASSWD:ALL"
		}
		list = append(list, u)
	}
	return list
}

// goldenFiles returns files that are written early in boot, before network-online.target and therefore before the services
// start. All their owners exist in the image, and no service needs a restart.
func goldenFiles(files []recipe.File, encode fileEncoding) []any {
	list := []any{}
	for _, f := range files {
		list = append(list, newWriteFile(f, encode))
	}
	return list
}

// fileEncoding returns how a file's content is written in the document: the value of the key encoding, and the text.
type fileEncoding func(content []byte) (encoding, text string)

func newWriteFile(f recipe.File, encode fileEncoding) writeFile {
	w := writeFile{Path: path.Clean(f.Path), Permissions: fmt.Sprintf("%04o", f.Mode.Perm()), Owner: f.Owner + ":" + f.Group}
	w.Encoding, w.Content = encode(f.Content)
	return w
}

// plainFiles leaves text readable, and compresses other content.
func plainFiles(content []byte) (encoding, text string) {
	if readable(content) {
		return "", string(content)
	}
	return packedFiles(content)
}

// packedFiles compresses content, for clouds that accept only text.
func packedFiles(content []byte) (encoding, text string) {
	packed := compress(content)
	switch {
	case len(packed) < len(content):
		encoding, text = "gz+b64", base64.StdEncoding.EncodeToString(packed)
	default:
		encoding, text = "b64", base64.StdEncoding.EncodeToString(content)
	}
	if readable(content) && len(text) >= len(content) {
		return "", string(content)
	}
	return encoding, text
}

// readable reports whether every YAML parser reads content back unchanged.
func readable(content []byte) bool {
	if !utf8.Valid(content) {
		return false
	}
	if len(content) > 0 && strings.ContainsRune(" \t\n", rune(content[0])) {
		return false // a block scalar would need an indentation indicator
	}
	for _, r := range string(content) {
		switch {
		case r == '\n', r == '\t':
		case r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			return false
		}
	}
	return true
}

// compress returns the content as gzip. The same content gives the same bytes, because the header contains no name and no
// time.
func compress(content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil { // writing to a bytes.Buffer cannot fail
		panic(err)
	}
	return b.Bytes()
}

// index returns the position of a key, or -1 if the document does not have it.
func (d document) index(key string) int {
	for i := range d {
		if d[i].key == key {
			return i
		}
	}
	return -1
}

// append adds items to the list of a key that the document has.
func (d document) append(key string, items ...any) {
	i := d.index(key)
	d[i].value = append(d[i].value.([]any), items...)
}

func (d document) marshal() ([]byte, error) {
	n := yaml.Node{Kind: yaml.MappingNode}
	for _, e := range d {
		var value yaml.Node
		if err := value.Encode(e.value); err != nil {
			return nil, fmt.Errorf("cannot write %s of the user-data: %w", e.key, err)
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key}, &value)
	}
	body, err := encode(&n)
	if err != nil {
		return nil, fmt.Errorf("cannot write the user-data: %w", err)
	}
	return append([]byte(header), body...), nil
}

// encode encodes a node as YAML that means the same for cloud-init's parser, which implements YAML 1.1.
func encode(n *yaml.Node) ([]byte, error) {
	quote(n)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// quote adds quotes around a lone "=". In YAML 1.1 it has its own type, which yaml.v3 does not implement and PyYAML refuses
// (https://yaml.org/type/value.html).
func quote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Value == "=" {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		quote(c)
	}
}

func anySlice[T any](items []T) []any {
	list := []any{}
	for _, i := range items {
		list = append(list, i)
	}
	return list
}
