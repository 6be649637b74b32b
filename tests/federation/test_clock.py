"""A clock that is set while everything runs: an hour and a day, ahead and back, of a member, of
home and of the researcher, before a question and amid one.

Each program has clock_step.so before it and a file of its own that moves its clock at once
(clock_step.c). A wrong clock must be told by name with what to do, lose and charge nothing, and
leave nothing behind once it is right: the same question is answered, logs do not go back in
time, and what waited for later goes on.
"""
import os
import re
import signal
import struct
import subprocess
import sys
import time

from lab import BUILD, CLI, NODED, Checks, Lab, wait_for
from wire import Wire

HOUR, DAY = 3600 * 1000, 24 * 3600 * 1000
STEPS = {"an hour ahead": HOUR, "an hour back": -HOUR, "a day ahead": DAY, "a day back": -DAY}
SHIM = BUILD / "tests" / "federation" / "clock_step.so"
HOME, MEMBER, RESEARCHER = 0, 2, 3
NAMES = ["hospital_a", "hospital_b", "hospital_c", "the researcher"]
MESSAGES = 34  # between home and a member in a fit
STRIDE = 5
FIT = ["glm", "lung", "status ~ age + sex + ph_karno", "--family", "binomial"]
check = Checks()


class Clocks:
    """One for each node and one for the researcher; all of them right at first."""

    def __init__(self, lab):
        self.lab, self.age = lab, 39
        self.files = [lab.home / f"clock-{i}" for i in range(4)]
        for i in range(4):
            self.set(i, 0)

    def set(self, i, ms):
        with open(self.files[i], "r+b" if self.files[i].exists() else "wb", buffering=0) as f:
            f.write(struct.pack("=q", ms))

    def env(self, i):
        return {"LD_PRELOAD": str(SHIM), "COHORTIUM_CLOCK_STEP": str(self.files[i])}

    def ask(self, *words, **options):
        return self.lab.ask(*words, env=dict(self.lab.env, **self.env(RESEARCHER)), **options)

    def question(self, words):
        self.age += 1
        return [*words, "--where", f"age >= {40 + (self.age - 40) % 35}" +
                ("" if self.age < 75 else " and sex == \"female\"")]


def charges(lab):
    return [lab.charges(i) for i in range(3)]


def is_told(err, site):
    return (site in err or site == NAMES[RESEARCHER]) and "clock" in err


def goes_on(c, what, asked, before, first=None):
    """All clocks are right: it is answered, for one charge."""
    a = c.ask(*asked, timeout=60)
    check(f"{what}; put right it is answered, for one charge",
          a.status == 0 and (first is None or a.json["items"] == first)
          and charges(c.lab) == [x + 1 for x in before], (a.out, a.err, before, charges(c.lab)))


def before_a_question(c, who, by, name):
    q, before = c.question(["count", "lung"]), charges(c.lab)
    c.set(who, by)
    a = c.ask(*q)
    what = f"{NAMES[who]}'s clock {name}, before a question"
    check(f"{what}: refused by name, nothing charged",
          a.status == 1 and is_told(a.err, NAMES[who]) and charges(c.lab) == before, a.out + a.err)
    c.set(who, 0)
    goes_on(c, what, q, before)


def amid_one(c, wire, who, by, name, n):
    q, before = c.question(FIT), charges(c.lab)
    wire.before(n, (HOME, MEMBER), lambda: c.set(who, by))
    a = c.ask(*q, "--deadline", "20", timeout=60)
    wire.forget()
    c.set(who, 0)
    what = f"{NAMES[who]}'s clock {name}, before message {n}"
    check(f"{what}: answered, or it is named",
          a.status == 0 or is_told(a.err, NAMES[who]), a.out + a.err)
    collect = re.search(r"`cohortium (collect [0-9a-f]{12})`", a.err)
    goes_on(c, what, collect.group(1).split() if collect else q, before,
            a.json["items"] if a.status == 0 else None)


