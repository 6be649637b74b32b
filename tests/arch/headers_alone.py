#!/usr/bin/env python3
"""Each header compiles alone, and twice: it includes what it needs and guards itself.

usage: headers_alone.py SOURCE_ROOT BUILD_ROOT COMPILER [FLAG...]"""
import concurrent.futures
import os
import subprocess
import sys

FOLDERS = ["protocol", "analyses", "node", "tests"]


def headers(root):
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith(".h"):
                    yield os.path.relpath(os.path.join(where, name), root)


def compile_alone(header, root, build, command):
    text = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run(command + ["-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall",
                                     "-Wextra", "-Werror", "-Wno-unused-function", "-I", root,
                                     "-I", build, "-x", "c", "-"],
                          input=text, capture_output=True, text=True)
    return None if done.returncode == 0 else f"{header}: {done.stderr.strip()}"


def main():
    root, build, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    names = list(headers(root))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [w for w in pool.map(lambda n: compile_alone(n, root, build, command), names)
                 if w]
    if not names:
        wrong.append(f"{root}: no headers were found; is this the source?")
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
