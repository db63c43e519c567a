#!/bin/sh
# Before the package's files are unpacked: its user, which owns the configuration.
set -e
getent group powerjob-shim >/dev/null || groupadd --system powerjob-shim
getent passwd powerjob-shim >/dev/null || useradd --system --gid powerjob-shim \
	--home-dir /var/lib/powerjob-shim --no-create-home --shell /usr/sbin/nologin powerjob-shim