def whole(lab):
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"the log of node {i} is whole", a.status == 0, a.out + a.err)
        stamps = [line.split()[1] for line in lab.records(i)]
        check("and does not go back in time", stamps and stamps == sorted(stamps), stamps)


def later(c):
    """What is put off while every clock stands a day ahead waits no day longer."""
    lab = c.lab
    permits = lab.sql(MEMBER, "SELECT id, packed FROM permit")
    lab.sql(MEMBER, "DELETE FROM permit")
    for i in range(4):
        c.set(i, DAY)
    a = c.ask(*c.question(["count", "lung"]), "--later", "--days", "7")
    check("a question is left for later while all clocks stand ahead",
          a.status == 0, a.err)
    tried = "SELECT count(*) FROM later WHERE tries > 0"
    check("and tried in vain", wait_for(lambda: lab.sql(HOME, tried)[0][0] == 1, 30),
          lab.sql(HOME, "SELECT state, tries, try_at, trouble FROM later"))
    for i in range(4):
        c.set(i, 0)
    for row in permits:
        lab.sql(MEMBER, "INSERT INTO permit(id, packed) VALUES(?, ?)", *row)
    put_off = "SELECT count(*) FROM later WHERE state = 0 AND try_at > ?"
    far = int(1000 * time.time()) + HOUR
    check("with the clocks right no try is put off by a day", wait_for(
        lambda: lab.sql(HOME, put_off, far)[0][0] == 0, 20), 
          lab.sql(HOME, "SELECT state, tries, try_at, trouble FROM later"))


def amid_a_look_at_peers(c):
    """A vault waits for what its net has yet to ask, by the clock that nobody sets: to the kernel,
    in which it sleeps, its own clock of the day is the one put back."""
    lab = c.lab
    c.set(HOME, DAY)
    net = lab.children(HOME)["net-process"]
    os.kill(net, signal.SIGSTOP)
    p = subprocess.Popen([NODED, "audit", "verify", "--dir", lab.node(HOME)], env=lab.env,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    waited = p.poll() is None
    try:
        told = p.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        told = None
        p.kill()
        p.communicate()
    os.kill(net, signal.SIGCONT)
    c.set(HOME, 0)
    check("a clock put back by a day while peers are asked: nobody waits for that day",
          waited and told is not None and p.returncode == 0, (waited, told))


def why_not():
    if not SHIM.exists():
        return "clock_step.so was not built"
    try:
        done = subprocess.run([CLI, "--version"], env=dict(os.environ, LD_PRELOAD=str(SHIM)),
                              capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return "nothing can be preloaded into this build (a sanitizer)"
    return None if done.returncode == 0 else f"preloading fails: {done.stderr!r}"


def run():
    lab = Lab()
    c = Clocks(lab)
    c.set(HOME, -2 * DAY)
    past = c.env(HOME)  # the consortium's papers are two days old
    lab.env.update(past)
    with lab:
        c.set(HOME, 0)
        for name in past:
            lab.env.pop(name)
        serve = lab.serve
        lab.serve = lambda i: serve(i, c.env(i))
        wire = Wire(lab)
        try:
            wire.wait_linked()
            for who in (RESEARCHER, MEMBER, HOME):
                for name, by in STEPS.items():
                    before_a_question(c, who, by, name)
            turn = 0
            print(f"amid a fit: every {STRIDE}. of {MESSAGES} messages, the four steps in turn")
            for n in range(1, MESSAGES + 1, STRIDE):
                for who in (MEMBER, HOME):
                    name = list(STEPS)[turn % len(STEPS)]
                    turn += 1
                    amid_one(c, wire, who, STEPS[name], name, n)
                turn += 1
            whole(lab)
            later(c)
            amid_a_look_at_peers(c)
        finally:
            wire.end()


if why_not() is not None:
    print(f"SKIP    clocks that are set: {why_not()}")
    sys.exit(77)
run()
check.end()
