# Installs the agent's program from the NoCloud seed of this machine.
# $1: its name in the seed; $2: its SHA-256; $3: the path to install it to.
set -eu
name=$1 digest=$2 target=$3 mounted=
fail() {
	echo "hapair: cannot install $target: $1" >&2
	exit 1
}
umask 022
trap 'rm -f "$target.new"; [ -z "$mounted" ] || { umount "$mounted"; rmdir "$mounted"; }' EXIT
source=
for dir in /var/lib/cloud/seed/nocloud /var/lib/cloud/seed/nocloud-net; do
	[ ! -f "$dir/$name" ] || source=$dir/$name
done
for label in CIDATA cidata; do
	[ -z "$source" ] || break
	device=$(blkid -L "$label") || continue
	mounted=$(mktemp -d /run/hapair-seed.XXXXXX)
	mount -o ro "$device" "$mounted" || { rmdir "$mounted"; mounted=; continue; }
	[ -f "$mounted/$name" ] || fail "there is no $name in the volume $device labelled $label"
	source=$mounted/$name
done
[ -n "$source" ] || fail "found neither a volume labelled CIDATA nor /var/lib/cloud/seed/nocloud/$name"
mkdir -p "${target%/*}"
cp "$source" "$target.new"
echo "$digest  $target.new" | sha256sum -c --quiet - || fail "the digest of $source is not $digest: generate the seed again"
chmod 0755 "$target.new"
mv -f "$target.new" "$target"
