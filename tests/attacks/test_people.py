"""Several people, the same question again, words and lengths of refusals (DISCLOSURE.md 2.1, 2.6)."""
import pathlib
import re
import shutil
import tempfile

from attack import (CODEBOOK, NODED, ROUNDED, TIM, UNA, Attacker, Lab, Suite, known, play, world,
                    write)

suite = Suite()
attack = suite.attack
SYBILS = ("bob", "eve")


def admit(lab, name):
    """Another researcher of the same home, with a permit of their own."""
    def must(a):
        if a.status != 0:
            raise SystemExit(a.out + a.err)
    profiles, key, permit = lab.home / "config/cohortium/profiles", lab.home / f"{name}.key", \
        lab.home / f"{name}.permit"
    shutil.copytree(profiles / "lab-test", profiles / name)
    for old in ("researcher.key", "credential"):
        (profiles / name / old).unlink()
    must(lab.cohortium("key", "new", "--use", "researcher", "--name", name, "--lab", "-o", key))
    shutil.copy(key, profiles / name / "researcher.key")
    must(lab.noded(0, "researcher", "issue", f"{key}.card", "-o", profiles / name / "credential"))
    must(lab.run(NODED, "permit", "new", "--title", name, "--purpose", "another study", "--dataset",
                 "clinic", "--researcher", f"{key}.card", "--member", "all", "--days", "30",
                 "--manifest", lab.dir / "papers/manifest", "-o", permit))
    for i in range(3):
        must(lab.run(NODED, "permit", "sign", "--key", lab.dir / f"keys/hospital_{'abc'[i]}.key",
                     permit))
        must(lab.noded(i, "permit", "add", permit))


def prepare(x):
    x.others = []
    for name in SYBILS:
        admit(x.lab, name)
        x.others.append(Attacker(x.lab, x.which, name))
        x.others[-1].seen = x.seen


@attack("A08", "two researchers, half of a tracker each", "outcome", "the victim's outcome",
        residual=ROUNDED)
def _(x):
    bob = x.others[0]
    n = known(x.count('sex == "F" and outcome == 1'))
    return n - known(bob.count(f'sex == "F" and not {TIM} and outcome == 1'))


@attack("A09 A13", "the same count again and again, by three people, averaged", "n_outcome",
        "an exact count", residual=ROUNDED)
def _(x):
    numbers = [n for who in (x, *x.others) for n in who.counts(*["outcome == 1"] * 7)]
    return sum(known(*numbers)) / len(numbers)


@attack("A12", "the same patients in other words, averaged", "n_outcome", "an exact count",
        residual=ROUNDED)
def _(x):
    numbers = x.counts("outcome == 1", "not (outcome == 0)", "outcome != 0", "outcome >= 1",
                       "outcome > 0", "outcome in (1)", "outcome * 2 >= 1", "outcome == 1 and age >= 0")
    numbers = [n for n in numbers if n is not None]
    return sum(known(*numbers)) / len(numbers) if numbers else None


def refusals(x, words):
    """Answers to a question about nobody, and about somebody if the secret is so."""
    x.run(*(words.format(f'{UNA} and dx == "{dx}"') for dx in ("C1", "C2")))
    return [s.split(" -> ", 1)[1].replace("C1", "C2") for s in x.seen[-2:]]


@attack("A67", "the words of a refusal", "has_c2", "that the second victim has C2")
def _(x):
    pairs = [refusals(x, q) for q in ("describe clinic etime --where '{}'",
                                      "lm clinic 'etime ~ age' --where '{}'",
                                      "glm clinic 'smoker ~ 1' --family binomial --where '{}'")]
    return any(a != b for a, b in pairs)


@attack("A70", "the length of an answer", "has_c2", "that the second victim has C2")
def _(x):
    a, b = refusals(x, "describe clinic etime cost --where '{}'")
    return len(a) != len(b)


def auc(a, b):
    """How often a time of the first kind is above one of the second."""
    return sum((x > y) + 0.5 * (x == y) for x in a for y in b) / (len(a) * len(b))


def times(x, n=60):
    """Milliseconds of refusals about somebody and about nobody, in turn, none of them asked before."""
    lines = [f"count clinic --where '{UNA} and dx == \"{dx}\" and cost < {i}'"
             for i in range(200, 200 + n) for dx in ("C2", "C1")]
    a = x.lab.cohortium("run", "-", "--json", "--keep-going", "--no-save", "--timing", "--profile",
                        x.profile, stdin="\n".join(lines) + "\n", timeout=120)
    ms = [float(t) for t in re.findall(r": ([0-9.]+) ms$", a.err, re.M)]
    return ms[::2], ms[1::2], a.out.count('"released":false')


def check_times(check):
    with tempfile.TemporaryDirectory(prefix="cohortium-test-") as scratch:
        files = [write(rows, pathlib.Path(scratch) / f"site{i}.csv")
                 for i, rows in enumerate(world(0))]
        with Lab(policy="cautious", codebook=CODEBOOK, sites=files) as lab:
            somebody, nobody, refused = times(Attacker(lab, 0))
    seen = auc(somebody, nobody)
    check(f"A69: times of {refused} refusals do not tell somebody from nobody (AUC {seen:.2f})",
          refused == 120 and abs(seen - 0.5) < 0.2, (somebody, nobody))
    check("A69: an early exit 40 ms before would be seen", auc([t + 40 for t in nobody], nobody) > 0.7)


if __name__ == "__main__":
    check = play(suite, prepare=prepare)
    check_times(check)
    check.end()
