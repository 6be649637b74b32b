#!/bin/sh
# Installs what is needed, builds, runs every test. Ends with "N passed, N failed, N skipped",
# also when a package, a build or the run itself fails.
#   QUICK=1   without the sanitizer build
set -u
cd "$(dirname "$0")/.." || exit 1
build=build
sanitized=build/sanitized
reference=$build/reference.txt
logs=""
broken=$(mktemp) || exit 1 # what could not even be tried, a line each
trap 'rm -f "$broken"' EXIT
trap 'echo "FAILED: interrupted"; echo "0 passed, 1 failed, 0 skipped"; exit 1' INT TERM

note() {
    printf '%s\n' "$*" >>"$broken"
    return 1
}

# build_in FOLDER OPTIONS-OF-MESON-SETUP...
build_in() {
    folder=$1
    shift
    # An old log would be counted as if this run had made it.
    rm -f "$folder/meson-logs/testlog.json"
    [ -f "$folder/build.ninja" ] ||
        meson setup "$folder" --buildtype=debugoptimized "$@" >/dev/null ||
        { note "meson setup $folder"; return; }
    ninja -C "$folder" || note "the build in $folder"
}

# test_in FOLDER OPTIONS-OF-MESON-TEST...: what fails is in the log.
test_in() {
    folder=$1
    shift
    meson test -C "$folder" --no-rebuild --print-errorlogs "$@" || true
    logs="$logs $folder/meson-logs/testlog.json"
}

. node/packages.sh
(install_packages) || note "the packages"

export COHORTIUM_BUILD="$PWD/$build" COHORTIUM_SOURCE="$PWD"
rm -f $reference
if build_in $build; then
    test_in $build
    if [ -z "${QUICK:-}" ] &&
        build_in $sanitized -Db_sanitize=address,undefined -Db_lundef=false; then
        export ASAN_OPTIONS=detect_leaks=0
        test_in $sanitized --no-suite federation --no-suite attacks
        unset ASAN_OPTIONS
    fi
    sh tests/reference/run.sh --split split_k3 tests/data/lung tests/data/birthwt \
        >$reference 2>&1 || true
    tail -n 3 $reference
fi
# shellcheck disable=SC2086
python3 tests/summary.py "$broken" $reference $logs
