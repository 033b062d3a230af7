package afternoon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

// operator is the operator's machine: a fresh root of a release with apt, in separate namespaces, on the network of this
// machine. Its root is a real one, so that bake can make images and boot drills in it.
type operator struct {
	root string // as seen from here
	pid  int
}

// enterRoot makes an overlay the root of new namespaces, and then waits for the end of its input. $1 is the lower directory,
// $2 a directory for the changes, $3 the cache. The shell is the init of the namespace, and must reap orphans: a drill's host does not
// end before every process of its namespace is reaped (pid_namespaces(7)).
const enterRoot = `mkdir -p "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs tmpfs run
cat /etc/resolv.conf >etc/resolv.conf
echo 127.0.0.1 localhost "$(uname -n)" >etc/hosts
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
mkdir -p root/.cache/hapair
mount --bind "$3" root/.cache/hapair
pivot_root . mnt
umount -l /mnt
echo ready
cat
: # without this, cat would replace the shell`

// newOperator starts the operator's machine. The cache is a directory with what earlier bakes downloaded.
func newOperator(t *testing.T, root, cache string) *operator {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-euc", enterRoot, "sh", root, dir, cache)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("cannot start the operator's machine: %s", stderr.String())
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	return &operator{root: fmt.Sprintf("/proc/%d/root", pid), pid: pid}
}

// run runs a script in root's home, and returns its output: stdout and stderr together.
func (o *operator) run(ctx context.Context, script string) (string, error) {
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(o.pid), "-m", "-p", "--", "sh", "-euc", "cd /root\n"+script)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// write writes a file of the machine.
func (o *operator) write(t *testing.T, name string, mode os.FileMode, data []byte) {
	t.Helper()
	path := filepath.Join(o.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
}

// reach makes the ssh server of an address in the lab reachable from the operator's machine, and returns the port of
// 127.0.0.1 that leads there.
func reach(t *testing.T, c *lab.Client, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go relay(t.Context(), conn, c, address)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func relay(ctx context.Context, conn net.Conn, c *lab.Client, address string) {
	defer conn.Close()
	far, err := c.Dial(ctx, "tcp", net.JoinHostPort(address, "22"))
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		_, _ = io.Copy(far, conn)
		if tcp, ok := far.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	_, _ = io.Copy(conn, far)
}
