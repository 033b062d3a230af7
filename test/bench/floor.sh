# The minimum of a golden bake: copy the base image, install packages with apt, and write a compressed qcow2. apt has its lists and
# packages from the previous run, and only checks that they are current.
#   floor.sh BASE START SIZE KEPT WORK PACKAGES…   START and SIZE: position and size of the root's partition in bytes
set -eu
base=$1 start=$2 size=$3 kept=$4 work=$5
shift 5
now() { date +%s%N; }
step() { echo "$1 $(($(now) - began))"; began=$(now); }
began=$(now)
cp --sparse=always "$base" "$work/disk.raw"
step copy
root=$work/root
mkdir -p "$root" "$kept/lists" "$kept/archives"
mount -o loop,offset="$start",sizelimit="$size" "$work/disk.raw" "$root"
mount --bind "$kept/lists" "$root/var/lib/apt/lists"
mount --bind "$kept/archives" "$root/var/cache/apt/archives"
mount -t proc proc "$root/proc"
chroot "$root" sh -c 'f=$(readlink -m /etc/resolv.conf); mkdir -p "${f%/*}"; cat >"$f"' </etc/resolv.conf
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
chroot "$root" apt-get -q update >"$work/log" 2>&1
chroot "$root" apt-get -q -y -o APT::Keep-Downloaded-Packages=true install --no-install-recommends "$@" >>"$work/log" 2>&1
rm "$root/usr/sbin/policy-rc.d"
umount --recursive "$root"
step apt
qemu-img convert -c -O qcow2 -o compression_type=zstd "$work/disk.raw" "$work/disk.qcow2"
step convert
