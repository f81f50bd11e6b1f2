#!/bin/sh
# What the tests marked `real` need, installed when we may (root on Debian or Ubuntu), else said with the way to get it.
# Run by `make test-real`, again and again: what is there is left alone, the network is asked only for what is missing.
# Never fails: a test whose part is missing skips itself with a sentence.
set -u

PYTHON=${PYTHON:-.venv/bin/python}
# Where Debian keeps dockerd, for users as well.
PATH=$PATH:/usr/sbin:/sbin
# part | a program that proves it is there | Debian packages
PARTS='
Docker engine (images load and run)|dockerd|docker.io containerd runc iptables
a container registry|docker-registry|docker-registry
skopeo (images are read by another tool)|skopeo|skopeo
containerd by itself (it pulls as the nodes of a cluster do)|ctr|containerd runc
Groovy (Jenkinsfiles are compiled and executed)|groovy|groovy
shellcheck (generated shell)|shellcheck|shellcheck
a browser (reports under the policy of Jenkins)|chromium|chromium
an SSH server (git by ssh)|sshd|openssh-server openssh-client
busybox (a container without a network)|busybox|busybox-static
nginx (the proxy before the servers of a cluster)|nginx|nginx-light
a Prometheus (a monitor asks one)|prometheus|prometheus
a Kubernetes node: etcd|etcd|etcd-server
a Kubernetes node: network of its pods|/usr/lib/cni/ptp|containernetworking-plugins
'

kubernetes=no

has() { command -v "$1" >/dev/null 2>&1; }

missing_packages() {
    echo "$PARTS" | while IFS='|' read -r part program packages; do
        [ -z "$part" ] || has "$program" || printf '%s ' "$packages"
    done
}

install_packages() {
    packages=$(missing_packages)
    [ -n "$packages" ] || return 0
    echo "real parts: installing $packages"
    export DEBIAN_FRONTEND=noninteractive
    # A service that starts by itself is not wanted here: the tests start an engine of their own.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
    apt-get update -qq >/dev/null 2>&1 || echo "real parts: apt-get update failed; trying with the lists that are there"
    # One by one after a failure: a package that this release lacks must not cost the others.
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 || for package in $packages; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || echo "real parts: $package could not be installed"
    done
}

# A server for tests, as PROGRAM from PACKAGE. In an environment of its own: it and our clients of the same storage
# want different versions of one library.
install_server() {
    program=$1 package=$2
    has "$program" && return 0
    echo "real parts: installing $package"
    python3 -m venv "/opt/mmcicd-$program" >/dev/null 2>&1 \
        && "/opt/mmcicd-$program/bin/pip" install --quiet --disable-pip-version-check "$package" >/dev/null 2>&1 \
        && ln -sf "/opt/mmcicd-$program/bin/$program" "/usr/local/bin/$program" \
        || echo "real parts: $package could not be installed"
}

# The third reader of images. Newer Debians package it; where Go is, its module is built once (a minute or two).
CRANE=github.com/google/go-containerregistry/cmd/crane@v0.20.7
install_crane() {
    has crane && return 0
    if apt-cache show crane >/dev/null 2>&1; then
        echo "real parts: installing crane"
        apt-get install -y -qq --no-install-recommends crane >/dev/null 2>&1 && return 0
    fi
    has go || return 0
    echo "real parts: building crane"
    GOBIN=/usr/local/bin go install "$CRANE" >/dev/null 2>&1 || echo "real parts: crane could not be built"
}

# Kubernetes' own programs: 5 to 10 minutes on 2 cores the first time, kept for the user's other checkouts.
build_kubernetes() {
    if "$PYTHON" tests/cluster build; then kubernetes=yes; else kubernetes=no; fi
}

install_storage_clients() {
    [ -x "$PYTHON" ] || return 0
    "$PYTHON" -c 'import s3fs, gcsfs' 2>/dev/null && return 0
    echo "real parts: adding s3fs and gcsfs to $PYTHON"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -e '.[s3,gs]' >/dev/null 2>&1 || echo "real parts: s3fs and gcsfs could not be installed"
}

say_client() {
    if [ -x "$PYTHON" ] && "$PYTHON" -c "import $1" 2>/dev/null; then echo "  yes  $1"; else echo "  no   $1: pip install 'mmcicd-jenkins[$2]'"; fi
}

say_parts() {
    echo "real parts here:"
    echo "$PARTS" | while IFS='|' read -r part program packages; do
        [ -n "$part" ] || continue
        if has "$program"; then echo "  yes  $part"; else echo "  no   $part: apt-get install $packages"; fi
    done
    if has crane; then echo "  yes  crane"; else echo "  no   crane: apt-get install crane (Debian 13 and newer), or go install $CRANE"; fi
    if has moto_server; then echo "  yes  an S3 server"; else echo "  no   an S3 server: pipx install 'moto[server,s3]'"; fi
    say_client s3fs s3
    if has gcp-storage-emulator; then echo "  yes  a server of Google's storage"; else echo "  no   a server of Google's storage: pipx install gcp-storage-emulator"; fi
    say_client gcsfs gs
    if [ "$kubernetes" = yes ]; then echo "  yes  Kubernetes"; else echo "  no   Kubernetes: docs/howto/a-cluster-to-try.md"; fi
    if [ "$(id -u)" = 0 ]; then echo "  yes  small and read-only disks"; else echo "  no   small and read-only disks: mounting needs root (sudo make test-real)"; fi
}

install_storage_clients
if [ "$(id -u)" = 0 ] && has apt-get; then
    install_packages
    install_crane
    install_server moto_server 'moto[server,s3]'
    install_server gcp-storage-emulator gcp-storage-emulator
    build_kubernetes
fi
say_parts
exit 0
