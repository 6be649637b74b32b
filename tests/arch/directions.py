#!/usr/bin/env python3
"""Who may include whom: protocol <- analyses <- node; vault and net never meet.

usage: directions.py SOURCE_ROOT"""
import os
import re
import sys

# folder, what its files must not include
SOCKETS = r"(sys/socket|netinet/|arpa/inet|netdb|sys/un)"
RULES = [
    ("protocol", r"(analyses|node|tests)/"),
    # No SP socket, HTTP or TLS of nng may face a network: byte streams are in nng/nng.h.
    ("protocol", r"nng/(?!nng\.h)"),
    ("node", r"nng/(?!nng\.h)"),
    ("protocol/base", r"protocol/(?!base/|cohortium\.pb-c)"),
    ("analyses", r"(node|tests)/"),
    ("analyses", r"(sqlite3|nng/|" + SOCKETS + r")"),
    ("node", r"tests/"),
    ("node/vault", r"(nng/|node/(net|cli|admin)/)"),
    ("node/net", r"(sqlite3|node/vault/)"),
]
# Inside the vault: what only the gate may know of itself.
PRIVATE = [("node", r"node/vault/gate_private\.h", r"node/vault/gate[^/]*$")]
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')


def sources(root, folder):
    for where, _, names in os.walk(os.path.join(root, folder)):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(where, name), root)


def includes(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1)


def main():
    root, wrong, seen = sys.argv[1], [], 0
    for folder, forbidden in RULES:
        for path in sources(root, folder):
            for number, name in includes(root, path):
                seen += 1
                if re.match(forbidden, name):
                    wrong.append(f"{path}:{number}: {folder} may not include {name}")
    for folder, private, owners in PRIVATE:
        for path in sources(root, folder):
            for number, name in includes(root, path):
                if re.match(private, name) and not re.match(owners, path):
                    wrong.append(f"{path}:{number}: {name} is private")
    if seen == 0:
        wrong.append(f"{root}: no includes were found; is this the source?")
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
