"""Noise by policy over real nodes: counts, tables, means, linear and logistic models come out
near the truth by as much as they say, budgets end, and the same question is the same answer."""
import math
import random
import re
import sys

from lab import Checks, Lab

check = Checks()

CODEBOOK = """dataset: clinic
title: made for this test
count_unit: pid
variables:
  pid:
    type: identifier
  age:
    type: integer
    role: quasi_identifier
    bounds: [20, 90]
    grid: [%s]
  sex:
    type: categorical
    role: quasi_identifier
    levels: [male, female]
  pressure:
    type: real
    bounds: [60, 200]
  stroke:
    type: binary
  visits:
    type: integer
    bounds: [0, 12]
""" % ", ".join(str(a) for a in range(25, 90))

POLICY = """class: cautious
response_quantum_ms: 0
noise_mechanism: discrete_gaussian
rho_per_request: %s
rho_per_project: 2
rho_per_researcher: 2
rho_total: 2
"""

N = 24000


def poisson(rng, mean):
    limit, k, p = math.exp(-mean), 0, rng.random()
    while p > limit:
        k += 1
        p *= rng.random()
    return k


def people(seed):
    """(age, sex, pressure, stroke, visits): models that the fits must find again."""
    rng = random.Random(seed)
    rows = []
    for _ in range(N):
        age = rng.randint(20, 90)
        female = rng.random() < 0.5
        pressure = min(max(95 + 0.6 * age - 8 * female + rng.gauss(0, 12), 60), 200)
        eta = -3 + 0.04 * age + 0.5 * female
        stroke = rng.random() < 1 / (1 + math.exp(-eta))
        visits = min(poisson(rng, math.exp(-0.5 + 0.02 * age - 0.3 * female)), 12)
        rows.append((age, female, round(pressure, 2), int(stroke), visits))
    return rows


def write(home, rows):
    sites = []
    for i in range(3):
        path = home / f"site{i + 1}.csv"
        with open(path, "w", encoding="utf-8") as f:
            f.write("pid,age,sex,pressure,stroke,visits\n")
            for k, (age, female, pressure, stroke, visits) in enumerate(rows):
                if k % 3 == i:
                    f.write(f"{k},{age},{'female' if female else 'male'},{pressure},{stroke},"
                            f"{visits}\n")
        sites.append(path)
    return sites


def noised_lab(rows, rho):
    """A lab whose files are made in its own folder."""
    lab = Lab()
    (lab.home / "clinic.yaml").write_text(CODEBOOK)
    (lab.home / "noise.yaml").write_text(POLICY % rho)
    sites = write(lab.home, rows)
    lab.arguments = ["lab", "up", "--name", "test", "--codebook", str(lab.home / "clinic.yaml"),
                     "--policy", str(lab.home / "noise.yaml"), "--dir", str(lab.dir),
                     *map(str, sites)]
    return lab


def ask(lab, *words):
    a = lab.ask(words[0], "clinic", *words[1:])
    if a.status != 0:
        check(f"{' '.join(words)} is answered", False, a.out + a.err)
        sys.exit(1)
    return {name: item for name, item in a.json["items"].items()}


def flat(item):
    """A scalar, list or matrix as one list."""
    if isinstance(item, dict):
        return flat(item["values"])
    if isinstance(item, list):
        return [x for part in item for x in flat(part)]
    return [item]


def fits(name, z, n=None):
    """Sum of z squared where each should be a standard normal: p = 1e-6 on either side."""
    n = n or len(z)
    total = sum(x * x for x in z)
    high = n + 2 * math.sqrt(n * 13.8) + 2 * 13.8
    low = n - 2 * math.sqrt(n * 13.8)
    check(f"{name}: noise has the variance it says ({total:.1f} of {n})",
          max(low, 0) < total < high, f"z: {[round(x, 2) for x in z]}")


def test_counts(lab, rows):
    z = []
    for bound in range(30, 75):
        items = ask(lab, "count", "--where", f"age >= {bound}")
        truth = sum(1 for r in rows if r[0] >= bound)
        z.append((flat(items["patients"])[0] - truth) / flat(items["noise_sd"])[0])
    # 1 / (2 rho), in three shares of which two must do; each is rounded up
    sd = flat(items["noise_sd"])[0]
    check("a count's noise is what rho says", abs(sd - math.sqrt(3 * 251)) < 0.05, str(sd))
    fits("counts", z)
    check("and it is not always the same", len({round(x, 6) for x in z}) > 15)


