// Intruder takes the place of /bin/sh in a hostile image. It tries known ways to escape from a chroot to the machine, and
// prints a line for each attempt: "in" if it failed, "OUT" if it succeeded. An attempt that succeeds does no damage.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const child = "INTRUDER_CHILD"

func main() {
	file := os.Getenv("VICTIM_FILE")
	switch os.Getenv(child) {
	case "chroot":
		try("leave by a second chroot", doubleChroot(file))
		return
	case "":
	default:
		return
	}
	runtime.LockOSThread()
	pid, _ := strconv.Atoi(os.Getenv("VICTIM_PID"))
	identity()
	try("read a file of the machine", readable(file))
	cmd := exec.Command("/bin/sh") // it changes its root
	cmd.Env = append(os.Environ(), child+"=chroot")
	cmd.Stdout = os.Stdout
	if err := cmd.Run(); err != nil {
		try("start a program", nil)
	}
	for _, magic := range []string{"/proc/1/root", "/proc/self/root", "/proc/1/cwd/../../../../.."} {
		try("read a file by "+magic, readable(magic+file))
	}
	processes(pid)
	descriptors()
	for _, path := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/net/ipv4/ip_forward",
		"/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/sys/kernel/uevent_helper", "/sys/power/state"} {
		try("open for writing "+path, open(path, unix.O_WRONLY))
	}
	try("read /proc/kcore", kcore())
	devices()
	calls()
	mounts()
	namespaces()
	if socket := os.Getenv("VICTIM_SOCKET"); socket != "" {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		try("reach an abstract socket", err)
	}
	os.Exit(42)
}

// try reports an attempt. A nil error means that it succeeded.
func try(what string, err error) {
	if err == nil {
		fmt.Println("OUT", what)
		return
	}
	fmt.Println("in ", what+":", err)
}

var errNothing = errors.New("nothing there")

func readable(file string) error {
	_, err := os.ReadFile(file)
	return err
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// identity checks this process's capabilities and session.
func identity() {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		try("know the own capabilities", nil)
	}
	allowed := uint64(1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_SETFCAP |
		1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_KILL | 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_AUDIT_WRITE)
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); {
		case strings.HasPrefix(name, "Cap"):
			set, err := strconv.ParseUint(value, 16, 64)
			if err == nil && set&^allowed == 0 {
				err = errNothing
			}
			try(fmt.Sprintf("have more capabilities (%s %x)", name, set&^allowed), err)
		case name == "NoNewPrivs" && value != "1":
			try("gain privileges", nil)
		}
	}
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		try("share the session, and so the terminal, of the machine", nil)
	}
}

// processes searches for processes other than this one.
func processes(victim int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	err := errNothing
	if len(dirs) > 1 {
		err = nil
	}
	try("see processes", err)
	try("signal a process", unix.Kill(victim, 0))
	err = unix.PtraceAttach(victim)
	if err == nil {
		_ = unix.PtraceDetach(victim)
	}
	try("trace a process", err)
}

// descriptors reads from descriptors that were leaked to this process.
func descriptors() {
	err := errNothing
	for fd := 4; fd < 64; fd++ {
		b := make([]byte, 64)
		if n, _ := unix.Pread(fd, b, 0); n > 0 && bytes.Contains(b[:n], []byte("of this machine")) {
			err = nil
		}
	}
	try("read a descriptor of the machine", err)
}

func kcore() error {
	f, err := os.Open("/proc/kcore")
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 4))
	return err
}

