#!/usr/bin/env bash
# What a node is made of besides Kubernetes. Installed where this is root on Debian, else named.
set -euo pipefail

packages=()
need() { # PACKAGE FILE...: one of the files is enough
  local package=$1 file
  shift
  for file in "$@"; do
    if [ -e "$file" ]; then return 0; fi
  done
  packages+=("$package")
}
need containerd /usr/bin/containerd /usr/local/bin/containerd
need runc /usr/sbin/runc /usr/bin/runc /usr/local/sbin/runc
need containernetworking-plugins /usr/lib/cni/ptp /opt/cni/bin/ptp
need nftables /usr/sbin/nft /sbin/nft
need iproute2 /usr/sbin/ip /sbin/ip /usr/bin/ip
need buildah /usr/bin/buildah

if [ "${#packages[@]}" -eq 0 ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
  echo "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # Nothing of them runs as a service: the cluster starts its own, and takes it down again.
  RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${packages[@]}"
else
  echo "these packages are missing: ${packages[*]}" >&2
  echo "on Debian, as root: apt-get install --no-install-recommends ${packages[*]}" >&2
  exit 1
fi
