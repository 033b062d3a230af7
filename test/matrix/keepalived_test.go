package matrix

import (
	"context"
	"fmt"
	"time"
)

func keepalivedRows() []row {
	return inGroup("keepalived killed", []row{
		{name: "by SIGKILL, all its processes", harm: keepalivedKilled, gap: announced},
		{name: "by `systemctl kill --signal=KILL`, which kills ExecStopPost= too", harm: unitKilled, gap: announced},
		{name: "by SIGKILL, only its main process", harm: mainKilled, gap: announced},
		{name: "by SIGKILL, only its VRRP process", harm: childKilled, gap: announced},
		{name: "by SIGKILL, while ha-agent's daemon does not run", harm: killedAlone, gap: announced},
	})
}

// announced is the longest time for which a client may get no answer if a priority-0 advertisement is sent on behalf of a
// dead keepalived, while other tests use the machine. Without that advertisement it would be two to three intervals: 500 to
// 750 ms.
const announced = 300 * time.Millisecond

func unitKilled(ctx context.Context, r *run) error {
	return r.killed(ctx, "systemctl kill --signal=KILL keepalived.service")
}

func mainKilled(ctx context.Context, r *run) error {
	return r.killed(ctx, "kill -KILL $(systemctl show -P MainPID keepalived.service)")
}

func childKilled(ctx context.Context, r *run) error {
	return r.killed(ctx, "kill -KILL $(cat /proc/$(systemctl show -P MainPID keepalived.service)/task/*/children)")
}

func killedAlone(ctx context.Context, r *run) error {
	return r.killed(ctx, "systemctl stop ha-agent.service; kill -KILL $(pidof keepalived); sleep 2; systemctl start ha-agent.service")
}

// killed runs a script that kills, and waits until one node has held the VIP for a while.
func (r *run) killed(ctx context.Context, script string) error {
	if err := sh(ctx, r.holder, script); err != nil {
		return err
	}
	holder, err := r.Holders.WaitOne(ctx, 2*time.Second)
	if err != nil {
		return err
	}
	r.end = fmt.Sprintf("systemd has started it again; %s holds the VIP", map[bool]string{true: "the other node", false: "the same node"}[holder == r.other.Name])
	return r.told(ctx, state)
}
