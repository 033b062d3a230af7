package systemd

import (
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier notifies the service manager about the state of this process. If NOTIFY_SOCKET is not set, it does nothing.
type Notifier struct{}

// Ready reports that the start is complete. Every status is a text for people.
func (Notifier) Ready(status string) error { return notify(daemon.SdNotifyReady, "STATUS="+status) }

// Status reports the current activity.
func (Notifier) Status(status string) error { return notify("STATUS=" + status) }

// Stopping reports that the process is about to exit.
func (Notifier) Stopping(status string) error {
	return notify(daemon.SdNotifyStopping, "STATUS="+status)
}

// Watchdog reports that this process is alive.
func (Notifier) Watchdog() error { return notify(daemon.SdNotifyWatchdog) }

// WatchdogInterval returns the interval for calling Watchdog: half of systemd's timeout. It is 0 if systemd has no timeout.
func (Notifier) WatchdogInterval() time.Duration {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return d / 2
}

func notify(lines ...string) error {
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(l, "\n", " ") // a line break would begin another assignment
	}
	_, err := daemon.SdNotify(false, strings.Join(lines, "\n"))
	return err
}
