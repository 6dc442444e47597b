#!/bin/sh
# Installs Debian packages when this user may. Without --missing: the packages named. With it: pairs PROGRAM:PACKAGE,
# and only the packages whose program is not there.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"
for folder in /usr/lib/postgresql/*/bin; do [ -d "$folder" ] && PATH="$PATH:$folder"; done
packages=""
if [ "${1:-}" = "--missing" ]; then
  shift
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair##*:}"; done
else
  packages="$*"
fi
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "Please install:$packages (no apt-get here)"
  exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || { echo "Please run: sudo apt-get install$packages"; exit 1; }
  as_root="sudo -n"
fi
echo "Installing as root, by ${as_root:+sudo and }apt-get:$packages …"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