def test_budget(lab):
    a = lab.noded(0, "policy", "spent")
    check("officers see what was spent", a.status == 0 and "patients patient: rho 0.045" in a.out
          and "45 questions" in a.out, a.out + a.err)
    a = lab.ask("count", "clinic", "--where", "age >= 80", "--dry-run")
    noise = a.json["rules"].get("noise", a.json.get("noise")) if a.status == 0 else None
    check("a dry run tells rho, epsilon and what is left", noise and noise["rho"] == 0.001
          and abs(noise["epsilon"] - 0.175) < 0.02 and noise["tenths_left"] == 9, a.out + a.err)
    a = lab.ask("budget")
    rows = a.json["budgets"] if a.status == 0 else []
    check("a researcher sees what is left, at every site", [r["site"] for r in rows] ==
          ["hospital_a", "hospital_b", "hospital_c"] and all(
              r["questions"] == {"asked": 45, "left": 1955} and
              abs(r["noise"]["rho"] - 0.001) < 1e-9 for r in rows), a.out + a.err)
    check("of each budget", all(r["noise"][k] == {"limit": 2, "left": 1.955} for r in rows for k in
                                ("permit", "researcher", "patients_less_yours")), a.out)
    a = lab.cohortium("budget", "clinic", "--profile", "lab-test")
    check("as a table", re.search(r"hospital_b +1955 \(45 asked\) +1.9550 of 2.0000", a.out),
          a.out + a.err)
    a = lab.cohortium("budget", "nowhere", "--profile", "lab-test")
    check("and of nothing else", a.status == 0 and "no permit of yours fits" in a.out, a.out)
    again = ask(lab, "count", "--where", "age >= 30")
    once = ask(lab, "count", "--where", "age >= 30")
    check("the same question is the same answer", again["patients"] == once["patients"])
    a = lab.noded(0, "policy", "spent")
    check("and free", "rho 0.045" in a.out and "45 questions" in a.out, a.out)


def test_table(lab, rows):
    items = ask(lab, "table", "sex * stroke")
    truth = [sum(1 for r in rows if r[1] == female and r[3] == stroke)
             for female in (False, True) for stroke in (0, 1)]
    sd = flat(items["noise_sd"])[0]
    fits("cells of a table", [(g - t) / sd for g, t in zip(flat(items["counts"]), truth)])
    # A share has a variance of four at least: then their sum is as good as one Gaussian.
    check("all cells together cost what a count costs", abs(sd - math.sqrt(12)) < 1e-9, str(sd))


def test_means(lab, rows):
    items = ask(lab, "describe", "pressure", "age", "visits", "--by", "sex")
    z = []
    for i, column in enumerate((2, 0, 4)):
        for g in range(2):
            x = [r[column] for r in rows if r[1] == bool(g)]
            mean = sum(x) / len(x)
            sd = math.sqrt(sum((v - mean) ** 2 for v in x) / (len(x) - 1))
            se = flat(items["se"])[2 * i + g]
            noise = math.sqrt(max(se ** 2 - sd ** 2 / len(x), 1e-30))
            z.append((flat(items["mean"])[2 * i + g] - mean) / noise)
            check(f"the spread of variable {i}, group {g} is near",
                  abs(flat(items["sd"])[2 * i + g] / sd - 1) < 0.2,
                  f"{flat(items['sd'])[2 * i + g]} for {sd}")
    fits("means", z)


def near(name, items, truth):
    coef, se, noise = flat(items["coef"]), flat(items["se"]), flat(items["se_noise"])
    z = [(b - t) / e for b, t, e in zip(coef, truth, se)]
    check(f"{name} finds its coefficients", all(abs(x) < 6 for x in z),
          f"{coef} for {truth}, se {se}")
    check(f"{name}: noise is a part of each error", all(0 < n < e for n, e in zip(noise, se)),
          f"{noise} of {se}")
    check(f"{name}: and errors are small enough to learn from",
          abs(coef[1]) > 3 * se[1], f"{coef[1]} +- {se[1]}")


