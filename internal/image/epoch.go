package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// EpochFromEnv returns the time in SOURCE_DATE_EPOCH, in seconds since 1970; see
// https://reproducible-builds.org/specs/source-date-epoch. It returns the zero time if the variable is not set.
func EpochFromEnv(getenv func(string) string) (time.Time, error) {
	s := getenv(epochVariable)
	if s == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil || seconds < 0 || seconds > maxEpoch {
		return time.Time{}, fmt.Errorf("cannot use %s=%q: must be a number of seconds since 1970, from 0 to %d", epochVariable, s, int64(maxEpoch))
	}
	return time.Unix(seconds, 0), nil
}

const (
	epochVariable = "SOURCE_DATE_EPOCH"
	maxEpoch      = 15032385535 // the last second that ext4 supports, in 2446
)

// clamp sets access and modification times that are later than the epoch back to the epoch, for everything below the
// directory d. It opens only directories, and does not follow symbolic links. The kernel sets the inode's change time, which
// cannot be changed.
func (r root) clamp(at string, epoch time.Time) error {
	d, err := r.open(at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NOATIME, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range append(names, ".") {
		var st unix.Stat_t
		if err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &fs.PathError{Op: "stat", Path: path.Join(at, name), Err: err}
		}
		if name != "." && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			if err := r.clamp(path.Join(at, name), epoch); err != nil {
				return err
			}
		}
		times := []unix.Timespec{early(st.Atim, epoch), early(st.Mtim, epoch)}
		if times[0] == st.Atim && times[1] == st.Mtim {
			continue
		}
		if err := unix.UtimesNanoAt(int(d.Fd()), name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &fs.PathError{Op: "set the times of", Path: path.Join(at, name), Err: err}
		}
	}
	return nil
}

// early returns the earlier of a time and the epoch.
func early(t unix.Timespec, epoch time.Time) unix.Timespec {
	if t.Sec > epoch.Unix() || t.Sec == epoch.Unix() && t.Nsec > 0 {
		return unix.Timespec{Sec: epoch.Unix()}
	}
	return t
}

// setTimes applies the option Epoch, when nothing but the image's file systems is mounted.
func (w *Work) setTimes() error {
	if w.o.Epoch.IsZero() {
		return nil
	}
	// These caches contain numbers and times of the inodes of this run. They are written again when they are needed.
	for _, cache := range []string{"/var/cache/ldconfig/aux-cache"} {
		if err := w.opened.root.remove(cache); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := w.opened.root.clamp("/", w.o.Epoch); err != nil {
		return fmt.Errorf("cannot set the times of the image's files: %w", err)
	}
	return nil
}

// environment returns the environment of programs that run in the image.
func (o *Options) environment() []string {
	if o.Epoch.IsZero() {
		return o.Env
	}
	return append(slices.Clone(o.Env), fmt.Sprintf("%s=%d", epochVariable, o.Epoch.Unix()))
}
