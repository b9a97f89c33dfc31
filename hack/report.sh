# shellcheck shell=bash
# Sourced by the other scripts: timed, bounded phases, and a summary of what ran and what did not.

# One line per thing that was not checked, with the reason. Scripts called by scripts share it.
if [ -z "${WEFT_SKIPPED:-}" ]; then
  WEFT_SKIPPED=$(mktemp)
  export WEFT_SKIPPED
  trap 'rm -f "$WEFT_SKIPPED"' EXIT
fi
phases=()
failed=0

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' red='' green='' plain=''
fi

# phase NAME MINUTES COMMAND...: runs the command; a failure is kept for the summary.
phase() {
  local name=$1 minutes=$2 began=$SECONDS code=0 outcome
  shift 2
  printf '%s\n' "${bold}== $name${plain} (at most $minutes min): $*"
  timeout --foreground --kill-after=10 "${minutes}m" "$@" </dev/null || code=$?
  case $code in
    0) outcome="${green}ok${plain}    " ;;
    124 | 137) outcome="${red}FAILED${plain} after $minutes min" failed=1 ;;
    *) outcome="${red}FAILED${plain}" failed=1 ;;
  esac
  phases+=("$(printf '  %5ss  %-28s %s' "$((SECONDS - began))" "$name" "$outcome")")
}

# skip WHAT WHY
skip() {
  printf '%s: %s\n' "$1" "$2" >>"$WEFT_SKIPPED"
}

# summary: prints it and ends the script.
summary() {
  printf '\n%s\n' "${bold}$1, in $SECONDS s${plain}"
  printf '%s\n' "${phases[@]}"
  if [ -s "$WEFT_SKIPPED" ]; then
    printf 'not checked here:\n'
    sed 's/^/  /' "$WEFT_SKIPPED"
  else
    printf 'nothing was skipped\n'
  fi
  exit "$failed"
}
