"""The honest workload: an ordinary study of heart disease, written down before it was run.

A made-up cohort of adults at three hospitals (45, 33 and 22 % of the patients, of different
regions), correlated and with missing values, and 200 questions about it as such a study asks
them, one after the other: who was recruited (50 counts), tables 1 (20 descriptions), frequencies
(90 tables), associations (40 regressions); about a third of them in a subgroup. A seed draws which
variables, levels and subgroups; nothing in it looks at data or at what is answered.

QUASI lists what an outsider may know, in the order in which it is marked: the first 4, 6 or 8.
"""
import random

SITES = (0.45, 0.33, 0.22)
QUASI = ("age", "sex", "region", "education", "marital", "occupation", "origin", "insurance")
LEVELS = {
    "sex": ("female", "male"),
    "region": ("north", "south", "east", "west"),
    "education": ("basic", "secondary", "university"),
    "marital": ("married", "single", "widowed"),
    "occupation": ("manual", "office", "own_business", "none"),
    "origin": ("native", "europe", "elsewhere"),
    "insurance": ("public", "private"),
    "smoker": ("never", "former", "current"),
    "dx": ("none", "angina", "infarct", "stroke"),
}
YES_NO = ("diabetes", "hypertension", "statin", "event")
NUMBERS = {"bmi": (10, 60), "sbp": (60, 260), "ldl": (0, 10), "hba1c": (3, 16), "visits": (0, 60)}
GROUPS = tuple(LEVELS) + YES_NO
CLINICAL = ("smoker", "dx") + YES_NO


# ---- the patients ----

def codebook(marked):
    lines = ["dataset: heart", "title: made up for a benchmark", "count_unit: patient", "variables:",
             "  patient: {type: identifier}"]

    def variable(name, text):
        role = ("quasi_identifier" if name in QUASI[:marked] else
                "sensitive" if name == "event" else "ordinary")
        lines.append(f"  {name}: {{{text}, role: {role}}}")

    variable("age", "type: integer, unit: year, bounds: [18, 110], grid: [40, 50, 60, 70, 80]")
    for name, levels in LEVELS.items():
        variable(name, f"type: categorical, levels: [{', '.join(levels)}]")
    for name in YES_NO:
        variable(name, "type: binary")
    for name, (lower, upper) in NUMBERS.items():
        kind = "integer" if name == "visits" else "real"
        variable(name, f"type: {kind}, bounds: [{lower}, {upper}]")
    return "\n".join(lines) + "\n"


def patient(draw, site):
    def one(name, weights):
        return draw.choices(LEVELS[name], weights)[0]

    age = int(draw.triangular(20, 92, 62))
    p = {"age": age, "sex": one("sex", (52, 48)),
         "region": one("region", [(60, 20, 12, 8), (15, 55, 20, 10), (10, 20, 40, 30)][site]),
         "education": one("education", (45, 42, 13) if age >= 65 else (22, 52, 26)),
         "marital": one("marital", (55, 10, 35) if age >= 70 else (58, 37, 5)),
         "origin": one("origin", (82, 11, 7))}
    p["occupation"] = one("occupation", (3, 5, 4, 88) if age >= 66 else (33, 43, 9, 15))
    p["insurance"] = one("insurance", (72, 28) if p["education"] == "university" else (93, 7))
    p["smoker"] = one("smoker", (45, 40, 15) if age >= 60 else (48, 24, 28))
    bmi = draw.gauss(26.5 + (0.8 if p["education"] == "basic" else 0), 4.2)
    sbp = draw.gauss(112 + 0.35 * age + 0.6 * (bmi - 26), 15)
    risk = (age - 60) / 25 + (bmi - 26) / 12
    p["diabetes"] = int(draw.random() < min(0.6, max(0.02, 0.12 + 0.1 * risk)))
    p["hypertension"] = int(sbp > 140 or draw.random() < 0.15)
    p["dx"] = one("dx", (70 - 12 * risk, 14 + 5 * risk, 10 + 4 * risk, 5 + 2 * risk))
    p["statin"] = int(draw.random() < (0.7 if p["dx"] != "none" else 0.22))
    p["event"] = int(draw.random() < min(0.7, max(0.02, 0.1 + 0.1 * risk + 0.06 * p["diabetes"]
                                                  + 0.05 * (p["smoker"] == "current"))))
    p["bmi"] = round(min(59, max(13, bmi)), 1)
    p["sbp"] = round(min(250, max(70, sbp)))
    p["ldl"] = round(min(9, max(0.6, draw.gauss(3.4 - 0.8 * p["statin"], 0.9))), 1)
    p["hba1c"] = round(min(15, max(4, draw.gauss(5.4 + 1.6 * p["diabetes"], 0.5))), 1)
    p["visits"] = min(60, int(draw.expovariate(1 / (2.5 + 2 * p["diabetes"]))))
    for name, share in (("ldl", 0.06), ("hba1c", 0.09), ("smoker", 0.02), ("education", 0.02)):
        if draw.random() < share:
            p[name] = ""
    return p


