#!/bin/sh
# Brings the parts that the tests marked `real` need. As root on Debian it installs what is missing; elsewhere it
# says what will be skipped. It never fails the build: a test whose part is missing skips itself with a sentence.
set -u

# program:package
parts="dockerd:docker.io containerd:containerd runc:runc iptables:iptables skopeo:skopeo groovy:groovy
shellcheck:shellcheck chromium:chromium busybox:busybox-static"

missing=""
for part in $parts; do
    command -v "${part%%:*}" >/dev/null 2>&1 || missing="$missing ${part#*:}"
done
[ -n "$missing" ] || { echo "real parts: all there"; exit 0; }

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "real parts: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of package names
    if { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1; then
        exit 0
    fi
    echo "real parts: apt-get could not install all of them; what needs them is skipped" >&2
    exit 0
fi
echo "real parts: these are not here, so what needs them is skipped:$missing" >&2
echo "real parts: on Debian, as root: apt-get install$missing" >&2
