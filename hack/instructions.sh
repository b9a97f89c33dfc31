#!/usr/bin/env bash
# Holds a request's user instructions, counted by callgrind, to the record in
# bench/instructions.json: 5 % more fails. Argument: the folder of weft-bench and weft-operator.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=${1:-${CARGO_TARGET_DIR:-target}/debug}
hack/bench-packages.sh guard
# Not the debug program: what is inlined decides half of the figure. Without fat LTO it is built in
# a tenth of the release's time, and is a measure as steady.
cargo build --quiet --profile demo --locked -p weft-proxy --bin weft-proxy
exec "$programs/weft-bench" instructions --check --profile demo --requests 1500 \
  --bin-dir "$programs" --release-dir "${CARGO_TARGET_DIR:-target}/demo"
