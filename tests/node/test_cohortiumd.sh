#!/bin/sh
# cohortiumd from outside: help with each option and an example for each command, wrong usage is
# one line and exit status 2, papers that are none. No node runs.
set -u
cohortiumd=$(realpath "$1") cohortium=$(realpath "$2")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export HOME="$work"
unset COHORTIUM_NODE COHORTIUM_PASSPHRASE_FILE
failed=0

# want STATUS TEXT WORDS...: the exit status, and a part of what is said.
want() {
    status=$1 text=$2
    shift 2
    timeout 20 "$cohortiumd" "$@" </dev/null >out 2>err
    got=$?
    if [ "$got" -ne "$status" ] || ! cat out err | grep -qF -e "$text"; then
        echo "cohortiumd $*: status $got, wanted $status and \"$text\":"
        cat out err
        failed=1
    fi
    if [ "$status" -eq 2 ] && [ "$(wc -l <err)" -ne 1 ]; then
        echo "cohortiumd $*: wrong usage takes one line:"
        cat err
        failed=1
    fi
}

want 0 "usage: cohortiumd COMMAND" help
want 0 "usage: cohortiumd COMMAND" --help
"$cohortiumd" help | sed -n 's/^  \([a-z][a-z ]*[a-z]\)  .*/\1/p' >commands
[ "$(wc -l <commands)" -ge 30 ] || { echo "help lists too few commands"; failed=1; }
while read -r words; do
    # shellcheck disable=SC2086
    want 0 "example: cohortiumd $words" $words --help
    if grep -E '^  -[-a-z]+( [^ ]+)? *$' out; then
        echo "cohortiumd $words --help: an option without a word of help"
        failed=1
    fi
done <commands
want 0 "policy history" policy --help
want 0 "policy history" help policy
want 0 "usage: cohortiumd policy sign" help policy sign
want 0 "usage: cohortiumd policy sign" policy sign -h
want 0 "usage: cohortiumd status" --dir x status --help

want 2 'did you mean `status`?' stats
want 2 'did you mean `--name`?' init --nme x y
want 2 "--name is given twice" init --name a --name b c
want 2 "needs a value before --lab" init --name --lab c
want 2 "needs a value: --name NAME" init --name
want 2 "takes no value" init --lab=yes
want 2 "no option" status -x
want 2 "no option" --whatever status
want 2 "a command is missing" --dir x
want 2 "one word too many" status now
want 2 "expected a policy file; usage:" policy check
want 1 "no node serves x" status --dir=x
want 1 "no node serves x" --dir x status
want 1 "no node serves ." status --

# A node's folder: where it listens is said, not guessed.
echo "correct horse" >secret
echo "short" >short
want 2 "on every interface of this machine" init --name a --passphrase-file secret a
want 2 "expected tcp://HOST:PORT" init --name a --listen 127.0.0.1:1 --passphrase-file secret a
want 2 "from 1 to 65535" init --name a --listen tcp://h:99999 --passphrase-file secret a
want 2 "lower-case letters" init --name "A b" --listen "" --passphrase-file secret a
want 2 "at least 8 characters" init --name a --listen "" --passphrase-file short a
want 1 "passphrase file none" init --name a --listen "" --passphrase-file none a
[ ! -e a ] || { echo "a folder was made in spite of it"; failed=1; }
want 0 "listen nowhere" init --name a --listen "" --passphrase-file secret a
want 1 "is a node's folder already" init --name a --listen "" --passphrase-file secret a
want 1 "wrong passphrase" serve --dir a --passphrase-file short
want 1 "belongs to no consortium yet" serve --dir a --passphrase-file secret
want 1 "is not a node's folder; say which one with --dir" consortium show

# Cards and a manifest.
for use in officer governance; do
    "$cohortium" key new --use $use --name $use -o $use.key --lab >/dev/null || failed=1
done
"$cohortium" key new --use governance --name other -o other.key --lab >/dev/null || failed=1
card() { want "$1" "$2" consortium card --dir a -o a.member "$3" "$4" "$5" "$6"; }
card 2 "is the card of use governance" --endpoint tcp://h:1 --officer governance.key.card
card 1 "is no card" --endpoint tcp://h:1 --officer officer.key
card 2 "0.0.0.0 is where a node listens" --endpoint tcp://0.0.0.0:1 --officer officer.key.card
card 2 "expected tcp://HOST:PORT" --endpoint h:1 --officer officer.key.card
card 0 "consortium create" --endpoint tcp://h.example:1 --officer officer.key.card
want 0 "1 of the 1 governance keys" consortium create --name c --governance governance.key.card \
    -o manifest a.member
