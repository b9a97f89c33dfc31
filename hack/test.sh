#!/usr/bin/env bash
# Everything: lint, unit, property, corpus and hostile-input tests, a real Kubernetes API, the demo,
# and the stories on a real cluster.
# Phases go on after a failure, so that one run shows everything; the exit code remembers it.
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/report.sh

# Whether etcd and kube-apiserver are there, or can be built here.
has_kubernetes() {
  [ -n "${KUBEBUILDER_ASSETS:-}" ] || command -v go >/dev/null ||
    compgen -G "${WEFT_CACHE:-$HOME/.cache/weft}/bin/kube-apiserver-*" >/dev/null
}

# A pod's network, for the tests of the capture.
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  skip "the capture of a pod's connections" "network namespaces need Linux and root"
elif ! command -v ip >/dev/null; then
  phase "iproute2" 10 sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends iproute2'
fi

phase "lint" 40 hack/lint.sh
phase "build" 25 cargo build --workspace --all-targets --locked
if has_kubernetes; then
  phase "etcd and kube-apiserver" 25 \
    cargo run --locked -p weft-e2e --bin weft-controlplane -- build
  phase "tests" 25 cargo test --workspace --locked --no-fail-fast
else
  why="neither Go nor KUBEBUILDER_ASSETS is there to get a kube-apiserver from"
  skip "the tests against a real Kubernetes API" "$why"
  phase "tests without Kubernetes" 15 \
    cargo test --workspace --locked --no-fail-fast --exclude weft-e2e --exclude weft-operator
  phase "unit tests of the rest" 10 \
    cargo test -p weft-e2e -p weft-operator --locked --no-fail-fast --lib --bins -- \
    --skip control_plane
fi
if [ "$(uname -s)" = Linux ]; then
  # The debug programs stand already, and keep every claim with time to spare.
  phase "demo" 10 cargo run --locked -p weft-e2e --bin demo -- --once
else
  skip "the demo" "it needs every 127.x.y.z address, which only Linux has without set-up"
fi

# The stories on a real cluster: its packages, its programs (kept in the cache), the mesh's images.
weft_cluster=(env CARGO_TERM_QUIET=true cargo run --locked -p weft-e2e --bin weft-cluster --)
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  skip "the stories on a real cluster" "a cluster of one node needs Linux and root"
  skip "instructions of a request" "packages are installed, and images built, as root on Linux"
else
  if [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
    phase "packages of a node" 10 hack/node-packages.sh
  fi
  if why=$("${weft_cluster[@]}" check 2>&1); then
    phase "programs of a node" 40 "${weft_cluster[@]}" build
    phase "images" 25 hack/images.sh
    # The same program: what is counted is what is shipped, but for the minutes of fat LTO.
    if [ -f /etc/debian_version ] || command -v valgrind >/dev/null; then
      phase "instructions of a request" 10 hack/instructions.sh
    else
      skip "instructions of a request" "valgrind is missing, and is installed on Debian alone"
    fi
    phase "stories" 25 env WEFT_STORIES=1 cargo test --locked -p weft-e2e --test stories
  else
    skip "the stories on a real cluster" "$why"
    skip "instructions of a request" "no images were built, of whose proxy they are counted"
  fi
fi
summary "make test"
