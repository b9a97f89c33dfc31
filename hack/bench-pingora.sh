#!/usr/bin/env bash
# The bare Pingora proxy of the benchmarks, beside the released programs. A workspace of its own: its
# dependencies need cmake, and nothing else here needs them. Where it cannot be built, the benchmarks
# run without it and say so. Argument: the folder of what is built.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-target}
if ! command -v cmake >/dev/null; then
  echo "without Pingora: cmake is missing" >&2
  exit 0
fi
if ! ${CARGO:-cargo} build --locked --release --manifest-path bench/pingora/Cargo.toml \
  --target-dir "$target/pingora"; then
  echo "without Pingora: it does not build here" >&2
  exit 0
fi
cp "$target/pingora/release/weft-pingora" "$target/release/weft-pingora"
