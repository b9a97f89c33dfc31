# Debian's packages that a script needs. Sourced by those that install them.

packages=()

need() { # PACKAGE FILE...: one of the files is enough
  local package=$1 file
  shift
  for file in "$@"; do
    if [ -e "$file" ]; then return 0; fi
  done
  packages+=("$package")
}

# Installs what is missing where this is root on Debian, else names it and fails.
install_missing() {
  if [ "${#packages[@]}" -eq 0 ]; then return 0; fi
  if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
    echo "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # Nothing of them runs as a service: who needs them starts its own, and stops it again.
    RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${packages[@]}"
  else
    echo "these packages are missing: ${packages[*]}" >&2
    echo "on Debian, as root: apt-get install --no-install-recommends ${packages[*]}" >&2
    return 1
  fi
}
