package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// check finds what can be found wrong before anything is done, and fills in the defaults.
func (o *Options) check(uid int) error {
	if uid != 0 {
		return errors.New("cannot open an image as a plain user: mounting needs root (sudo)")
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
		return errors.New("cannot keep a base: no directory was given for it")
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
		return errors.New("cannot make an image of nothing: name a base (a path, a URL, or bootstrap)")
	case isURL(o.Base) && o.BaseSHA256 == "":
		return fmt.Errorf("cannot use the base %s: a download needs its SHA-256 (--base-sha256)", o.Base)
	}
	if o.Snapshot != "" && o.Base != Bootstrap {
		return fmt.Errorf("cannot use a snapshot with the base %s: only a bootstrapped image has its packages from one", o.Base)
	}
	if o.BaseSHA256 == "" {
		return nil
	}
	if b, err := hex.DecodeString(o.BaseSHA256); err != nil || len(b) != 32 {
		return fmt.Errorf("cannot use %q as a SHA-256: it is not 64 hexadecimal digits", o.BaseSHA256)
	}
	return nil
}

// checkOutput makes the output's path absolute and sees that a file can be written there.
func (o *Options) checkOutput() error {
	if o.Output == "" {
		return errors.New("cannot write the image: no file was named")
	}
	path, err := filepath.Abs(o.Output)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", o.Output, err)
	}
	o.Output = path
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		what := "it is no regular file"
		if info.IsDir() {
			what = "it is a directory"
		}
		return fmt.Errorf("cannot write %s: %s", path, what)
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("cannot write %s: there is no directory %s", path, dir)
	}
	return nil
}