def solve(a, b):
    """Gauss on a few rows, with pivots."""
    n = len(b)
    m = [list(a[i]) + [b[i]] for i in range(n)]
    for i in range(n):
        p = max(range(i, n), key=lambda k: abs(m[k][i]))
        m[i], m[p] = m[p], m[i]
        for k in range(n):
            if k != i:
                f = m[k][i] / m[i][i]
                m[k] = [x - f * y for x, y in zip(m[k], m[i])]
    return [m[i][n] / m[i][i] for i in range(n)]


def exact(rows, column, logistic):
    """Coefficients of 1, age and female without any noise, by Newton's steps."""
    beta = [0.0, 0.0, 0.0]
    for _ in range(7 if logistic else 1):
        h, s = [[0.0] * 3 for _ in range(3)], [0.0] * 3
        for r in rows:
            x = (1.0, r[0] / 50, float(r[1]))
            eta = sum(b * v for b, v in zip(beta, x))
            mu = 1 / (1 + math.exp(-eta)) if logistic else eta
            w = mu * (1 - mu) if logistic else 1.0
            for i in range(3):
                s[i] += x[i] * (r[column] - mu)
                for j in range(3):
                    h[i][j] += w * x[i] * x[j]
        beta = [b + d for b, d in zip(beta, solve(h, s))]
    return [beta[0], beta[1] / 50, beta[2]]


def test_noise_of_models(lab, rows):
    """Against the fits of the very rows: what is left is noise alone."""
    for name, column, words in (("lm", 2, ("lm", "pressure ~ age + sex")),
                                ("logistic", 3, ("glm", "stroke ~ age + sex", "--family",
                                                 "binomial"))):
        z = []
        for bound in range(26, 42, 2):
            items = ask(lab, *words, "--where", f"age >= {bound}")
            want = exact([r for r in rows if r[0] >= bound], column, name == "logistic")
            z.append((flat(items["coef"])[2] - want[2]) / flat(items["se_noise"])[2])
        fits(f"coefficients of {name}", z)


def test_models(lab):
    items = ask(lab, "lm", "pressure ~ age + sex")
    near("lm", items, [95, 0.6, -8])
    check("lm: sigma is near", abs(flat(items["sigma"])[0] / 12 - 1) < 0.2, str(items["sigma"]))
    near("logistic", ask(lab, "glm", "stroke ~ age + sex", "--family", "binomial"),
         [-3, 0.04, 0.5])
    near("poisson", ask(lab, "glm", "visits ~ age + sex", "--family", "poisson"),
         [-0.5, 0.02, -0.3])


def test_refused(lab):
    for words, why in (
            (("lm", "pressure ~ age - 1"), "leave `- 1` out"),
            (("glm", "stroke ~ age", "--family", "binomial", "--link", "probit"),
             "binomial with logit, and poisson"),
            (("glm", "pressure ~ age", "--family", "gaussian"), "for gaussian ask lm"),
            (("lm", "pressure ~ age", "--weights", "visits"), "leave --weights out")):
        a = lab.ask(words[0], "clinic", *words[1:])
        check(f"{' '.join(words)} is refused and says what to do",
              a.status != 0 and why in a.out + a.err, a.out + a.err)
    for _ in range(2):
        a = lab.ask("describe", "clinic", "pressure", "--where", "age >= 41")
        check("a budget's end is said before data are touched", a.status != 0
              and "privacy budget" in a.out + a.err and "rho_total is 2.0000" in a.out + a.err,
              a.out + a.err)


def main():
    rows = people(20260)
    with noised_lab(rows, 0.001) as lab:
        test_counts(lab, rows)
        test_budget(lab)
    with noised_lab(rows, 0.1) as lab:
        test_table(lab, rows)
        test_noise_of_models(lab, rows)
    with noised_lab(rows, 0.4) as lab:
        test_means(lab, rows)
        test_models(lab)
        test_refused_after(lab, rows)
    sys.exit(check.end())


def test_refused_after(lab, rows):
    """Four questions of 0.4 were asked of 2: a fifth has room, a sixth not."""
    ask(lab, "count", "--where", "age >= 40")
    test_refused(lab)
    a = ask(lab, "count", "--where", "age >= 40")
    truth = sum(1 for r in rows if r[0] >= 40)
    check("what was answered can still be had", abs(flat(a["patients"])[0] - truth) < 60)


if __name__ == "__main__":
    main()
