#!/bin/sh
# Asks a real consortium every question of a reference folder and compares with R's answers.
#   sh tests/reference/run.sh [--split NAME] DIR...
# DIR: a folder in the layout of reference-1 (codebook.json, expected.json), or one of nist/*.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/reference.py" "$@"
