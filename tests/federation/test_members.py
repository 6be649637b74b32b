"""Members as home sees them: one that hangs holds nobody up; cards with several endpoints."""
import os
import re
import signal
import subprocess
import threading
import time

from lab import CLI, NODED, Checks, Lab

check = Checks()


def sites(lab, *words):
    a = lab.ask("sites", *words)
    return a, {s["name"]: s for s in a.json["sites"]} if a.status == 0 else {}


def test_hung(lab):
    vault = lab.children(2)["vault-process"]
    os.kill(vault, signal.SIGSTOP)
    try:
        a, s = sites(lab, "--wait", "0.5", "--progress")
        check("beside a member that hangs the others are shown",
              s and s["hospital_a"]["ready"] and s["hospital_b"]["ready"], a.out + a.err)
        check("and it is said of the one that it is linked and silent",
              s and not s["hospital_c"]["ready"]
              and "linked, and no answer within 0.5 s" in s["hospital_c"]["detail"], a.out)
        check("who is waited for is told", re.search(
            r"waiting for hospital_c, 0\.5 s at most", a.err), a.err)
        check("and nobody else", "hospital_b" not in a.err, a.err)
        threading.Timer(2, os.kill, (vault, signal.SIGCONT)).start()
        a, s = sites(lab, "--wait", "25")
        check("who waits longer hears it, too", s and s["hospital_c"]["ready"], a.out + a.err)
    finally:
        os.kill(vault, signal.SIGCONT)
    a, s = sites(lab)
    check("when nobody hangs all are ready", s and all(x["ready"] for x in s.values()), a.out)
    for wait in ("0", "26", "soon"):
        a = lab.ask("sites", "--wait", wait)
        check(f"--wait {wait} is refused", a.status == 2 and "0.1 to 25" in a.err, a.err)


def card(lab, name, out, *endpoints):
    words = [w for e in endpoints for w in ("--endpoint", e)]
    return lab.run(NODED, "consortium", "card", "--dir", lab.home / name, *words, "--officer",
                   lab.home / "o.key.card", "-o", lab.home / out)


def test_endpoints(lab):
    for use, file in (("governance", "g.key"), ("officer", "o.key")):
        lab.cohortium("key", "new", "--use", use, "--name", use[0], "--lab", "-o",
                      lab.home / file)
    for i, name in enumerate(("x", "y", "z")):
        lab.run(NODED, "init", "--name", name, "--listen", f"tcp://127.0.0.1:{7801 + i}", "--lab",
                lab.home / name)
    ways = ["tcp://127.0.0.1:7801", "ws://127.0.0.1:7810", "tcp://127.0.0.1:7811"]
    a = card(lab, "x", "x.member", *ways)
    check("a card lists several endpoints", a.status == 0 and ", then ".join(ways) in a.out,
          a.out + a.err)
    for name, port in (("y", 7802), ("z", 7803)):
        card(lab, name, f"{name}.member", f"ws://127.0.0.1:{port}")
    a = lab.run(NODED, "consortium", "create", "--name", "many", "--lab", "--governance",
                lab.home / "g.key.card", "-o", lab.home / "manifest",
                *(lab.home / f"{n}.member" for n in "xyz"))
    check("a manifest is made of the cards", a.status == 0, a.out + a.err)
    a = lab.run(NODED, "consortium", "show", lab.home / "manifest")
    check("it shows them in the order in which they are tried", ", then ".join(ways) in a.out,
          a.out + a.err)
    check("and that of another member", "ws://127.0.0.1:7802" in a.out, a.out)
    for what, ends, word in (
            ("nine", [f"tcp://127.0.0.1:{7801 + i}" for i in range(9)], "at most 8"),
            ("the same twice", [ways[0], ways[1], ways[0]], "given twice"),
            ("one that is none", [ways[0], "http://127.0.0.1:80"], "expected tcp://"),
            ("none at all", [], "--outbound-only")):
        a = card(lab, "x", "bad.member", *ends)
        check(f"{what}: refused", a.status == 2 and word in a.err
              and not (lab.home / "bad.member").exists(), a.err)


with Lab() as lab:
    lab.wait_linked()
    test_hung(lab)
    test_endpoints(lab)
check.end()
