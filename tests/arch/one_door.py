#!/usr/bin/env python3
"""Only gate*.o may mask, pack or box a tally: proved from the object files of the vault.

usage: one_door.py NM LIBRARY..."""
import os
import re
import subprocess
import sys

DOOR = {"tally_pack", "mask_add", "mask_box"}


def references(nm, library):
    """(object, symbol) of each undefined symbol; nm prints `library:object: U symbol`."""
    text = subprocess.run([nm, "-A", "-u", library], check=True, capture_output=True,
                          text=True).stdout
    for line in text.splitlines():
        match = re.match(r"(.*):\s+U (\S+)$", line)
        if match:
            yield os.path.basename(match.group(1).split(":")[-1]), match.group(2)


def main():
    seen, wrong = set(), []
    for library in sys.argv[2:]:
        for obj, symbol in references(sys.argv[1], library):
            if symbol not in DOOR:
                continue
            # libvault.a(gate_seal.c.o) or gate_seal.c.o, as this nm writes it
            name = re.sub(r".*\((.*)\)$", r"\1", obj)
            seen.add(symbol)
            if not name.startswith("gate"):
                wrong.append(f"{name} calls {symbol}: only node/vault/gate*.c may")
    # A test that finds nothing proves nothing.
    wrong += [f"nobody calls {symbol}: is this the vault?" for symbol in sorted(DOOR - seen)]
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
