#!/bin/sh
# dpkg says "remove" and rpm 0 where the package goes for good, and not for an upgrade.
set -e
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then systemctl disable --now powerjob-shim.service; fi
	;;
esac
