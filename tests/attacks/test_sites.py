"""Sites left out, data that change, rows that somebody invents (DISCLOSURE.md 2.1, 2.6)."""
import pathlib
import tempfile

from attack import (Attack, Stuck, check_table, judge_bare, judge_held, known, raise_worlds, world, write)
from lab import Checks

check = Checks()


def of_four(which):
    """The victim is the only woman of the fourth site."""
    sites = world(which)
    tim = sites[0].pop(next(i for i, r in enumerate(sites[0]) if r[0] == "tim"))
    last = [r for r in sites[2] if r[2] == "M"]
    sites[2] = [r for r in sites[2] if r[2] == "F"]
    return [*sites, [tim, *last]]


def drop_a_site(x):
    """All four sites, then three."""
    cohort = "'sex == \"F\" and outcome == 1'"
    a, b = x.run(f"count clinic --where {cohort}",
                 f"count clinic --where {cohort} --sites hospital_a,hospital_b,hospital_c")
    return known(a.get("patients")) - known(b.get("patients"))


def before_the_load(which):
    sites = world(which)
    sites[0] = [r for r in sites[0] if r[0] != "tim"]
    return sites


def daily_load(x):
    """The same question before and after the victim came."""
    cohorts = ['sex == "F" and outcome == 1', "outcome == 1 and age < 50"]
    before = x.counts(*cohorts)
    path = write(world(x.which)[0], x.lab.home / "tuesday.csv")
    a = x.lab.noded(0, "data", "import", "clinic", path)
    if a.status == 3 and "1 patients came, 0 went" in a.err:
        raise Stuck # one patient more is no new version
    if a.status != 0:
        raise SystemExit(a.out + a.err)
    after = x.counts(*cohorts)
    return known(*after)[0] - known(*before)[0]


ATTACKS = [
    (Attack("A73", "a site left out", "outcome", "the victim's outcome", 0, "rounded numbers",
            drop_a_site), of_four),
    (Attack("A10 A78", "the same question before and after a daily load", "outcome",
            "the victim's outcome", 0, None, daily_load), before_the_load),
]

with tempfile.TemporaryDirectory(prefix="cohortium-test-") as scratch:
    for attack, sites in ATTACKS:
        for policy, judge in (("exact-for-testing", judge_bare), ("cautious", judge_held)):
            judge(check, attack, raise_worlds(policy, pathlib.Path(scratch), attack.try_it, sites))
check_table(check, [a for a, _ in ATTACKS])
check.end()
