#!/usr/bin/env bash
# Everything that can be said about the code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/report.sh

export CARGO_TERM_PROGRESS_WHEN=${CARGO_TERM_PROGRESS_WHEN:-auto}

phase "formatting" 1 cargo fmt --all --check
phase "clippy" 20 cargo clippy --workspace --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" phase "documentation" 15 \
  cargo doc --workspace --no-deps --document-private-items --locked
phase "generated manifests" 10 hack/drift.sh
phase "dependencies" 20 hack/deny.sh
summary "lint"
