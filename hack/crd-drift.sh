#!/usr/bin/env bash
# Fails if config/crd is not what the types in crds/ generate.
set -euo pipefail
cd "$(dirname "$0")/.."

committed=$(mktemp -d)
trap 'rm -rf "$committed"' EXIT
cp -a config/crd/. "$committed"
cargo run --locked -p weft-crds --bin weft-crdgen
if ! diff -ru "$committed" config/crd; then
  # A check changes nothing, even when it fails.
  rm -rf config/crd
  mkdir config/crd
  cp -a "$committed/." config/crd
  echo "config/crd is not what crds/ generates: run \`make crds\` and commit the result" >&2
  exit 1
fi
