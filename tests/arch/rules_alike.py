#!/usr/bin/env python3
"""A rule has one number: what the vault's reasons say by number is explained by that number in
node/vault/rules.c, listed under its name in the policy's manual, and tested by name.

usage: rules_alike.py SOURCE_ROOT"""
import pathlib
import re
import sys

REASONS = ["gate*.c", "session*.c", "bysite*.c", "columns*.c"]
ENTRY = re.compile(r'\{"R(\d+)",\s*"([^"]+)",\s*(NOT_HERE)?')
STRING = re.compile(r'"((?:\\.|[^"\\\n])*)"')
# As rules_in reads it: "R1:", "R4, R9:", "R3 (", or alone.
MARK = re.compile(r"(?<![\w.])R(\d+)(?=:|,| \(|$)")
CLAIM = re.compile(r"\btest_\w+?__(\w+)")


def numbers_said(root):
    found = {}
    for pattern in REASONS:
        for path in sorted((root / "node/vault").glob(pattern)):
            text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.S)
            for literal in STRING.findall(text):
                for number in MARK.findall(literal):
                    found.setdefault(int(number), path.name)
    return found


def numbers_tested(root):
    return {int(part[1:]) for path in (root / "tests").glob("*/test_*.c")
            for claim in CLAIM.findall(path.read_text())
            for part in claim.split("_") if re.fullmatch(r"R\d+", part)}


def main():
    root = pathlib.Path(sys.argv[1])
    rules = {int(n): (name, not skip)
             for n, name, skip in ENTRY.findall((root / "node/vault/rules.c").read_text())}
    refusing = {n for n, (_, refuses) in rules.items() if refuses}
    manual = {int(n): name for n, name in
              re.findall(r"^\.It R(\d+) : (.+)$",
                         (root / "node/man/cohortium-policy.5").read_text(), flags=re.M)}
    said, tested, wrong = numbers_said(root), numbers_tested(root), []
    if sorted(rules) != list(range(1, 26)):
        wrong.append(f"rules.c has {sorted(rules)}; expected 1 to 25")
    for n in sorted(set(said) - refusing):
        wrong.append(f"{said[n]} refuses by R{n}, and rules.c says that it refuses nothing")
    for n in sorted(refusing - set(said)):
        wrong.append(f"rules.c says that R{n} refuses, and no reason names it")
    for n, (name, _) in sorted(rules.items()):
        if manual.get(n) != name:
            wrong.append(f"R{n} is `{name}` in rules.c and `{manual.get(n)}` in the manual")
    for n in sorted(refusing - tested):
        wrong.append(f"no test has R{n} in its name")
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
