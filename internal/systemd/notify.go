package systemd

import (
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager what this process is about. Without one (NOTIFY_SOCKET is not set) it does nothing.
type Notifier struct{}

// Ready says that the start is over. status is for people, as that of all the others.
func (Notifier) Ready(status string) error { return notify(daemon.SdNotifyReady, "STATUS="+status) }

// Status says what is being done.
func (Notifier) Status(status string) error { return notify("STATUS=" + status) }

// Stopping says that the end has begun.
func (Notifier) Stopping(status string) error {
	return notify(daemon.SdNotifyStopping, "STATUS="+status)
}

// Watchdog says that this process is alive.
func (Notifier) Watchdog() error { return notify(daemon.SdNotifyWatchdog) }

// WatchdogInterval is how often to say so: half of what systemd waits. 0: it does not wait.
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
