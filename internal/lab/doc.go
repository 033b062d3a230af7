// Package lab runs programs and whole hosts of our own on this machine: roots of a release made by mmdebstrap, sandboxes
// in which the real haproxy, keepalived or cloud-init checks a file, and hosts with a real systemd that are joined by
// bridges. Everything lives in namespaces that end with the process that made them, even when that is killed: no
// process, mount, network namespace or loop device stays behind.
//
// It needs root, because mounts and network namespaces of a full system do.
package lab
