#!/usr/bin/env bash
# Fails if config/crd is not what the types in crds/ generate, or config/chart not what the
# manifests of config/ generate.
set -euo pipefail
cd "$(dirname "$0")/.."

kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT

# drift FOLDER PACKAGE PROGRAM TARGET
drift() {
  local folder=$1 committed=$kept/$3
  cp -a "$folder" "$committed"
  cargo run --quiet --locked -p "$2" --bin "$3"
  if ! diff -ru "$committed" "$folder"; then
    # A check changes nothing, even when it fails.
    rm -rf "$folder"
    cp -a "$committed" "$folder"
    echo "$folder is not what $2 generates: run \`make $4\` and commit the result" >&2
    return 1
  fi
}
drift config/crd weft-crds weft-crdgen crds
drift config/chart weft-install weft-chartgen chart
