"""Values of one patient by way of means, cuts and groups; tables of labels (DISCLOSURE.md 2.2,
2.3, 2.5)."""
import math

from attack import OLD, ROUNDED, SECRETS, TIM, UNA, VIC, Suite, first, flat, known, play

suite = Suite()
attack = suite.attack
THREE = f"({TIM} or {UNA} or {VIC})"


@attack("A19", "totals less cells", "has_c2", "a withheld cell")
def _(x):
    t = x.ask("table clinic 'dx * sex'")
    counts, totals = t.get("counts"), t.get("totals")
    known(totals)
    rest, row = counts[3], totals[3]
    column, men = totals[6], [r[1] for r in counts]
    known(row, rest[0], column, men[:3] + men[4:])
    return row - rest[0] > 0 and column - sum(men[:3] + men[4:]) > 0


@attack("A20", "overlapping tables", "has_c2", "a cell of dx by sex by smoker, by its bounds",
        residual=ROUNDED)
def _(x):
    a, b, c = x.run("table clinic 'dx * sex'", "table clinic 'dx * smoker'",
                    "table clinic 'sex * smoker'")
    known(a.get("counts"), b.get("counts"), c.get("counts"))
    dx_sex, dx_smoker = known(a["counts"][3][1], b["counts"][3][0])
    n = known(first(a.get("totals"))) if a["totals"][3] is None else a["totals"][3]
    return max(0, dx_sex + dx_smoker - n) > 0


@attack("A23", "a class that is all alike", "old_all", "everybody's hiv in a group of fourteen")
def _(x):
    t = x.ask(f"table clinic hiv --where '{OLD}'")
    known(t.get("counts"))
    return t["counts"][0] == 0


@attack("A24 A25", "labels and keys, probed one by one", "has_c2", "which rare codes exist")
def _(x):
    t = x.ask("table clinic dx")
    known(t.get("rows"), t.get("counts"))
    return "C2" in [label for label, n in zip(t["rows"], t["counts"]) if n > 0]


@attack("A24", "a value as a key", "bmi", "the victim's bmi", within=0.01)
def _(x):
    guesses = [45.5 + i / 10 for i in range(0, 70)]
    found = [g for g, n in zip(guesses, x.counts(*(f"bmi == {g:.1f}" for g in guesses))) if n]
    return known(first(found) if found else None)


@attack("A27", "one patient of twelve rows", "cost_of_vic", "the victim's cost", within=0.5)
def _(x):
    mean, rows = x.mean("cost", VIC)
    return known(mean)


@attack("A30", "a window of one day", "day", "the day of the victim's admission")
def _(x):
    days = [f"2024-{m:02d}-{d:02d}" for m in (5, 9) for d in range(1, 29)]
    for day, n in zip(days, x.counts(*(f'{TIM} and admitted == "{d}"' for d in days))):
        if n:
            return day
    return None


@attack("A31", "an indicator times a value", "bmi", "the victim's bmi", within=0.05,
        residual=ROUNDED)
def _(x):
    a = x.ask("describe clinic bmi --by dx")
    return known(flat(a.get("mean"))[4])


@attack("A32", "a dominated sum", "cost", "the victim's cost within 5 %", within=9000)
def _(x):
    mean, n = x.mean("cost", 'ward == "W4"')
    known(mean, n)
    return mean * n - (n - 1) * 100  # what a stay costs


@attack("A33", "power sums", "bmi", "the victim's bmi", within=0.05)
def _(x):
    two = f"{TIM} or {UNA}"
    p1 = 2 * known(first(x.ask(f"lm clinic 'bmi ~ 1' --where '{two}'").get("coef")))
    p2 = 2 * known(first(x.ask(f"lm clinic 'I(bmi^2) ~ 1' --where '{two}'").get("coef")))
    e2 = (p1 * p1 - p2) / 2  # Newton: the values are the roots of z^2 - p1 z + e2
    return (p1 + math.sqrt(p1 * p1 - 4 * e2)) / 2


@attack("A34", "the median and the ends of three", "bmi", "the largest of three values",
        within=0.11)
def _(x):
    low, high = 40.0, 80.0
    while high - low > 0.05:
        middle = (low + high) / 2
        n = known(x.count(f"{THREE} and bmi < {middle:.4f}"))
        low, high = (low, middle) if n == 3 else (middle, high)
    return low


@attack("A36", "two histograms whose edges differ by a hair", "bmi", "the victim's bmi",
        within=0.05)
def _(x):
    for middle in (48.6, 50.1, 51.3, 53.0):
        a, b = known(*x.counts(f"bmi < {middle - 0.05:.2f}", f"bmi < {middle + 0.05:.2f}"))
        if b - a == 1:
            return middle
    return None


@attack("A37 A40", "the range, by its end", "bmi", "the victim's bmi, the largest of all",
        within=0.11)
def _(x):
    low, high = 45.0, 80.0
    while high - low > 0.05:
        middle = (low + high) / 2
        n = known(x.count(f"bmi >= {middle:.4f}"))
        low, high = (low, middle) if n == 0 else (middle, high)
    return low


@attack("A58", "mean and spread of two", "bmi", "both values", within=0.05)
def _(x):
    a = x.ask(f"describe clinic bmi --where '{TIM} or {UNA}'")
    return known(first(a.get("mean"))) + known(first(a.get("sd"))) / math.sqrt(2)


@attack("A59", "a cluster of one", "etime", "the victim's time", within=0.5,
        residual=ROUNDED)
def _(x):
    return known(flat(x.ask("describe clinic etime --by dx").get("mean"))[4])


@attack("A60", "centroids of k and of k + 1 neighbours", "bmi", "the victim's bmi", within=0.05)
def _(x):
    near = f'(age >= 40 and age < 50 and sex == "F" and bmi >= 35)'
    (a, n), (b, m) = x.mean("bmi", near), x.mean("bmi", f"{near} and bmi < 40")
    known(a, n, b, m)
    return n * a - m * b


@attack("A61", "a survival curve's step at a risk set of one", "etime", "the victim's day",
        within=0.5)
def _(x):
    low, high = 0, 1000
    while high - low > 1:
        middle = (low + high) // 2
        n = known(x.count(f'dx == "C3" and etime >= {middle}'))
        low, high = (middle, high) if n > 0 else (low, middle)
    return low


@attack("A62", "exact times beside a smoothed curve", "etime", "the victim's day", within=0.5,
        residual=ROUNDED)
def _(x):
    days = sorted({SECRETS[w]["etime"] + d for w in (0, 1) for d in (-2, -1, 0, 1)})
    a = x.counts(*(f"outcome >= 0 and etime < {d}" for d in days))
    b = x.counts(*(f'not (dx == "C3") and etime < {d}' for d in days))
    for i in range(1, len(days)):
        w, v, y, z = known(a[i - 1], b[i - 1], a[i], b[i])
        if (y - z) - (w - v) == 1:
            return days[i - 1]
    return None


if __name__ == "__main__":
    play(suite).end()
