package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/recipe"
)

// unpack decodes the content of a write_files entry like cloud-init does.
func unpack(w writeFile) (string, error) {
	if w.Encoding == "" {
		return w.Content, nil
	}
	data, err := base64.StdEncoding.DecodeString(w.Content)
	if err != nil {
		return "", err
	}
	switch w.Encoding {
	case "b64":
		return string(data), nil
	case "gz+b64":
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return "", err
		}
		data, err = io.ReadAll(r)
		return string(data), err
	}
	return "", fmt.Errorf("encoding %q", w.Encoding)
}

// incompressible returns n bytes of text that hardly compress.
func incompressible(n int) string {
	source := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + source.IntN(94))
	}
	return string(b)
}

// read returns the document for a recipe as cloud-init would read it.
func read(t *testing.T, r recipe.Recipe, o Options) map[string]any {
	t.Helper()
	data, err := newDocument(r, o, plainFiles)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	decode(t, data, &doc)
	return doc
}

// checkKept checks that a key still has hapair's value, or a list that begins with it. The last command of runcmd, ha-agent
// verify, comes after the user's commands.
func checkKept(t *testing.T, key string, before, after any, added bool) {
	t.Helper()
	list, isList := before.([]any)
	if !isList || !added {
		if _, isDefault := map[string]bool{"locale": true}[key]; !isDefault && !cmp.Equal(before, after) {
			t.Errorf("%s was %v and is %v", key, before, after)
		}
		return
	}
	longer, _ := after.([]any)
	if key == "runcmd" {
		if !cmp.Equal(list[len(list)-1], longer[len(longer)-1]) {
			t.Errorf("the last of runcmd is %v", longer[len(longer)-1])
		}
		list = list[:len(list)-1]
	}
	if len(longer) < len(list) || !cmp.Equal(list, longer[:len(list)]) {
		t.Errorf("%s was %v and is %v", key, before, after)
	}
}
