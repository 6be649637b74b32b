"""What the standard policy does not keep, stated in README.md: each of these attacks succeeds at it.
One that fails is good news: strike it from the README, and from here or into CLOSED. Under a policy with noise what they rest on
is not there: counts are off by more than one patient, models by more than one patient's part."""
import pathlib
import re
import tempfile

from attack import OLD, SECRETS, TIM, Attack, Attacker, first, known, raise_worlds, world
from lab import Checks
from test_people import admit

SUSPICIOUS = "class: cautious\ncollusion_assumed: all_other_members\n"
NOISE = "class: cautious\nnoise_mechanism: discrete_gaussian\nrho_per_project: 2\n" \
        "rho_per_researcher: 2\nrho_total: 2\n"
SECRETS[0]["etime_of_mis"], SECRETS[1]["etime_of_mis"] = 900, 100
SECRETS[0]["is_there"], SECRETS[1]["is_there"] = True, False
ZOE = '(age >= 50 and age < 60 and sex == "F" and bmi >= 40 and admitted < "2024-02-01")'


def with_missing(which):
    """The only patient without a bmi."""
    sites = world(which)
    sites[1].append(["mis", 33, "M", "", "A", 0, 0, SECRETS[which]["etime_of_mis"], 100, "W2", 0,
                     "2024-04-04"])
    for rows in sites:
        rows[:] = [r for r in rows if not (50 <= r[1] < 60 and r[2] == "F" and r[3] != "" and
                                           r[3] >= 40 and r[11] < "2024-02-01")]
    if SECRETS[which]["is_there"]:
        sites[2].append(["zoe", 55, "F", 44.0, "A", 0, 0, 300, 100, "W2", 0, "2024-01-15"])
    for i in range(10):
        sites[2].append([f"mole{i}", 45, "F", 41.0, "A", 0, 0, 300, 100, "W2", 0,
                         "2024-05-05"])
    return sites


def unmarked(x):
    """Costs are no quasi-identifier, but this attacker knows that the victim's is the only high one.
    A set of others is grown patient by patient until its rounded count is about to move: the
    victim's outcome then decides whether it does."""
    def rounded(cost, time, more=""):
        return known(x.count(f"outcome == 1 and (cost < {cost} or cost == {cost} and "
                             f"etime < {time}{more})"))

    low, high, start = 100, 130, rounded(100, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rounded(middle, 0) == start else (low, middle)
    before, after = 0, 1000
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if rounded(low, middle) == start else (before, middle)
    return int(rounded(low, before, " or cost > 1000") != start)


def class_by_difference(x):
    """R3 withholds a table of a group that is all alike; the others are not, nor is everybody."""
    men = 'sex == "M" and hiv == 1'
    a, b = known(*x.counts(men, f"{men} and not {OLD}"))
    return a - b > 10


def complete_cases(x):
    """A model leaves out who lacks one of its variables, whom no cohort may leave out."""
    n = known(first(x.ask("lm clinic 'etime ~ 1'").get("n")))
    everybody, rest, bmi = known(*(first(x.ask(f"lm clinic '{f}'").get("coef")) for f in (
        "etime ~ 1", "etime ~ offset(bmi)", "bmi ~ 1")))
    return everybody + (n - 1) * (everybody - rest - bmi)


def invented(x):
    """A member of the consortium, who is a researcher too, has put ten rows beside the victim's."""
    return 11 * known(first(x.ask(f"lm clinic 'etime ~ 1' --where '{TIM}'").get("coef"))) - 3000


def presence(x):
    """A cohort, then with the victim's cell beside it: if one is in the cell the ledger refuses, and
    if nobody is it must as well."""
    x.counts('sex == "M"', f'sex == "M" or {ZOE}')
    return '"released": false' in x.seen[-1]


RESIDUALS = [
    Attack("B01", "known of a patient, and not marked as a quasi-identifier", "outcome",
           "the victim's outcome", 0, None, unmarked),
    Attack("B02", "a class that is all alike, by difference", "old_all",
           "everybody's hiv in a group of fourteen", 0, None, class_by_difference),
    Attack("B03", "the one patient whom a model leaves out", "etime_of_mis",
           "the patient's time within 150 of 0 to 1000 days", 150, None, complete_cases),
    Attack("B05", "rows that a member invents (A79)", "etime", "the victim's time within 60 of 0 to "
           "1000 days", 60, None, invented),
]
CLOSED = [
    Attack("B04", "somebody or nobody in a cell, by what the ledger refuses", "is_there",
           "whether a person known by quasi-identifiers is a patient", 0, None, presence),
]


def use(attacker):
    return [r.try_it(attacker) for r in RESIDUALS + CLOSED]


def under_noise(attacker):
    """How far four counts of nearly everybody are off, an attack, and what a dry run says of the
    budget before and after another researcher's question, and after an own one (A72)."""
    def left():
        a = attacker.lab.ask("count", "clinic", "--where", "smoker == 1", "--dry-run")
        return re.search(r'"tenths_left":(\d+)', a.out)[1]

    admit(attacker.lab, "bob")
    gauge = [left()]
    Attacker(attacker.lab, attacker.which, "bob").count("smoker == 1")
    gauge.append(left())
    attacker.count("smoker == 0")
    gauge.append(left())
    cohorts = ["smoker < 2", "outcome < 2", "hiv < 2", "cost < 1000000"]
    rows = len({r[0] for site in with_missing(attacker.which) for r in site})
    return [n - rows for n in attacker.counts(*cohorts) if n is not None], \
        RESIDUALS[2].try_it(attacker), gauge


check = Checks()
readme = (pathlib.Path(__file__).parent / "README.md").read_text()
with tempfile.TemporaryDirectory(prefix="cohortium-test-") as scratch:
    folder = pathlib.Path(scratch)
    noise = folder / "noise.yaml"
    noise.write_text(NOISE)
    held = raise_worlds("cautious", folder, use, with_missing)
    suspicious = folder / "suspicious.yaml"
    suspicious.write_text(SUSPICIOUS)
    alone = raise_worlds(suspicious, folder, RESIDUALS[3].try_it, with_missing)
    noised = raise_worlds(noise, folder, under_noise, with_missing)
for i, r in enumerate(RESIDUALS):
    check(f"{r.ids} {r.name}: at the standard policy it learns {r.learned}",
          all(r.is_right(held[w][i][0], w) for w in (0, 1)),
          [(guess, seen[-2:]) for guess, seen in (held[0][i], held[1][i])])
    check(f"{r.ids} stands in README.md", f"| {r.ids} | {r.name} | {r.learned} |" in readme)
for i, r in enumerate(CLOSED, len(RESIDUALS)):
    check(f"{r.ids} {r.name}: refused alike", held[0][i][0] == held[1][i][0] and
          all('"released": false' in held[w][i][1][-1] for w in (0, 1)), (held[0][i], held[1][i]))
    check(f"{r.ids} stands in README.md", f"| {r.ids} | {r.name} | {r.learned} | nothing |" in readme)
for off, _, gauge in noised:
    check("A72: the budget that a dry run tells is moved by own questions alone",
          gauge[0] == gauge[1] != gauge[2], gauge)
    check("with noise counts are off by more than one patient",
          len(off) >= 3 and sum(abs(x) > 1 for x in off) >= len(off) / 2, off)
check("B05: where a site assumes that all others work together it does not",
      all(guess is None for guess, _ in alone), alone)
check("with noise B03 learns nothing, a model's error is too large",
      not all(RESIDUALS[2].is_right(noised[w][1][0], w) for w in (0, 1)), noised)
check.end()
