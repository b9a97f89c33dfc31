#!/usr/bin/env bash
# What a node is made of besides Kubernetes. Installed where this is root on Debian, else named.
set -euo pipefail
source "$(dirname "$0")/packages.sh"

need containerd /usr/bin/containerd /usr/local/bin/containerd
need runc /usr/sbin/runc /usr/bin/runc /usr/local/sbin/runc
need containernetworking-plugins /usr/lib/cni/ptp /opt/cni/bin/ptp
need nftables /usr/sbin/nft /sbin/nft
need iproute2 /usr/sbin/ip /sbin/ip /usr/bin/ip
need buildah /usr/bin/buildah
install_missing
