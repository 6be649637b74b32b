#!/bin/sh
# Three hospitals on this machine answer signed questions about real patients.
#   --keep   leave the consortium running and say how to go on
set -eu
cd "$(dirname "$0")/.."
keep=no
case "${1:-}" in
--keep) keep=yes ;;
"") ;;
*)
    sed -n '2,3s/^# *//p' node/demo.sh
    echo "usage: sh node/demo.sh [--keep]"
    [ "$1" = --help ] || [ "$1" = -h ] && exit 0
    exit 2
    ;;
esac

bold="" dim="" plain=""
if [ -t 1 ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
# As it can be typed: words that a shell would take apart stand in quotes.
show() {
    printf '%s$' "$dim"
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./=:,-]* | "") printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$plain"
}

say "1. Packages and build"
. node/packages.sh
install_packages
[ -f build/build.ninja ] || meson setup build --buildtype=debugoptimized >/dev/null
ninja -C build node/cli/cohortium node/admin/cohortiumd
bin="$PWD/build/node"
data="$PWD/tests/data/lung"

dir=$(mktemp -d)
export XDG_CONFIG_HOME="$dir/config" XDG_STATE_HOME="$dir/state"
stop() {
    [ "$keep" = yes ] && return
    "$bin/cli/cohortium" lab down demo --delete >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP PIPE

cohortium() {
    show cohortium "$@"
    "$bin/cli/cohortium" "$@" --profile lab-demo
}
cohortiumd() {
    show cohortiumd "$@"
    "$bin/admin/cohortiumd" "$@"
}

say "2. A consortium of three hospitals, each with its own keys, officer, policy and rows"
show cohortium lab up --name demo --codebook lung.yaml site1.csv site2.csv site3.csv
"$bin/cli/cohortium" lab up --name demo --dir "$dir/lab" --codebook "$data/lung.yaml" \
    "$data/split_k3/site1.csv" "$data/split_k3/site2.csv" "$data/split_k3/site3.csv"
cohortium sites

say "3. Questions: signed by the researcher, answered by all three vaults together"
cohortium count lung --where 'age >= 60 and sex == "female"' --dry-run
cohortium count lung --where 'age >= 60 and sex == "female"'
cohortium table lung 'sex * status'
cohortium describe lung age wt_loss --by sex
cohortium lm lung 'wt_loss ~ age + sex'
cohortium glm lung 'status ~ age + sex + ph_ecog' --family binomial

say "4. A refusal: one level of ph_ecog is a single patient"
show cohortium glm lung 'status ~ age + sex + factor(ph_ecog)' --family binomial
status=0
refusal=$("$bin/cli/cohortium" glm lung 'status ~ age + sex + factor(ph_ecog)' \
    --family binomial --profile lab-demo 2>&1) || status=$?
printf '%s\n(exit status %s)\n' "$refusal" "$status"
[ "$status" = 3 ] || { echo "the refusal did not come" >&2; exit 1; }
reference=$(printf '%s' "$refusal" | sed -n 's/.*reference \([0-9a-f]*\).*/\1/p')
echo "What the officers of the first hospital see of it:"
cohortiumd explain "$reference" --dir "$dir/lab/hospital_a"

say "5. Proof: the receipt verifies offline, the log recomputes"
cohortium receipts
# The refusal's is the newest; the regression's stands below it.
receipt=$("$bin/cli/cohortium" receipts --profile lab-demo | sed -n '3s/ .*//p')
cohortium verify "$receipt"
echo "The same question once more gives the same bytes, and is free:"
cohortium replay "$receipt"
cohortiumd audit verify --dir "$dir/lab/hospital_a"

if [ "$keep" = yes ]; then
    say "The consortium is left running"
    echo "In this shell, first (the demonstration keeps its profile and receipts apart):"
    echo "    export XDG_CONFIG_HOME=$XDG_CONFIG_HOME XDG_STATE_HOME=$XDG_STATE_HOME"
    echo "    export PATH=$bin/cli:$bin/admin:\$PATH"
    echo "ask it:    cohortium codebook lung"
    echo "           cohortium count lung --where 'sex == \"female\"'"
    echo "           cohortium help"
    echo "operate:   cohortiumd status --dir $dir/lab/hospital_a"
    echo "           cohortiumd audit show --dir $dir/lab/hospital_a"
    echo "officer:   cohortiumd policy show --dir $dir/lab/hospital_a"
    echo "manuals:   man -l $PWD/node/man/cohortium.1"
    echo "end it:    cohortium lab down demo --delete && rm -rf $dir"
else
    say "6. Everything is stopped"
fi
