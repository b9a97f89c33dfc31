#!/usr/bin/env bash
# The images of the mesh, the bookstore and a client, around static programs, as OCI archives in
# target/images. `DEMO_PROFILE=dev` builds faster.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${DEMO_PROFILE:-demo}
cargo=${CARGO:-cargo}
machine=$(uname -m)
target=${IMAGE_TARGET:-$machine-unknown-linux-gnu}
dir=${CARGO_TARGET_DIR:-target}
folder=$profile
if [ "$profile" = dev ]; then folder=debug; fi

# A target of its own, so that the flags meet neither build scripts nor the other builds.
RUSTFLAGS="-C target-feature=+crt-static" $cargo build --locked --profile "$profile" \
  --target "$target" -p weft-operator -p weft-proxy -p weft-e2e \
  --bin weft-operator --bin weft-proxy --bin bookstore --bin caller

# Lines of a debug build are ten times the program; who debugs has them in target/.
programs=$dir/$target/$folder/images
mkdir -p "$programs"
for program in weft-operator weft-proxy bookstore caller; do
  strip --strip-debug -o "$programs/$program" "$dir/$target/$folder/$program"
done
CARGO_TERM_QUIET=true $cargo run --locked -p weft-e2e --bin weft-cluster -- images \
  --from "$programs" --to target/images
