#!/bin/sh
# placeholder-certificates LIST: for each path in LIST (one per line) that does not exist, generates a self-signed certificate
# with a key of this machine, so that haproxy can start before the real certificate is installed. It never changes existing
# files. A path that ends with "/" is a directory, which gets a placeholder if it is empty. "ca PATH" gets a certificate
# without its key.
set -eu

while IFS= read -r path; do
	ca=${path%%/*}
	path=${path#"ca "}
	case $path in
	*/)
		if [ -d "$path" ] && [ -n "$(ls -- "$path")" ]; then
			continue
		fi
		# haproxy's default certificate is the first by name
		path=${path}zz-placeholder.pem
		;;
	esac
	if [ -z "$path" ] || [ -e "$path" ] || [ -L "$path" ]; then
		continue
	fi
	dir=$(dirname -- "$path")
	mkdir -p -- "$dir"
	umask 077
	work=$(mktemp -d -- "$dir/.placeholder.XXXXXX")
	trap 'rm -rf -- "$work"' EXIT
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
		-subj "/CN=placeholder.invalid/O=hapair placeholder" -keyout "$work/key" -out "$work/crt" 2>"$work/log" || {
		cat -- "$work/log" >&2
		exit 1
	}
	cat -- "$work/crt" >"$work/pem"
	if [ -z "$ca" ]; then
		cat -- "$work/key" >>"$work/pem"
	fi
	chown root:haproxy -- "$work/pem"
	chmod 0640 -- "$work/pem"
	# ln fails if the path exists by now, so a file that was installed meanwhile is kept
	if ln -T -- "$work/pem" "$path"; then
		echo "generated a placeholder for $path"
	fi
	rm -rf -- "$work"
	trap - EXIT
	umask 022
done <"$1"
