#!/usr/bin/env bash
# Measures, writes docs/performance.md, and fails where a figure falls short of what must be shown.
# Arguments: the folder of weft-bench and weft-operator, and that of weft-proxy and weft-floor.
# SCENARIO: one of `weft-bench path --help`, or handshakes, reload, idle, control-plane, instructions, scale.
# QUICK=1: a smoke test.
set -euo pipefail
programs=$1
released=$2
places=(--bin-dir "$programs" --release-dir "$released")
figures=target/bench/figures.json
docs=(--docs docs)
quick=()
if [ "${QUICK:-0}" != 0 ]; then
  # Figures of a smoke test are kept apart, and are not published.
  figures=target/bench/quick.json
  docs=()
  quick=(--quick)
fi
keep=(--figures "$figures")

measure() {
  "$programs/weft-bench" "$@" "${places[@]}" "${keep[@]}" "${quick[@]}"
}
instructions() {
  local requests=()
  if [ "${#quick[@]}" -gt 0 ]; then requests=(--requests 200); fi
  "$programs/weft-bench" instructions "${places[@]}" "${keep[@]}" "${requests[@]}"
}

case "${SCENARIO:-all}" in
all)
  # One run: nothing of an older one stays. What fails has no figures, and so falls short below.
  rm -f "$figures"
  failed=()
  for what in path handshakes reload idle control-plane; do
    measure "$what" || failed+=("$what")
  done
  instructions || failed+=(instructions)
  if [ "${#failed[@]}" -gt 0 ]; then echo "not all was measured: ${failed[*]}" >&2; fi
  ;;
scale)
  exec "$programs/weft-bench" scale ${JSON:+--json}
  ;;
instructions)
  instructions
  ;;
handshakes | reload | idle | control-plane)
  measure "$SCENARIO"
  ;;
*)
  measure path "$SCENARIO"
  ;;
esac
if [ -n "${SCENARIO:-}" ] && [ "$SCENARIO" != all ]; then
  # One scenario has no say about the others.
  "$programs/weft-bench" report "${keep[@]}" "${docs[@]}" || true
  exit 0
fi
if [ "${#quick[@]}" -gt 0 ]; then
  "$programs/weft-bench" report "${keep[@]}" || echo "a smoke test decides nothing"
  exit 0
fi
exec "$programs/weft-bench" report "${keep[@]}" "${docs[@]}"
