"""How much of an honest study is answered: the 200 questions of honest_study.py over three real
sites, pooled, at the cautious policy (k = 10, the answer quantum off), against the memory of all
that was released before. An answer is one that holds a number; one whose numbers are all withheld
is a refusal. Why a question was refused is read from the logs of all three sites.

usage: COHORTIUM_BUILD=build python3 tests/bench/honest_workload.py [--patients 1000,3000,10000]
           [--quasi 8] [--seeds 1] [--show]

--quasi   how many quasi-identifiers the codebook marks: a list of 4, 6 and 8
--seeds   studies for each; the figures are their mean
--show    each refused question with its reason
"""
import argparse
import collections
import json
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
import honest_study  # noqa: E402
from bench import goal, load  # noqa: E402
from lab import LUNG, Lab  # noqa: E402

GOALS = {1000: 75, 3000: 95, 10000: 99}
SITES = 3
WITHHELD = re.compile(r"(\d+) by (\S+ \([^)]*\))")


def numbers(value):
    """What stands in the answer's items, a number or nothing."""
    if isinstance(value, list):
        return [x for part in value for x in numbers(part)]
    return [] if isinstance(value, str) else [value]


def is_answered(document):
    return document["released"] and any(
        x is not None for item in document["items"].values() for x in numbers(item))


def why_here(line):
    """Why one site's record says that nothing, or hardly anything, left."""
    found = re.search(r"this site objected: (.*)", line)
    if found:
        return re.sub(r"region \d+ of \d+", "a region", found.group(1)).split(";")[0]
    rules = [rule for _, rule in WITHHELD.findall(line)]
    if "withheld whole" in line:
        return re.search(r"withheld whole: ([^;]*)", line).group(1)
    return "all numbers withheld by " + rules[0] if rules else None


def why(lines):
    """The reason of one question from the records of all sites."""
    found = [w for w in map(why_here, lines) if w]
    return found[0] if found else "; ".join(lines)


def records(lab, site):
    found = [l for l in lab.records(site) if re.search(r"Z +question +", l)]
    return [re.sub(r"^.*Z +question +\S+ +\S+ +", "", l) for l in found]


class Tally:
    """Of several studies alike."""

    def __init__(self):
        self.asked, self.answered = collections.Counter(), collections.Counter()
        self.reasons, self.cells = collections.Counter(), [0, 0]
        self.withheld = collections.Counter()

    def take(self, kind, document, lines):
        self.asked[kind] += 1
        if is_answered(document):
            self.answered[kind] += 1
        else:
            self.reasons[why(lines)] += 1
        if kind.startswith("table of") and document["released"]:
            cells = numbers(document["items"]["counts"])
            self.cells[0] += sum(c is not None for c in cells)
            self.cells[1] += len(cells)
            # home's record; the values are cells, rows of cells and totals
            self.withheld.update({rule: int(n) for n, rule in WITHHELD.findall(lines[0])})

    def share(self):
        return 100 * sum(self.answered.values()) / sum(self.asked.values())


def one_study(patients, quasi, seed, tally, show):
    questions = honest_study.questions(seed)
    with tempfile.TemporaryDirectory(prefix="cohortium-bench-") as folder:
        folder = pathlib.Path(folder)
        (folder / "codebook.yaml").write_text(honest_study.codebook(quasi))
        sites = honest_study.write_sites(folder, patients, seed)
        with Lab(policy=str(LUNG.parent / "quantum_off.yaml"), sites=sites,
                 codebook=folder / "codebook.yaml") as lab:
            a = lab.cohortium("run", "-", "--profile", "lab-test", "--json", "--keep-going",
                              "--no-save", stdin="\n".join(l for _, l in questions) + "\n",
                              timeout=900)
            documents = [json.loads(l) for l in a.out.splitlines()]
            logs = [records(lab, i) for i in range(SITES)]
    wrong = [d for d in documents if "error" in d]
    if wrong or len(documents) != len(questions) or any(len(l) != len(documents) for l in logs):
        raise SystemExit(f"{len(documents)} answers, records {[len(l) for l in logs]}, "
                         f"{wrong[:3]} {a.err[-500:]}")
    for i, (kind, line) in enumerate(questions):
        lines = [log[i] for log in logs]
        tally.take(kind, documents[i], lines)
        if show and not is_answered(documents[i]):
            print(f"    {line}\n        {why(lines)}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--patients", default="1000,3000,10000")
    p.add_argument("--quasi", default="8")
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--show", action="store_true")
    o = p.parse_args()
    for quasi in map(int, o.quasi.split(",")):
        for patients in map(int, o.patients.split(",")):
            tally = Tally()
            for seed in range(1, o.seeds + 1):
                one_study(patients, quasi, seed, tally, o.show)
            each = ", ".join(f"{k} {100 * tally.answered[k] / n:.0f} %"
                             for k, n in tally.asked.items())
            print(f"{patients} patients, {quasi} quasi-identifiers, {o.seeds} studies: "
                  f"{tally.share():.1f} % answered ({each}); of released tables "
                  f"{100 * tally.cells[0] / max(1, tally.cells[1]):.0f} % of the cells; {load()}")
            for reason, n in tally.reasons.most_common():
                print(f"    {100 * n / sum(tally.asked.values()):5.1f} %  {reason}")
            print("    of values withheld in tables:", ", ".join(
                f"{100 * n / sum(tally.withheld.values()):.0f} % by {rule}"
                for rule, n in tally.withheld.most_common()) or "none")
            if quasi == 8 and patients in GOALS:
                goal(f"honest workload at N={patients}", f"{tally.share():.1f} % answered",
                     f"{GOALS[patients]} %", tally.share() >= GOALS[patients])


main()