want 0 "0 of its 1 governance keys have signed" consortium show --manifest manifest
want 1 "none of this manifest's governance keys" consortium sign --key other.key manifest
want 1 "is no manifest" consortium sign --key governance.key a.member
genesis=$("$cohortiumd" consortium show --manifest manifest | sed -n 's/^genesis //p')
want 1 "must sign" consortium adopt --dir a --genesis "$genesis" manifest
want 0 "which is enough" consortium sign --key governance.key manifest
want 1 "--genesis: expected 64" consortium adopt --dir a --genesis 12 manifest
want 1 "is not a node's folder" consortium adopt --genesis "$genesis" manifest
want 0 "belongs to consortium c now" consortium adopt --dir a --genesis "$genesis" manifest

# Papers.
want 0 "  standard   as cautious" policy new
want 2 'did you mean `cautious`?' policy new --template catious -o t.yaml
want 2 "expected --template NAME" policy new -o t.yaml
for name in cautious standard open; do
    want 0 "minimum_frequency_threshold: " policy new --template $name
    mv out printed.yaml
    want 0 "policy check $name.yaml" policy new --template $name -o $name.yaml
    cmp printed.yaml $name.yaml || failed=1
    want 0 "$name.yaml is valid from" policy check $name.yaml
    want 0 "it cannot be signed without one" policy check $name.yaml
done
want 1 "open.yaml" policy new --template open -o open.yaml
want 0 "allows cells of 5 to 9 patients that were hidden" policy diff cautious open.yaml
want 0 "LOOSENS   minimum_frequency_threshold: 10 -> 5" policy diff cautious open.yaml
want 0 "two officers must sign open.yaml in the place of cautious" policy diff cautious open.yaml
want 0 "one officer must sign cautious in the place of open.yaml" policy diff open.yaml cautious
want 0 "TIGHTENS  by_site: yes -> no" policy diff open cautious
want 0 "they let out the same" policy diff standard standard.yaml
want 0 "one officer of a must sign open in the place of cautious" policy diff --dir a cautious open
want 0 "gives exact answers that protect nobody" policy diff cautious exact-for-testing
want 2 "expected two policies" policy diff cautious
want 1 "no node serves a" policy diff --dir a in-force cautious
want 1 "nowhere.yaml" policy diff cautious nowhere.yaml
printf 'minimum_frequency_threshold: 12\n' >p.yaml
want 0 "it cannot be signed without one" policy check p.yaml
printf 'allowed_statistics: [cuont]\nreason: x\n' >typo.yaml
want 2 'did you mean `count`?' policy check typo.yaml
printf 'minimum_frequency_treshold: 12\n' >typo.yaml
want 1 'did you mean `minimum_frequency_threshold`?' policy check typo.yaml
want 2 "expected -o FILE" policy sign --dir a --key officer.key p.yaml
want 2 "gives no reason" policy sign --dir a --key officer.key p.yaml -o p
want 2 "gives no reason" policy sign --dir a --key officer.key p.yaml -o p --reason " "
"$cohortium" key new --use officer --name else -o else.key --lab >/dev/null || failed=1
want 1 "no node serves a" policy sign --dir a --key officer.key --reason x p.yaml -o p
want 1 "is no signed policy" policy apply --dir a p.yaml
want 1 "is no signed codebook" codebook add --dir a p.yaml
want 1 "is no signed permit" permit add --dir a p.yaml
"$cohortium" key new --name ada -o ada.key --lab >/dev/null || failed=1
permit() {
    status=$1 text=$2
    shift 2
    want "$status" "$text" permit new --dir a --title t --purpose p --dataset lung \
        --researcher ada.key.card -o permit "$@"
}
permit 2 'did you mean `lm`?' --member all --analysis lmm
permit 2 "no member" --member nobody
permit 0 "permit sign" --member all
want 1 "an officer of none of the members" permit sign --dir a --key else.key permit
want 0 "every member has signed" permit sign --dir a --key officer.key permit
want 0 "budget      no limit" permit show permit
want 2 "neither a file nor a permit's id" permit show --dir a none
want 2 "expected -o FILE" researcher issue --dir a ada.key.card

printf 'rid,age\n1,60\n' >x.csv
want 2 "Say so with --id COLUMN; the file has rid, age" codebook draft --name lung x.csv
want 1 "is a folder" data import --dir a lung a

exit $failed
