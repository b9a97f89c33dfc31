#!/usr/bin/env bash
# Holds a request's user instructions, counted by callgrind, to the record in
# bench/instructions.json: 5 % more fails. WRITE=1 writes the record. Argument: the folder of weft-bench and weft-operator.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${CARGO_TARGET_DIR:-target}
programs=${1:-$dir/debug}
target=${IMAGE_TARGET:-$(uname -m)-unknown-linux-gnu}
hack/bench-packages.sh guard
# The program of the images: a debug program says nothing, since what is inlined decides half of
# the figure. The same packages as there, so that nothing is built anew.
RUSTFLAGS="-C target-feature=+crt-static" ${CARGO:-cargo} build --quiet --locked --profile demo \
  --target "$target" -p weft-operator -p weft-proxy -p weft-e2e --bin weft-proxy
mode=--check
if [ -n "${WRITE:-}" ]; then mode=--write; fi
exec "$programs/weft-bench" instructions "$mode" --profile demo --requests 4000 \
  --bin-dir "$programs" --release-dir "$dir/$target/demo"
