#!/usr/bin/env bash
# Installs the deb that make release has built into a Debian of its own, runs
# its program there, upgrades it, and removes it.
#     bash test/release/deb.sh
# Wants root and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."

deb=$(ls dist/*_amd64.deb)
if ! command -v debootstrap >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "NOT INSTALLED: debootstrap and root are needed"
	[ "${CI:-}" != true ]
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mirror=$(sed -nE 's/^(deb|URIs:) *(\[[^]]*\] *)?(https?:[^ ]*).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 || true)
debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$work/log" 2>&1 || { tail -5 "$work/log"; exit 1; }
in_root() { chroot "$root" "$@"; }

cp "$deb" "$root/shim.deb"
in_root dpkg -i /shim.deb >/dev/null
in_root powerjob-shim version
in_root powerjob-shim check --config /etc/powerjob-shim/shim.yaml
in_root getent passwd powerjob-shim | grep -q ':/usr/sbin/nologin$'
[ "$(in_root stat -c '%U:%G %a' /etc/powerjob-shim/shim.yaml)" = "root:powerjob-shim 640" ]
for file in /usr/share/man/man1/powerjob-shim-run.1 /usr/share/bash-completion/completions/powerjob-shim \
	/usr/share/doc/powerjob-shim/examples/own-rules.yaml /lib/systemd/system/powerjob-shim.service; do
	[ -e "$root$file" ] || [ -e "$root$file.gz" ] || { echo "$file is not installed"; exit 1; }
done
echo "installed, with its user, manual pages, completions and unit"

# An upgrade keeps what the operator wrote, whatever the new package brings.
sed -i 's/127.0.0.1:7701/10.0.0.1:7701/' "$root/etc/powerjob-shim/shim.yaml"
mkdir "$work/next"
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/Version: 9.9.9/' "$work/next/DEBIAN/control"
echo "# new" >>"$work/next/etc/powerjob-shim/shim.yaml"
dpkg-deb -b --root-owner-group "$work/next" "$root/next.deb" >/dev/null
in_root dpkg --force-confdef -i /next.deb >/dev/null 2>&1 </dev/null
grep -q 10.0.0.1:7701 "$root/etc/powerjob-shim/shim.yaml"
echo "upgraded, with the configuration as it was"

in_root dpkg -r powerjob-shim >/dev/null 2>&1
[ ! -e "$root/usr/bin/powerjob-shim" ] && [ -e "$root/etc/powerjob-shim/shim.yaml" ]
in_root dpkg -P powerjob-shim >/dev/null 2>&1
[ ! -e "$root/etc/powerjob-shim/shim.yaml" ]
echo "removed, and purged"
