package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/revision"
)

// base is the revision that a spec was rolled out as, in a file beside it. Whoever has an older copy of the spec has an older
// base, too.
type base struct {
	Cluster string `json:"cluster"`
	revision.Ref
	known bool
	path  string
}

// basePath is the file of a spec's base.
func basePath(spec string) string { return spec + ".revision" }

// readBase reads the base of a spec. It is not known if there is no file.
func readBase(spec string) (base, error) {
	b := base{path: basePath(spec)}
	data, err := regular.ReadFile(b.path, regular.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return b, fmt.Errorf("cannot read the revision that the spec is based on, from %s: %w", b.path, err)
	}
	b.known = true
	return b, nil
}

// check returns an error if the nodes run something that this copy of the spec is not based on.
func (b base) check(current revision.Ref, cluster string, rebase bool) error {
	if !b.known || rebase || b.Cluster != cluster || b.Ref == current || current.Number < b.Number {
		return nil // nodes that were made anew run an older revision
	}
	return fmt.Errorf("cannot roll out: the nodes run %v, and %s says that this copy of the spec is based on %v: get the newest spec with its .revision file, or use --rebase", current, b.path, b.Ref)
}

func writeBase(spec, cluster string, ref revision.Ref) error {
	data, err := json.Marshal(base{Cluster: cluster, Ref: ref})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", basePath(spec), err)
	}
	return durable.WriteFile(basePath(spec), append(data, '\n'), 0o644, durable.Keep, durable.Keep)
}
