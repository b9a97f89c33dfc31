#!/usr/bin/env bash
# Licences, bans and sources of every dependency; and known vulnerabilities, where the advisory
# database can be had.
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/report.sh

version=0.20.2
root=${WEFT_CACHE:-$HOME/.cache/weft}/cargo
deny=$root/bin/cargo-deny
if [ "$("$deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
  echo "installing cargo-deny $version into $root (a few minutes, once)"
  # A debug build: it checks a thousand crates in a second, and builds in a third of the time.
  cargo install cargo-deny --locked --debug --version "$version" --root "$root" --force
fi

cargo fetch --locked --quiet
"$deny" --offline check licenses bans sources
if timeout 60 "$deny" fetch db >/dev/null 2>&1; then
  "$deny" --offline check advisories
else
  skip "advisories" "the RustSec database at github.com cannot be reached from here"
fi
