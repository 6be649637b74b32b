"""A member, or home, that leaves before each single message of a question: cut off or killed.

Messages between home and a member are counted on their cable (wire.py); before the n-th of a
question the member or one of its processes, or home's, goes. Each question must end with its
answer or with an error that names who is gone and what to do; asked again it must give one
answer, charged once, and every log and ledger must be whole. Swept over a fit and over a masked
count with its regions: eight ways to leave take turns at every STRIDE-th message (`--every`: each
way before every message, which takes a quarter of an hour).
"""
import itertools
import os
import re
import signal
import sys
import threading

from lab import Checks, Lab, wait_for
from wire import Wire

MEMBER, HOME = 2, 0
SITES_OF = {HOME: "hospital_a", MEMBER: "hospital_c"}
EVERY = "--every" in sys.argv
STRIDE = 4
FIT = ["glm", "lung", "status ~ age + sex + ph_karno", "--family", "binomial"]
COUNT = ["count", "lung"]
# Who leaves, and what of it: a process that is killed, or for how long it is cut off.
WAYS = [(MEMBER, "a moment"), (HOME, "vault-process"), (MEMBER, "vault-process"),
        (HOME, "net-process"), (MEMBER, "for good"), (MEMBER, "net-process"),
        (MEMBER, "supervisor"), (HOME, "supervisor")]
check = Checks()
ways = itertools.cycle(WAYS)


def cohorts(cuts):
    """So many that nothing is asked twice; at a policy's cut points where it has some."""
    others = ("", *(f" and ph_ecog <= {x}" for x in range(4)),
              *(f" and ph_karno >= {x}" for x in (50, 60, 70, 80)))
    for other in others:
        for sex in ("", ' and sex == "female"', ' and sex == "male"'):
            for cut in cuts:
                yield f"age >= {cut}{sex}{other}"


class Leaving:
    def __init__(self, lab, wire, words, cuts):
        self.lab, self.wire, self.words = lab, wire, words
        self.cohorts = cohorts(cuts)

    def question(self):
        return [*self.words, "--where", next(self.cohorts)]


def answer(a):
    """What was told: numbers, or that nothing is released. None: an error."""
    return a.json["items"] if a.status == 0 else "not released" if a.status == 3 else None


def kill(lab, i, role):
    pid = lab.pid(i) if role == "supervisor" else lab.children(i)[role]
    return lambda: os.kill(pid, signal.SIGKILL)


def back(lab, i, role, before):
    """What was killed has been replaced."""
    if role == "supervisor":
        return wait_for(lambda: lab.pid(i) != before["supervisor"] and
                        {"serve", "vault-process", "net-process"} <= set(lab.children(i)), 30)
    return wait_for(lambda: lab.children(i).get(role, before[role]) != before[role], 30)


def is_named(err, site):
    """It says which site, and what to do."""
    return (site in err or site == SITES_OF[HOME] and "the home node" in err) and re.search(r"`cohortium collect [0-9a-f]{12}`|cohortiumd serve|"
                                     r"ask again|try again", err)


def logged(lab, i):
    return sum(" question " in line and " released " in line for line in lab.records(i))


def acting(l, i, how):
    """What is done before the n-th message."""
    def a_moment():
        l.wire.cut_off(i)
        threading.Timer(0.3, l.wire.join).start()

    return (a_moment if how == "a moment" else
            (lambda: l.wire.cut_off(i)) if how == "for good" else kill(l.lab, i, how))


def judge(first, a, b, c, site):
    """What is wrong with the three answers to one question, the first of them disturbed."""
    problems = []
    if first is None and not is_named(a.err, site):
        problems.append(("no named error", a.err))
    if first is None and a.out.strip():
        problems.append(("half an answer", a.out))
    if answer(b) is None:
        problems.append(("not answered afterwards", b.err))
    if answer(c) != answer(b) or first not in (None, answer(b)):
        problems.append(("another answer", (a.out, b.out + b.err, c.out + c.err)))
    return problems


def leave(l, n, i, how):
    """Whether the question had so many messages."""
    lab, wire, site, q = l.lab, l.wire, SITES_OF[i], l.question()
    charges = [lab.charges(k) for k in range(3)]
    before = dict(lab.children(i), supervisor=lab.pid(i))
    wire.before(n, (HOME, MEMBER), acting(l, i, how))
    # Home waits 12 s for a link to come back.
    a = lab.ask(*q, "--deadline", "4" if how == "for good" else "20", timeout=60)
    fired = wire.fired.is_set()
    wire.forget()
    wire.join()
    problems = []
    if fired and how in before and not back(lab, i, how, before):
        problems.append(("it does not come back", lab.log(i)[-500:]))
    if not wire.wait_linked():
        problems.append(("not linked again", lab.log(i)[-500:]))
    collect = re.search(r"`cohortium (collect [0-9a-f]{12})`", a.err)
    b = lab.ask(*(collect.group(1).split() if collect else q), timeout=60)
    first = answer(a)
    problems += judge(first, a, b, lab.ask(*q), site)
    after = [lab.charges(k) for k in range(3)]
    if after != [x + 1 for x in charges]:
        problems.append(("charges", charges, after))
    gone = f"{site}'s {how} is killed" if how in before else f"{site} is cut off, {how}"
    check(f"{q[0]}, before message {n}: {gone}: {'failed' if first is None else 'answered'}, then "
          "one answer, one charge", not problems, problems)
    if EVERY:
        print(f"        {a.err.strip()}", flush=True)
    return fired


def whole(lab, what):
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"{what}: the log of node {i} is whole", a.status == 0, a.out + a.err)
        a = lab.noded(i, "backup", "--to", lab.home / f"backup-{i}")
        check(f"{what}: its ledger is whole", a.status == 0, a.out + a.err)


def sweep(policy, words, cuts, last):
    """Before every message, or every third, the next way to leave at each."""
    print(f"{words[0]} under {policy}: " + (f"each way to leave before each of {last} messages"
          if EVERY else f"before every {STRIDE}. of {last} messages, {len(WAYS)} ways to leave in turn"),
          flush=True)
    with Lab(policy=policy) as lab:
        wire = Wire(lab)
        try:
            wire.wait_linked()
            l = Leaving(lab, wire, words, cuts)
            turn = fired = 0
            for n in range(1, last + 1, 1 if EVERY else STRIDE):
                for _ in range(len(WAYS) if EVERY else 1):
                    fired += leave(l, n, *next(ways))
                    turn += 1
            check(f"most of {turn} times somebody left amid the question", fired > turn / 2, fired)
            whole(lab, f"{words[0]} under {policy}")
        finally:
            wire.end()


sweep("exact-for-testing", FIT, range(45, 80), 34)
sweep("cautious", COUNT, range(50, 80, 5), 22)
check.end()
