package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// check validates the options and sets the defaults, before anything is done.
func (o *Options) check(uid int) error {
	if uid != 0 {
		return errors.New("cannot open an image without root: mounting needs root (sudo)")
	}
	format, err := ParseFormat(string(o.Format), "")
	if err != nil {
		return err
	}
	o.Format = format
	if err := o.checkBase(); err != nil {
		return err
	}
	if err := checkTools(o.tools(), lookTool); err != nil {
		return err
	}
	if err := o.checkOutput(); err != nil {
		return err
	}
	if o.CacheDir == "" {
		return errors.New("cannot cache a base image: the cache directory is missing")
	}
	dir, err := o.openCache()
	if err != nil {
		return err
	}
	return dir.Close()
}

func (o *Options) checkBase() error {
	switch {
	case o.Base == "":
		return errors.New("cannot make an image: name a base (a path, a URL, or bootstrap)")
	case isURL(o.Base) && o.BaseSHA256 == "":
		return fmt.Errorf("cannot use the base %s: a download needs its SHA-256 (--base-sha256)", o.Base)
	}
	if o.Snapshot != "" && o.Base != Bootstrap {
		return fmt.Errorf("cannot use a snapshot with the base %s: only a bootstrapped image can use a snapshot", o.Base)
	}
	if o.BaseSHA256 == "" {
		return nil
	}
	if b, err := hex.DecodeString(o.BaseSHA256); err != nil || len(b) != 32 {
		return fmt.Errorf("cannot use %q as a SHA-256: must be 64 hexadecimal digits", o.BaseSHA256)
	}
	return nil
}

// checkOutput makes the output's path absolute, and checks that a file can be written there.
func (o *Options) checkOutput() error {
	if o.Output == "" {
		return errors.New("cannot write the image: the output file is missing")
	}
	path, err := filepath.Abs(o.Output)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", o.Output, err)
	}
	o.Output = path
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		what := "it is not a regular file"
		if info.IsDir() {
			what = "it is a directory"
		}
		return fmt.Errorf("cannot write %s: %s", path, what)
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("cannot write %s: directory %s does not exist", path, dir)
	}
	return nil
}
