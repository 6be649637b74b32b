"""Counts and their differences (DISCLOSURE.md 2.1)."""
import itertools
import random

from attack import ROUNDED, TIM, UNA, Suite, known, play

suite = Suite()
attack = suite.attack
OUT = "outcome == 1"


def both(a, b):
    return f"({a}) and ({b})"


@attack("A01", "a small cell, asked for directly", "has_c2", "that somebody has C2")
def _(x):
    return known(x.count('dx == "C2"')) > 0


@attack("A02", "a nested cohort", "bmi", "the victim's bmi", within=0.05,
        residual=ROUNDED)
def _(x):
    (all_mean, n), (mean, m) = x.mean("bmi"), x.mean("bmi", 'dx != "C3"')
    known(all_mean, n, mean, m)
    return n * all_mean - m * mean


@attack("A03", "a small complement", "has_c2", "that somebody has C2")
def _(x):
    n, m = known(*x.counts("age >= 0", 'dx != "C2"'))
    return n - m > 0


@attack("A04", "an individual tracker (Schloerer)", "outcome", "the victim's outcome",
        residual=ROUNDED)
def _(x):
    band = "age >= 40 and age < 50"
    n, m = known(*x.counts(both(band, OUT), f'{band} and not (sex == "F" and bmi >= 40) and {OUT}'))
    return n - m


@attack("A05", "a general tracker (Denning, Denning, Schwartz)", "outcome",
        "the victim's outcome",
        residual=ROUNDED)
def _(x):
    a, b, c, d = known(*x.counts(*(both(s, OUT) for s in (
        f"{TIM} or smoker == 1", f"{TIM} or not (smoker == 1)", "smoker == 1",
        "not (smoker == 1)"))))
    return a + b - c - d


@attack("A06", "inclusion and exclusion, each pair far apart", "outcome", "the victim's outcome",
        residual=ROUNDED)
def _(x):
    p, q = '(sex == "F" and age >= 50)', '(sex == "M" and age < 40)'
    a, b, c = known(*x.counts(*(both(s, OUT) for s in (
        f"{p} or {TIM}", f"{q} or {TIM}", f"{p} or {q} or {TIM}"))))
    return a + b - c


def cells():
    """Everybody in 24 pieces by age, sex and weight; the victim is one piece."""
    ages = ["age < 30", *(f"age >= {a} and age < {a + 10}" for a in (30, 40, 50, 60)), "age >= 70"]
    return [f'({a} and sex == "{s}" and {w})' for a, s, w in
            itertools.product(ages, "FM", ("bmi < 40", "bmi >= 40"))]


def solve(rows, right, n):
    """Least squares by elimination of the normal equations; None where it is not unique."""
    m = [[sum(r[i] * r[j] for r in rows) for j in range(n)] +
         [sum(r[i] * y for r, y in zip(rows, right))] for i in range(n)]
    for i in range(n):
        best = max(range(i, n), key=lambda k: abs(m[k][i]))
        if abs(m[best][i]) < 1e-9:
            return None
        m[i], m[best] = m[best], m[i]
        for k in range(n):
            if k != i:
                f = m[k][i] / m[i][i]
                m[k] = [a - f * b for a, b in zip(m[k], m[i])]
    return [m[i][n] / m[i][i] for i in range(n)]


def by_linear_system(x, n_cohorts, seed):
    """Random unions of cells, all that are answered, and what solves them."""
    rng, parts = random.Random(seed), cells()
    rows = [[rng.randint(0, 1) for _ in parts] for _ in range(n_cohorts)]
    answers = x.counts(*(both(" or ".join(c for c, take in zip(parts, r) if take), OUT)
                         for r in rows))
    given = [(r, y) for r, y in zip(rows, answers) if y is not None]
    found = solve([r for r, _ in given], [y for _, y in given], len(parts)) if given else None
    return None if found is None else round(found[parts.index(TIM)])


@attack("A15", "a condition that takes the victim out only with the secret (Gadotti et al.)",
        "outcome", "the victim's outcome")
def _(x):
    n, m = known(*x.counts('sex == "F"', f'sex == "F" and not ({TIM} and {OUT})'))
    return n - m


@attack("A14", "partitions, averaged (Asghar, Kaafar)", "outcome", "the victim's outcome",
        residual=ROUNDED)
def _(x):
    def averaged(cohort):
        parts = [both(cohort, f"etime {op} {t}") for t in range(200, 500, 20) for op in ("<", ">=")]
        numbers = known(*x.counts(*(both(p, OUT) for p in parts)))
        return sum(numbers) / (len(parts) / 2)
    return round(averaged('sex == "F"') - averaged(f'sex == "F" and not {TIM}'))


@attack("A17", "membership from tables of what is known (Homer; Shringarpure, Bustamante)", "outcome",
        "whether the victim is among those with the outcome")
def _(x):
    tables = x.run(*(f"table clinic {v} --where '(age >= 40 and age < 50 and sex == \"F\" and "
                     f"bmi >= 35) and outcome == {o}'" for v in ("ward", "dx") for o in (0, 1)))
    numbers = [t.get("counts") for t in tables]
    known(*numbers)
    ward0, ward1, dx0, dx1 = numbers
    return int(dx1[4] * (ward1[3] > 0) > dx0[4] * (ward0[3] > 0))


@attack("A18", "somebody or nobody", "has_c2", "that the second victim has C2")
def _(x):
    x.counts(both(UNA, 'dx == "C2"'), both(UNA, 'dx == "C1"'))
    a, b = (s.split(" -> ", 1)[1].replace("C1", "C2") for s in x.seen[-2:])
    return a != b


@attack("A68", "a set that is another one only with the secret", "has_c2",
        "that the second victim has C2")
def _(x):
    x.counts('sex == "F"', f'sex == "F" or ({UNA} and dx == "C2")')
    first, second = (s.split('"released"', 1)[-1] for s in x.seen[-2:])
    return first != second


@attack("A07", "a tracker by a linear system", "outcome", "the victim's outcome",
        residual=ROUNDED)
def _(x):
    return by_linear_system(x, 26, 7)


@attack("A16", "reconstruction from many random cohorts (Dinur, Nissim)", "outcome",
        "the victim's outcome",
        residual=ROUNDED)
def _(x):
    return by_linear_system(x, 40, 16)


if __name__ == "__main__":
    play(suite).end()
