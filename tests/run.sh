#!/bin/sh
# Installs what is needed, builds, runs every test. Ends with "N passed, N failed, N skipped".
#   QUICK=1   without the sanitizer build
set -eu
cd "$(dirname "$0")/.."
. node/packages.sh
install_packages

build=build
sanitized=build/sanitized
[ -d $build ] || meson setup $build --buildtype=debugoptimized >/dev/null
ninja -C $build
export COHORTIUM_BUILD="$PWD/$build" COHORTIUM_SOURCE="$PWD"

status=0
meson test -C $build --no-rebuild --print-errorlogs || status=1
logs="$build/meson-logs/testlog.json"
if [ -z "${QUICK:-}" ]; then
    [ -d $sanitized ] || meson setup $sanitized --buildtype=debugoptimized \
        -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
    ninja -C $sanitized
    ASAN_OPTIONS=detect_leaks=0 meson test -C $sanitized --no-rebuild --print-errorlogs \
        --no-suite federation || status=1
    logs="$logs $sanitized/meson-logs/testlog.json"
fi
sh tests/reference/run.sh --split split_k3 tests/data/lung tests/data/birthwt \
    >$build/reference.txt 2>&1 || status=1
tail -n 3 $build/reference.txt
python3 tests/summary.py $build/reference.txt $logs || status=1
exit $status
