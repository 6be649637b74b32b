"""Several people, the same question again, words and lengths of refusals (DISCLOSURE.md 2.1, 2.6)."""
import shutil

from attack import NODED, ROUNDED, TIM, UNA, Attacker, Suite, known, play

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


if __name__ == "__main__":
    play(suite, prepare=prepare).end()
