// Package lab runs programs and whole hosts on this machine. It provides roots of a release, which mmdebstrap makes;
// sandboxes in which the real haproxy, keepalived or cloud-init checks a file; and hosts with a real systemd that are
// connected by bridges. Everything is in namespaces that end with the process that created them, even if the process is
// killed: no process, mount, network namespace or loop device is left behind.
//
// It needs root, because mounts and network namespaces of a full system do.
package lab
