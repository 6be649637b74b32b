"""What a researcher's program may not say at all: client.c signs it with a true key, under a valid
permit, and each node refuses it by its form, under any policy. There is no defence to switch off, so
what such a message would give is shown on the rows themselves, by a site that answers it."""
import math
import pathlib
import random
import tempfile

from attack import CODEBOOK, NAMES, SECRETS, world, write
from lab import BUILD, Checks, Lab

CLIENT = BUILD / "tests" / "attacks" / "attack_client"
COUNT = ["count", "clinic"]
ONE = ["count", "clinic", "--where", 'ward == "W1"']
MODEL = ["lm", "clinic", "etime ~ age"]
DENIED = "this caller may not ask for that"

# trick, question, how it is refused, attacks that need it
TRICKS = [
    ("coefficients", MODEL, "an unknown field", "A49 A50"),
    ("vector", MODEL, "an unknown field", "A41 A53"),
    ("unknown_weights", MODEL, "unknown_variable", "A41 A47 A53"),
    ("scatter", COUNT, "unknown_analysis", "A39 A60 A66"),
    ("covariance", COUNT, "unknown_analysis", "A41 A53"),
    ("kmeans", COUNT, "unknown_analysis", "A59"),
    ("km", COUNT, "unknown_analysis", "A61 A62 A66"),
    ("cox", COUNT, "unknown_analysis", "A64"),
    ("identifier", ONE, "unusable_variable", "A29"),
    ("like", ONE, "an unknown value", "A29"),
    ("one_site", COUNT, "too_few_sites", "A73"),
    ("two_sites", COUNT, "too_few_sites", "A73"),
    ("site_twice", COUNT, "one is listed twice", "A73"),
    ("stranger_site", COUNT, "is not a member", "A73"),
    ("alone_by_site", COUNT, "by_site_not_permitted", "A73"),
    ("by_site", COUNT, "by_site_not_permitted", "A73"),
    ("own_codebook", COUNT, "codebook: ", "A36"),
    ("other_permit", COUNT, "unknown_permit", "A09"),
    ("later_version", COUNT, "analysis_version", "A52"),
    ("begin", COUNT, DENIED, "A52"), ("step", COUNT, DENIED, "A52"),
    ("preflight", COUNT, DENIED, "A52"), ("drawer", COUNT, DENIED, "A52"),
    ("round", COUNT, DENIED, "A52"),
]
check = Checks()


def refuse(policy):
    with tempfile.TemporaryDirectory(prefix="cohortium-test-") as scratch:
        files = [write(rows, pathlib.Path(scratch) / f"site{i}.csv")
                 for i, rows in enumerate(world(0))]
        with Lab(policy=policy, codebook=CODEBOOK, sites=files) as lab:
            def say(trick, question):
                return lab.run(CLIENT, trick, *question, "--profile", "lab-test")
            for question in (COUNT, ONE, MODEL):
                a = say("none", question)
                check(f"{policy}: without a trick it is answered", a.out.startswith("released"),
                      a.out + a.err)
            charges = lab.charges(0)
            for trick, question, words, ids in TRICKS:
                a = say(trick, question)
                check(f"{policy}: {ids}: `{trick}` is refused by its form", a.status != 0 and
                      words in a.out and "released" not in a.out, a.out + a.err)
            a = say("again", MODEL)
            check(f"{policy}: A78: the same request again gets the same and costs nothing",
                  a.out.count("released") == 2 and lab.charges(0) == charges, a.out + a.err)


# ---- what it would give, on rows ----

def patients(which):
    rows = {r[0]: r for site in world(which) for r in site}
    return [dict(zip(NAMES, r))
            for r in rows.values()]


def inner_products(rows, vectors, variable):
    """A41, A53: a site that multiplies the caller's vectors with a column."""
    return [sum(a * r[variable] for a, r in zip(v, rows)) for v in vectors]


def scores(rows, points):
    """A49, A50: a site that takes the caller's coefficients (-1000 t, 1000) of outcome ~ bmi."""
    def fitted(eta):
        return 1 / (1 + math.exp(-max(min(eta, 700), -700)))
    return [sum(r["outcome"] - fitted(-1000 * t + 1000 * r["bmi"]) for r in rows) for t in points]


def scatter(rows, variable, scale, seed):
    """A39, A66: a site that hides values under noise from a known seed."""
    rng = random.Random(seed)
    return [r[variable] + scale * rng.gauss(0, 1) for r in rows]


def names_like(rows, prefix):
    """A29: a site that counts names by their beginning."""
    return sum(r["patient"].startswith(prefix) for r in rows)


def last_step(rows):
    """A49: the largest bmi, from where the score still moves."""
    points = [45.05 + i / 10 for i in range(80)]
    s = scores(rows, points)
    return max((points[i] + points[i + 1]) / 2 for i in range(len(points) - 1)
               if abs(s[i] - s[i + 1]) > 0.5)


def learn(which):
    rows = patients(which)
    tim = next(i for i, r in enumerate(rows) if r["patient"] == "tim")
    unit = [[float(i == k) for i in range(len(rows))] for k in range(len(rows))]
    a, b = scatter(rows, "bmi", 0.25, 1), scatter(rows, "bmi", 1.0, 1)
    noise = random.Random(0)
    own = [noise.gauss(0, 1) for _ in rows]
    name = ""
    while len(name) < 3:
        name += next(c for c in "tuvwxyzabcdefghijklmnopqrs" if names_like(rows, name + c))
    return {"A41 A53": inner_products(rows, unit, "bmi")[tim], "A49 A50": last_step(rows),
            "A39": (4 * a[tim] - b[tim]) / 3,
            "A66": scatter(rows, "bmi", 1.0, 0)[tim] - own[tim], "A29": name}


for policy in ("cautious", "exact-for-testing"):
    refuse(policy)
readme = (pathlib.Path(__file__).parent / "README.md").read_text()
for which in (0, 1):
    for ids, guess in learn(which).items():
        truth = "tim" if ids == "A29" else SECRETS[which]["bmi"]
        check(f"{ids}: where it can be said it learns {truth}", guess == truth or
              (ids != "A29" and abs(guess - truth) < 0.06), guess)
        check(f"{ids} stands in README.md", any(
            line.startswith(f"| {ids} |") and "test_client.py" in line
            for line in readme.splitlines()))
check.end()
