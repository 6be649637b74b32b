"""Can a client tell by time why a count was refused? Five kinds of refusals in random order, over
three real sites and one link: nobody in the cohort, one to k - 1, a class, too like an older
answer, too few to point at. For each pair the area under the curve of the times that the client
measures: 0.5 tells nothing. With the answer quantum of the cautious policy (25 ms), then without.

usage: COHORTIUM_BUILD=build python3 tests/bench/bench_refusals.py [refusals of each kind]

2,000 of each kind are 10,000 and take some 15 minutes.
"""
import bisect
import itertools
import pathlib
import random
import re
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
from bench import goal, load  # noqa: E402
from lab import LUNG, Lab  # noqa: E402

CODEBOOK = """dataset: visits
title: made up for a benchmark
count_unit: patient
variables:
  patient: {type: identifier}
  age: {type: integer, role: quasi_identifier, bounds: [0, 120], grid: [40, 60, 80]}
  status: {type: binary, role: sensitive}
  score: {type: real, bounds: [-10, 10]}
"""
KINDS = {
    "empty": "age < 40 and status == 1",
    "1 to k-1": "age >= 40 and age < 60 and status == 1",
    "class": "age < 40 and status == 0",
    "ledger": "age >= 60 and age < 80 and status == 1",
    "small region": "age >= 80 and status == 1",
}
ROWS = 300
BATCH = 500  # questions a run


def sites(folder):
    """Of the young nobody is ill, of the middle ones five; one of each site is 85."""
    (folder / "codebook.yaml").write_text(CODEBOOK)
    for site in range(3):
        with open(folder / f"{site}.csv", "w") as f:
            print("patient,age,status,score", file=f)
            for i in range(ROWS):
                age = 85 if i == 0 else (30, 50, 70)[i % 3]
                ill = (age == 70 and i % 2) or (age == 50 and i < 6 and site < 2) or i == 0
                print(f"{site}-{i},{age},{int(ill)},{i % 7 / 2}", file=f)
    return [folder / f"{i}.csv" for i in range(3)]


def area(a, b):
    """How often one of a is above one of b; ties are a half."""
    b = sorted(b)
    above = sum(bisect.bisect_left(b, x) + bisect.bisect_right(b, x) for x in a)
    return above / 2 / len(a) / len(b)


def ask(lab, kinds, first):
    """The client's times; every one of them is a refusal."""
    lines = [f"count visits --where '{KINDS[k]} and score > {-9.9 + (first + i) * 1e-6:.6f}'"
             for i, k in enumerate(kinds)]
    a = lab.cohortium("run", "-", "--profile", "lab-test", "--timing", "--no-save", "--json",
                      "--keep-going", stdin="\n".join(lines) + "\n", timeout=900)
    times = [float(x) for x in re.findall(r": ([0-9.]+) ms$", a.err, re.M)]
    if len(times) != len(lines) or a.out.count('"released":false') != len(lines):
        raise SystemExit(f"{len(times)} times of {len(lines)}: {a.out[:300]} {a.err[-500:]}")
    return times


def measure(folder, policy, n):
    draw, times, done = random.Random(1), {k: [] for k in KINDS}, 0
    order = [k for k in KINDS for _ in range(n)]
    draw.shuffle(order)
    with Lab(policy=policy, sites=sites(folder), codebook=folder / "codebook.yaml") as lab:
        if lab.ask("count", "visits", "--where", "age >= 60").status != 0:
            raise SystemExit("the answer that the ledger remembers was not given")
        ask(lab, list(KINDS), 900000)  # warms up
        while done < len(order):
            part = order[done:done + BATCH]
            for k, ms in zip(part, ask(lab, part, done)):
                times[k].append(ms)
            done += len(part)
    return times


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name, policy in (("quantum of 25 ms", "cautious"),
                         ("no quantum", str(LUNG.parent / "quantum_off.yaml"))):
        with tempfile.TemporaryDirectory(prefix="cohortium-bench-") as folder:
            times = measure(pathlib.Path(folder), policy, n)
        print(f"{name}, {n} of each; median ms:", {k: round(statistics.median(t), 2)
                                                  for k, t in times.items()}, load())
        areas = {(a, b): area(times[a], times[b]) for a, b in itertools.combinations(KINDS, 2)}
        for (a, b), x in areas.items():
            print(f"    {a} / {b}: {x:.3f}")
        worst = max(abs(x - 0.5) for x in areas.values())
        goal(f"times of refusals, {name}", f"0.50 +- {worst:.3f}", "0.50 +- 0.02", worst <= 0.02)


main()
