#!/bin/sh
# The researcher's program from outside: help with an example for each command, wrong usage is
# one line and exit status 2, keys, profiles and receipts that are none. No node is needed.
set -u
cohortium=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export HOME="$work" XDG_CONFIG_HOME="$work/config" XDG_STATE_HOME="$work/state"
unset COHORTIUM_HOME COHORTIUM_PASSPHRASE_FILE
failed=0

# want STATUS TEXT WORDS...: the exit status, and a part of what is said.
want() {
    status=$1 text=$2
    shift 2
    "$cohortium" "$@" </dev/null >"$work/out" 2>"$work/err"
    got=$?
    if [ "$got" -ne "$status" ] || ! cat "$work/out" "$work/err" | grep -qF -e "$text"; then
        echo "cohortium $*: status $got, wanted $status and \"$text\":"
        cat "$work/out" "$work/err"
        failed=1
    fi
    if [ "$status" -eq 2 ] && [ "$(wc -l <"$work/err")" -ne 1 ]; then
        echo "cohortium $*: wrong usage takes one line:"
        cat "$work/err"
        failed=1
    fi
}

want 0 "usage: cohortium COMMAND" help
want 0 "usage: cohortium COMMAND" --help
"$cohortium" help | sed -n 's/^  \([a-z][a-z ]*[a-z]\)  .*/\1/p' >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 19 ] || { echo "help lists too few commands"; failed=1; }
while read -r words; do
    # shellcheck disable=SC2086
    want 0 "example: cohortium $words" $words --help
done <"$work/commands"
want 0 "example: cohortium lab down" lab --help

want 2 "a command is missing"
want 2 'did you mean `count`?' cuont lung
want 2 'did you mean `--where`?' count lung --were x
want 2 "usage: cohortium count DATASET" count
want 2 "one word too many" count lung age
want 2 "exclude each other" count lung --json --csv
want 2 'did you mean `binomial`?' glm lung 'a ~ b' --family binomal
want 2 "--codebook is missing" lab up a.csv
want 2 "expected researcher, officer or governance" key new --use king --name a -o "$work/k"
want 2 "--genesis: expected 64 hex digits" verify x --genesis 12
want 2 'no profile `x`' --profile x count lung
want 2 "--where needs a value" count lung --where --json
want 0 "example: cohortium count" --profile x count --help
want 1 "profile add" count lung
"$cohortium" help | head -n 1 >"$work/out" 2>"$work/err"
grep -q cohortium "$work/out" || { echo "head got nothing"; failed=1; }
want 1 "there is no lab" lab down
want 1 "does not exist" verify "$work/none" --genesis "$(printf '%064d' 0)"
echo "no receipt" >"$work/no.receipt"
want 1 "is not a receipt" verify "$work/no.receipt"
want 1 "the receipt 0123abcd does not exist" verify 0123abcd
want 2 'did you mean `--genesis`?' verify x --genesi 12
want 1 "profile add" receipts
want 2 "--last" receipts --last many
want 1 "profile add" replay "$work/no.receipt"
want 2 "usage: cohortium replay FILE" replay
want 2 "--ro-crate is missing" export "$work/no.receipt"
want 2 "is not empty" export "$work/no.receipt" --ro-crate "$work"
want 1 "is not a receipt" export "$work/no.receipt" --ro-crate "$work/crate"
[ ! -e "$work/crate" ] || { echo "half a crate was written"; failed=1; }

# Two codebooks as files: no node is needed.
printf 'dataset: d\ncount_unit: id\nvariables:\n  id: {type: identifier}\n  x: {type: binary}\n' \
    >"$work/a.yaml"
sed 's/x: {type: binary}/x: {type: real, unit: day, bounds: [0, 1]}/' "$work/a.yaml" >"$work/b.yaml"
want 0 "the same codebook" codebook diff "$work/a.yaml" "$work/a.yaml"
want 1 "x: type binary -> real" codebook diff "$work/a.yaml" "$work/b.yaml"
want 1 '"same":false' codebook diff "$work/a.yaml" "$work/b.yaml" --json
want 1 "expected" codebook diff "$work/a.yaml" "$0"
want 2 "usage: cohortium codebook diff" codebook diff "$work/a.yaml"
want 2 "expected a word, or a pattern" datasets --search ""

# A key with a passphrase, its card, and the same name again.
echo "correct horse" >"$work/passphrase"
want 0 "hand it over" key new --name ada -o "$work/ada.key" --passphrase-file "$work/passphrase"
want 0 "researcher" key show "$work/ada.key"
want 1 "neither a key file nor a card" key show "$0"
want 2 "variables are one word: 'a * b'" table lung a b
want 0 '"name":"ada"' key show "$work/ada.key.card" --json
want 1 "exists already" key new --name ada -o "$work/ada.key" --lab
: >"$work/empty"
want 1 "empty passphrase" key new --name b -o "$work/b.key" --passphrase-file "$work/empty"
[ ! -e "$work/b.key" ] || { echo "a key was written in spite of it"; failed=1; }
want 0 "hand it over" key new --use officer --name o -o "$work/o.key" --lab

# A profile.
hex=$(printf '%064d' 7)
add() {
    name=$1 key=$2
    shift 2
    want "$1" "$2" profile add "$name" --home tcp://127.0.0.1:1 --node "$hex" --noise "$hex" \
        --genesis "$hex" --key "$key" --credential "$work/passphrase"
}
want 0 "no profile yet" profile list
add ada "$work/o.key" 2 "expected researcher"
add ada "$work/ada.key" 2 "is no credential"
[ ! -e "$XDG_CONFIG_HOME/cohortium/profiles/ada" ] || { echo "half a profile was made"; failed=1; }
profile="$XDG_CONFIG_HOME/cohortium/profiles/ada"
mkdir -p "$profile"
cp "$work/ada.key" "$profile/researcher.key"
printf 'home: tcp://127.0.0.1:1\nnode: "%s"\nnoise: "%s"\ngenesis: "%s"\n' "$hex" "$hex" "$hex" \
    >"$profile/profile.yaml"
add ada "$work/ada.key" 1 "exists already"
want 0 "no receipts yet" receipts
want 0 '"receipts":[],"kept":0' receipts --json
want 1 "no id of those that profile ada keeps" verify 0123abcd
want 1 "no id of those that profile ada keeps" verify last
mkdir "$profile/receipts"
printf 'cohortium receipt 1\nAAAA\n' >"$profile/receipts/20260101T000000000Z-0123456789ab.receipt"
want 0 "0123456789ab" receipts
want 0 "cannot be read" receipts
want 1 "20260101T000000000Z-0123456789ab.receipt: " verify 0123
want 1 "does not exist" verify 012
want 2 "one word too many" receipts list
want 0 "tcp://127.0.0.1:1" profile list
want 0 "$hex" profile show ada --json
want 2 'did you mean `ada`?' profile show add
want 2 "is no profile name" profile add ../x --home tcp://h:1

exit $failed
