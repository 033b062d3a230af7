package systemd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// Command is a command that runs in a separate transient unit, with limited time, memory and processes.
type Command struct {
	Argv    []string
	Env     []string // NAME=value
	User    string   // if empty, a user that exists only while the command runs
	Timeout time.Duration
	Output  *os.File // for stdout and stderr
}

// Limits of a command.
const (
	commandMemory = 256 << 20 // bytes
	commandTasks  = 64
	commandStop   = time.Second // between SIGTERM and SIGKILL, after the time limit
)

// RunCommand runs a command to its end. Only root keeps privileges. ErrNotAsked means that the command was not started.
func (b *Bus) RunCommand(ctx context.Context, unit string, c Command) error {
	if conn, err := b.connect(ctx); err == nil {
		_ = conn.ResetFailedUnitContext(ctx, unit) // a failed unit stays loaded, and would block its name
	}
	properties := c.properties()
	err := b.job(ctx, "run", unit, func(conn *dbus.Conn, ctx context.Context, name, mode string, ch chan<- string) (int, error) {
		return conn.StartTransientUnitContext(ctx, name, mode, properties, ch)
	})
	if err == nil {
		return nil
	}
	if why := b.ended(ctx, unit); why != "" {
		return fmt.Errorf("%s: %s", c.Argv[0], why)
	}
	return err
}

func (c Command) properties() []dbus.Property {
	property := func(name string, value any) dbus.Property {
		return dbus.Property{Name: name, Value: godbus.MakeVariant(value)}
	}
	all := []dbus.Property{
		dbus.PropDescription(strings.Join(c.Argv, " ")), dbus.PropType("oneshot"), dbus.PropExecStart(c.Argv, false),
		property("Environment", c.Env),
		property("TimeoutStartUSec", uint64(c.Timeout.Microseconds())), property("TimeoutStopUSec", uint64(commandStop.Microseconds())),
		property("MemoryMax", uint64(commandMemory)), property("TasksMax", uint64(commandTasks)), property("OOMScoreAdjust", int32(500)),
		property("PrivateTmp", true), property("ProtectControlGroups", true), property("ProtectKernelTunables", true),
		property("StandardOutputFileDescriptor", godbus.UnixFD(c.Output.Fd())), property("StandardErrorFileDescriptor", godbus.UnixFD(c.Output.Fd())),
	}
	if c.User != "root" {
		all = append(all, property("NoNewPrivileges", true), property("CapabilityBoundingSet", uint64(0)), property("PrivateDevices", true),
			property("ProtectKernelModules", true), property("RestrictSUIDSGID", true), property("LockPersonality", true), property("ProtectSystem", "full"))
	}
	if c.User != "" {
		return append(all, property("User", c.User))
	}
	return append(all, property("DynamicUser", true), property("ProtectHome", "yes"))
}

// ended returns the reason why a unit failed, or "".
func (b *Bus) ended(ctx context.Context, unit string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	conn, err := b.connect(ctx)
	if err != nil {
		return ""
	}
	props, err := conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return ""
	}
	result, _ := props["Result"].(string)
	status, _ := props["ExecMainStatus"].(int32)
	_ = conn.ResetFailedUnitContext(ctx, unit)
	switch result {
	case "exit-code":
		return fmt.Sprintf("it exited with status %d", status)
	case "signal", "core-dump":
		return fmt.Sprintf("it was killed by signal %d", status)
	case "timeout":
		return "it exceeded its time limit, and was killed"
	case "oom-kill":
		return fmt.Sprintf("it used more than %d MiB of memory, and was killed", commandMemory>>20)
	}
	return ""
}
