#!/usr/bin/env python3
"""Noise is made of integers: no floating-point type in its sources, no such instruction in
what was compiled of them.

usage: integers_only.py OBJDUMP LIBRARY SOURCE..."""
import re
import subprocess
import sys

# Types, and functions that only make sense with them.
WORDS = re.compile(r"\b(float|double|_Float\w*|__float\w*|_Decimal\w*)\b|"
                   r"\b(sqrt|exp|log|pow|floor|ceil|fabs|ldexp|frexp|nearbyint|round)[fl]?\s*\(")
# x86: x87 and the arithmetic, comparisons and conversions of SSE and AVX (moves are not).
X86 = re.compile(r"^(f[a-z]\w*|v?(add|sub|mul|div|sqrt|min|max|ucomi|comi|cmp\w*|rcp|rsqrt|"
                 r"round|cvtt?\w*)[ps]?[sd]|v?cvt\w+|vfn?m(add|sub)\w+)$")
# ARM: f.. instructions and conversions.
ARM = re.compile(r"^(f(add|sub|mul|div|sqrt|cvt\w*|cmp\w*|madd|msub|mov|neg|abs|rint\w*)|"
                 r"[su]cvtf)$")
NOT_FLOAT = {"fs"}


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def instructions(objdump, library):
    """(function, mnemonic) of each instruction."""
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", library], check=True,
                          capture_output=True, text=True).stdout
    function = ""
    for line in text.splitlines():
        head = re.match(r"[0-9a-f]+ <(.+)>:$", line)
        if head:
            function = head.group(1)
            continue
        code = re.match(r"\s+[0-9a-f]+:\s+(?:(?:lock|rep\w*|notrack|bnd|data16) )*(\S+)", line)
        if code:
            yield function, code.group(1)


def main():
    objdump, library, sources = sys.argv[1], sys.argv[2], sys.argv[3:]
    wrong, functions, count = [], set(), 0
    for path in sources:
        with open(path, encoding="utf-8") as f:
            for found in WORDS.finditer(without_comments(f.read())):
                wrong.append(f"{path}: `{found.group(0)}`")
    for function, mnemonic in instructions(objdump, library):
        functions.add(function)
        count += 1
        if mnemonic not in NOT_FLOAT and (X86.match(mnemonic) or ARM.match(mnemonic)):
            wrong.append(f"{function}: instruction {mnemonic}")
    # A test that finds nothing proves nothing.
    if "zcdp_gaussian" not in functions or count < 500 or not sources:
        wrong.append(f"{library}: {count} instructions of {len(functions)} functions: "
                     "is this the library of noise?")
    for text in wrong[:20]:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
