package image

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deniedCalls returns system calls that need capabilities that the image does not have, or that would give it capabilities
// in a new user namespace, from which most local vulnerabilities of the kernel can be reached.
func deniedCalls() []uint32 {
	return []uint32{
		unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN,
		unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_SYSLOG,
	}
}

// Offsets in struct seccomp_data, see seccomp(2).
const (
	dataNumber  = 0
	dataArch    = 4
	dataArg0Low = 16
	dataArg1Low = 24
)

// x32Bit marks system calls of x32, which have the same architecture number as amd64.
const x32Bit = 0x40000000

// loopRequests is the first request number of ioctl(2) for loop devices (linux/loop.h). A process that has such a device
// open for writing could change it.
const loopRequests = 0x4c00

// newNamespaces are the flags of clone(2) that create a namespace.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// filterSystemCalls denies these system calls to this thread and all its descendants. On other architectures it does
// nothing; capabilities and namespaces apply there too.
func filterSystemCalls() error {
	arch, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return nil
	}
	filter := systemCallFilter(arch)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}

func systemCallFilter(arch uint32) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	// A jump skips the given number of instructions if its test is true, and another number if it is false.
	jump := func(op uint16, value uint32, ifTrue, ifFalse uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: ifTrue, Jf: ifFalse, K: value}
	}
	and := func(mask uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask}
	}
	result := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	missing, denied := result(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)), result(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))
	filter := []unix.SockFilter{
		load(dataArch), jump(unix.BPF_JEQ, arch, 1, 0), missing, // the call numbers of other architectures differ
		load(dataNumber), jump(unix.BPF_JSET, x32Bit, 0, 1), missing,
		// The flags of clone3 are in memory, which a filter cannot read. If clone3 is missing, libraries use clone.
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), missing,
	}
	for _, call := range deniedCalls() {
		filter = append(filter, jump(unix.BPF_JEQ, call, 0, 1), denied)
	}
	return append(filter,
		jump(unix.BPF_JEQ, unix.SYS_IOCTL, 0, 4),
		load(dataArg1Low), and(^uint32(0xff)), jump(unix.BPF_JEQ, loopRequests, 0, 1), denied,
		load(dataNumber), jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 3),
		load(dataArg0Low), jump(unix.BPF_JSET, newNamespaces, 0, 1), denied,
		result(unix.SECCOMP_RET_ALLOW))
}