func devices() {
	var st unix.Stat_t
	if err := unix.Stat("/root/disk", &st); err != nil {
		try("find the disk's node", nil)
	}
	err := unix.Mknod("/root/mine", unix.S_IFBLK|0o666, int(st.Rdev))
	try("make a node of the machine's disk", err)
	try("make a node of the machine's memory", unix.Mknod("/root/mem", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1))))
	try("make a node in /dev", unix.Mknod("/dev/mine", unix.S_IFBLK|0o666, int(st.Rdev)))
	for _, name := range []string{"/root/disk", "/root/mine", "/dev/mine", "/dev/mem", "/dev/kmsg", "/dev/loop-control"} {
		try("open "+name, open(name, unix.O_RDONLY))
	}
	nodes, _ := filepath.Glob("/dev/hapair*")
	if len(nodes) == 0 {
		try("find the image's disk", nil)
	}
	for _, name := range nodes {
		try("write to the image's disk "+name, rewrite(name))
	}
	try("write to the terminal", open("/dev/tty", unix.O_RDWR))
}

// rewrite writes a block of a disk back unchanged, and tries to change its loop device.
func rewrite(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	const loopGetStatus64 = 0x4c05
	status := make([]byte, 512)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), loopGetStatus64, uintptr(unsafe.Pointer(&status[0]))); errno == 0 {
		return nil
	}
	sector := make([]byte, 512)
	if _, err := f.ReadAt(sector, 0); err != nil {
		return err
	}
	_, err = f.WriteAt(sector, 0)
	return err
}

// calls makes system calls with invalid arguments. If the capability is missing, the kernel refuses them before it checks
// the arguments.
func calls() {
	raw := func(what string, number uintptr, args ...uintptr) {
		var a [3]uintptr
		copy(a[:], args)
		_, _, errno := unix.Syscall(number, a[0], a[1], a[2])
		var err error
		if errno == unix.EPERM || errno == unix.EACCES || errno == unix.ENOSYS {
			err = errno
		}
		try(what, err)
	}
	name, _ := os.Hostname()
	try("name the machine", unix.Sethostname([]byte(name)))
	raw("load a module", unix.SYS_INIT_MODULE)
	raw("restart the machine", unix.SYS_REBOOT)
	raw("load BPF", unix.SYS_BPF, 5)
	raw("use the keyring", unix.SYS_KEYCTL, 0, ^uintptr(2), 0)
	handle := make([]byte, 64)
	handle[0] = 8
	mount, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		raw("open a file by its handle", unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mount), uintptr(unsafe.Pointer(&handle[0])), 0)
		unix.Close(mount)
	}
}

func mounts() {
	try("mount a tmpfs", unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""))
	try("mount another /proc", unix.Mount("proc", "/tmp", "proc", 0, ""))
	try("mount cgroups", unix.Mount("cgroup2", "/tmp", "cgroup2", 0, ""))
	try("make /proc writable", unix.Mount("", "/proc", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	try("make /sys writable", unix.Mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	try("let device nodes work", unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	try("unmount /proc", unix.Unmount("/proc", unix.MNT_DETACH))
	try("pivot", unix.PivotRoot("/tmp", "/tmp"))
}

func namespaces() {
	for name, flag := range map[string]uintptr{"user": unix.CLONE_NEWUSER, "mount": unix.CLONE_NEWNS, "network": unix.CLONE_NEWNET} {
		cmd := exec.Command("/bin/sh")
		cmd.Env = []string{child + "=1"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flag}
		try("start a program in another "+name+" namespace", cmd.Run())
		cmd = exec.Command("/bin/sh")
		cmd.Env = []string{child + "=1"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flag}
		try("unshare the "+name+" namespace", cmd.Run())
	}
	fd, err := unix.Open("/proc/1/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Setns(fd, unix.CLONE_NEWNET)
	}
	try("enter a namespace", err)
}

// doubleChroot escapes from a chroot: after a second chroot, the working directory is above the root, and ".." leads to the
// top.
func doubleChroot(file string) error {
	if err := os.MkdirAll("/inner", 0o755); err != nil {
		return err
	}
	if err := unix.Chroot("/inner"); err != nil {
		// If chroot is not permitted, try "..", although there is nothing above the root.
		return readable(strings.Repeat("../", 64) + strings.TrimPrefix(file, "/"))
	}
	for range 64 {
		if err := unix.Chdir(".."); err != nil {
			return err
		}
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return readable(file)
}