def write_sites(folder, n, seed):
    """The CSV files of the sites; the same patients for the same n and seed."""
    paths, columns = [], ("age",) + GROUPS + tuple(NUMBERS)
    for site, share in enumerate(SITES):
        draw = random.Random(f"patients {n} {seed} {site}")
        paths.append(folder / f"site{site}.csv")
        with open(paths[-1], "w") as f:
            print("patient", *columns, sep=",", file=f)
            for i in range(round(n * share)):
                p = patient(draw, site)
                print(f"{site}-{i}", *(p[c] for c in columns), sep=",", file=f)
    return paths


# ---- the questions ----

class Study:
    def __init__(self, seed):
        self.draw = random.Random(f"questions {seed}")
        self.questions = []  # (kind, command line)

    def condition(self, variable):
        d = self.draw
        if variable == "age":
            return d.choice(("age >= 50", "age >= 60", "age >= 70", "age < 50", "age < 60",
                             "age >= 40 and age < 60", "age >= 50 and age < 70",
                             "age >= 60 and age < 80"))
        if variable in LEVELS:
            return f"{variable} == '{d.choice(LEVELS[variable])}'"
        if variable in YES_NO:
            return f"{variable} == {d.choice((1, 1, 0))}"
        return f"{variable} >= " + d.choice(
            {"bmi": ("25", "30"), "sbp": ("140", "160"), "ldl": ("3", "4"), "hba1c": ("6.5",),
             "visits": ("1", "5")}[variable])

    def conditions(self, n, but=()):
        """Of different variables, half of them demographic."""
        names = []
        while len(names) < n:
            name = self.draw.choice(self.draw.choice((QUASI, CLINICAL + tuple(NUMBERS))))
            if name not in names and name not in but:
                names.append(name)
        return " and ".join(self.condition(name) for name in names)

    def ask(self, kind, words, cohort=None):
        line = words + (f' --where "{cohort}"' if cohort else "")
        if all(line != old for _, old in self.questions):
            self.questions.append((kind, line))
            return True
        return False

    def some(self, n, make):
        """n new questions; one that was asked before is drawn again."""
        for _ in range(n):
            while not make():
                pass

    def subgroup(self, share, but=()):
        return self.conditions(1, but) if self.draw.random() < share else None

    def count(self, n_conditions):
        cohort = self.conditions(n_conditions) if n_conditions else None
        return self.ask("count", "count heart", cohort)

    def describe(self):
        d = self.draw
        names = d.sample(("age", "bmi", "sbp", "ldl", "hba1c", "visits", "sex", "smoker",
                          "education", "dx"), d.choice((1, 2, 3)))
        by = d.choice([g for g in ("sex", "smoker", "diabetes", "statin", "hypertension", "event")
                       if g not in names])
        return self.ask("table 1", f"describe heart {' '.join(names)} --by {by}",
                        self.subgroup(0.3, (*names, by)))

    def table(self, n_variables, share):
        """An exposure or an outcome against anything."""
        names = [self.draw.choice(CLINICAL)]
        names += self.draw.sample([g for g in GROUPS if g not in names], n_variables - 1)
        names.sort(key=GROUPS.index)  # a * b and b * a are one question
        return self.ask(f"table of {n_variables}", f'table heart "{" * ".join(names)}"',
                        self.subgroup(share, names))

    def regression(self, family):
        """An outcome on an exposure, for age and sex and up to three more."""
        d = self.draw
        outcome = d.choice({"lm": ("sbp", "ldl", "hba1c", "bmi"),
                            "binomial": ("event", "event", "diabetes", "hypertension"),
                            "poisson": ("visits",)}[family])
        exposure = d.choice([e for e in ("smoker", "diabetes", "statin", "bmi", "education", "dx")
                             if e != outcome])
        more = d.sample([c for c in ("region", "education", "occupation", "smoker", "bmi", "sbp",
                                     "hypertension", "insurance", "marital", "ldl")
                         if c not in (outcome, exposure)], d.randrange(4))
        words = "lm heart" if family == "lm" else "glm heart"
        words += f' "{outcome} ~ {" + ".join([exposure, "age", "sex"] + more)}"'
        if family != "lm":
            words += f" --family {family}"
        but = [outcome, exposure, "age", "sex"] + more
        return self.ask("regression", words, self.subgroup(0.3, but))


def questions(seed):
    s = Study(seed)
    s.some(1, lambda: s.count(0))
    s.some(9, lambda: s.count(1))
    s.some(20, lambda: s.count(2))
    s.some(20, lambda: s.count(3))
    s.some(20, s.describe)
    s.some(45, lambda: s.table(2, 0))
    s.some(20, lambda: s.table(2, 1))
    s.some(25, lambda: s.table(3, 0))
    s.some(14, lambda: s.regression("lm"))
    s.some(18, lambda: s.regression("binomial"))
    s.some(8, lambda: s.regression("poisson"))
    return s.questions


if __name__ == "__main__":
    for kind, line in questions(1):
        print(f"{kind:12} {line}")
