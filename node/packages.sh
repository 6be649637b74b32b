# packages.sh - what a bare Debian 12 lacks to build, run and test; sourced by the two scripts.
PACKAGES="gcc libc6-dev meson ninja-build pkg-config python3 libnng-dev libsodium-dev \
libprotobuf-c-dev protobuf-c-compiler libsqlite3-dev r-mathlib libcmocka-dev libseccomp-dev \
libjansson-dev libyaml-dev zlib1g-dev linux-libc-dev faketime"

install_packages() {
    missing=""
    for p in $PACKAGES; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $p"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing"
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "these packages are missing and you are not root:$missing" >&2
            exit 1
        }
        root=sudo
    fi
    $root apt-get update -qq
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $missing >/dev/null
}
