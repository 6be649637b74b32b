"""attack.py - a victim in the data, an attack in two worlds, and who learned what.

Two consortia differ in nothing but the victims' secrets. An attack sees what a researcher with a
valid permit sees, and ends in a guess. It succeeds where its guess is right in both worlds. Without
defences (a lab's class testing) every attack must succeed. Under the standard policy none may; which
answers are given and which are withheld must be the same in both worlds, and every byte must be,
unless the attack states a residual: rounded numbers over many patients, of whom the victim is one.
"""
import concurrent.futures
import json
import pathlib
import random
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
from lab import Checks, Lab, NODED, SOURCE  # noqa: E402

PATIENTS = 150  # a site
CODEBOOK = pathlib.Path(__file__).parent / "clinic.yaml"
NAMES = "patient,age,sex,bmi,dx,smoker,outcome,etime,cost,ward,hiv,admitted".split(",")

# What an attacker knows of them: cells of the codebook's grids in which they are alone.
TIM = '(age >= 40 and age < 50 and sex == "F" and bmi >= 40)'  # the only one with C3
UNA = '(age >= 60 and age < 70 and sex == "M" and bmi >= 40)'  # has C2, or does not
VIC = '(age < 30 and sex == "F" and bmi >= 40)'                # has twelve rows
OLD = '(age >= 70 and sex == "M" and bmi >= 40)'               # fourteen, all alike, or not

# The secrets, by world.
SECRETS = [
    {"bmi": 51.3, "outcome": 1, "etime": 175, "cost": 250000, "day": "2024-05-17",
     "has_c2": True, "cost_of_vic": 4321, "old_all": True},
    {"bmi": 48.6, "outcome": 0, "etime": 402, "cost": 180000, "day": "2024-09-06",
     "has_c2": False, "cost_of_vic": 2468, "old_all": False},
]


# ---- the data ----

def is_alone(age, sex, bmi):
    """Cells that hold the victims alone, and the group that is all alike."""
    return bmi >= 40 and ((sex == "F" and (40 <= age < 50 or age < 30)) or
                          (sex == "M" and age >= 60))


def others(rng, site):
    rows = []
    while len(rows) < PATIENTS:
        age, sex = rng.randint(20, 84), rng.choice("FM")
        bmi = round(min(max(rng.gauss(29, 7), 14), 44.9), 1)
        if is_alone(age, sex, bmi):
            continue
        rows.append([f"p{site}x{len(rows)}", age, sex, bmi, rng.choice(["A", "A", "B", "C1"]),
                     rng.randint(0, 1), int(rng.random() < 0.45), rng.randint(20, 700),
                     rng.randint(50, 150), rng.choice(["W1", "W2", "W3", "W4"]),
                     int(rng.random() < 0.3),
                     f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"])
    return rows


def world(which):
    """Rows of three sites; all victims are at the first."""
    rng, secret = random.Random(20), SECRETS[which]
    sites = [others(rng, s) for s in range(3)]
    sites[0].append(["tim", 47, "F", secret["bmi"], "C3", 1, secret["outcome"], secret["etime"],
                     secret["cost"], "W4", 0, secret["day"]])
    sites[0].append(["una", 63, "M", 42.5, "C2" if secret["has_c2"] else "A", 0, 1, 300, 100,
                     "W2", 0, "2024-03-05"])
    sites[0] += [["vic", 24, "F", 41.7, "B", 0, 0, 250, secret["cost_of_vic"], "W1", 0,
                  "2024-02-11"]] * 12
    for i in range(14):  # what these have less in the other world, fourteen others have more
        sites[i % 3].append([f"old{i}", 70 + i, "M", 43.1, "A", i % 2, i % 3 == 0, 200 + i, 90,
                             "W3", int(secret["old_all"] or i < 7), "2024-07-20"])
        sites[i % 3].append([f"odd{i}", 52 + i % 8, "F", 27.5, "A", i % 2, i % 3 == 0, 150 + i,
                             90, "W3", int(not secret["old_all"] and i >= 7), "2024-08-20"])
    return sites


for which, secret in enumerate(SECRETS):
    secret["n_outcome"] = len({r[0] for site in world(which) for r in site if r[6] == 1})


def write(rows, path):
    path.write_text("\n".join(",".join(str(int(x) if isinstance(x, bool) else x) for x in r)
                              for r in [NAMES, *rows]) + "\n")
    return path


# ---- what the attacker sees ----

class Attacker:
    """A researcher with a valid permit; everything that is seen is kept."""

    def __init__(self, lab, which, profile="lab-test"):
        self.lab, self.which, self.profile, self.seen = lab, which, profile, []

    def knows(self, of_the_victim):
        """What this attacker knew before."""
        return SECRETS[self.which][of_the_victim]

    def run(self, *questions):
        """Each question as the researcher's tool takes it; the answers as JSON."""
        a = self.lab.cohortium("run", "-", "--json", "--keep-going", "--no-save", "--profile",
                               self.profile, stdin="\n".join(questions) + "\n", timeout=120)
        answers = [json.loads(line) for line in a.out.splitlines()]
        if len(answers) != len(questions):
            raise SystemExit(f"{len(questions)} questions, {len(answers)} answers:\n{a.err}")
        for q, answer in zip(questions, answers):
            for name in ("receipt", "witnessed", "witnesses", "reference"):
                answer.pop(name, None)
            if "error" in answer:  # sites speak in the order of their random ids
                parts = answer["error"]["text"].split("; ")
                answer["error"]["text"] = "; ".join(sorted(parts))
            text = re.sub(r"reference [0-9a-f]+", "reference", json.dumps(answer))
            self.seen.append(f"{q} -> {text}")
        return [a.get("items") or {} for a in answers]

    def ask(self, question):
        return self.run(question)[0]

    def counts(self, *cohorts):
        return [a.get("patients") for a in
                self.run(*(f"count clinic --where '{c}'" for c in cohorts))]

    def count(self, cohort):
        return self.counts(cohort)[0]

    def mean(self, variable, cohort=None, weight=None):
        """Mean and n of one variable."""
        where = f" --where '{cohort}'" if cohort else ""
        a = self.ask(f"describe clinic {variable}{where}")
        return first(a.get("mean")), first(a.get("n"))

    def first_below(self, cohort, variable, low, high, step):
        """By bisection over counts: the value of the one patient in the cohort."""
        while high - low > step * 1.5:
            middle = low + step * round((high - low) / step / 2)
            n = self.count(f"{cohort} and {variable} < {middle:.10g}")
            if n is None:
                return None
            low, high = (low, middle) if n > 0 else (middle, high)
        return low


def first(x):
    return x[0] if isinstance(x, list) and x else x


def known(*numbers):
    """Raises where one is withheld: the attack is stuck."""
    for x in numbers:
        if None in flat(x):
            raise Stuck
    return numbers if len(numbers) > 1 else numbers[0]


class Stuck(Exception):
    pass


# ---- attacks ----

ROUNDED = "rounded numbers"  # over ten patients or more


class Attack:
    def __init__(self, ids, name, secret, learned, within, residual, how):
        self.ids, self.name, self.secret, self.learned = ids, name, secret, learned
        self.within, self.residual, self.how = within, residual, how

    def try_it(self, attacker):
        """The guess, or None, and all that was seen."""
        before = len(attacker.seen)
        try:
            guess = self.how(attacker)
        except Stuck:
            guess = None
        return guess, attacker.seen[before:]

    def is_right(self, guess, which):
        truth = SECRETS[which][self.secret]
        if guess is None:
            return False
        return guess == truth if isinstance(truth, str) else abs(guess - truth) <= self.within


class Suite:
    """The attacks of one script."""

    def __init__(self):
        self.attacks = []

    def attack(self, ids, name, secret, learned, within=0, residual=None):
        def add(how):
            self.attacks.append(Attack(ids, name, secret, learned, within, residual, how))
            return how
        return add


def raise_worlds(policy, folder, use, sites=world):
    """What use(attacker) returned in a consortium of each world, both at once."""
    def one(which):
        files = [write(rows, folder / f"world{which}_{i}_{policy}.csv".replace("/", "_"))
                 for i, rows in enumerate(sites(which))]
        with Lab(policy=str(policy), codebook=CODEBOOK, sites=files) as lab:
            return use(Attacker(lab, which))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, (0, 1)))


def reasons(lab):
    """Rules that a site's own log names, oldest first."""
    found = []
    for i in range(3):
        for line in lab.records(i):
            if "  question " in line or "  invalid " in line:
                found += re.findall(r"\b(R\d+|0\.4|off_grid)\b", line.split("  ", 6)[-1])
    return sorted(set(found))


def honest(attacker):
    """An ordinary researcher meanwhile."""
    return attacker.run("count clinic", "table clinic 'sex * smoker'", "describe clinic etime",
                        "lm clinic 'etime ~ age + sex'",
                        "glm clinic 'smoker ~ age + sex' --family binomial")


def without_numbers(seen):
    """What is given and what is withheld; a name holds its digits."""
    question, answer = seen.split(" -> ", 1)
    return question, re.sub(r"(?<![\w.\"-])-?\d+(\.\d+)?(e[-+]?\d+)?", "#", answer)


def play(suite, defended="cautious", prepare=None):
    """Every attack without and with defences; what held. --bare: without alone."""
    check = Checks()
    bare_alone = "--bare" in sys.argv

    def use(attacker):
        first = honest(attacker)
        if prepare is not None:
            prepare(attacker)
        tried = [a.try_it(attacker) for a in suite.attacks]
        return tried, first, honest(attacker), reasons(attacker.lab)

    with tempfile.TemporaryDirectory(prefix="cohortium-test-") as scratch:
        folder = pathlib.Path(scratch)
        bare = raise_worlds("exact-for-testing", folder, use)
        held = bare if bare_alone else raise_worlds(defended, folder, use)
    for i, attack in enumerate(suite.attacks):
        judge_bare(check, attack, [w[0][i] for w in bare])
        if not bare_alone:
            judge_held(check, attack, [w[0][i] for w in held])
    check_table(check, suite.attacks)
    if not bare_alone:
        for _, before, after, _ in held:
            check("an ordinary study is answered", all(known_somewhere(a) for a in before), before)
            check("and again after all attacks, the same", after == before, after)
        print("rules that the sites' logs name:", " ".join(held[0][3]))
    return check


def known_somewhere(items):
    numbers = [x for k, v in items.items() if k in ("patients", "counts", "mean", "coef")
               for x in flat(v)]
    return bool(numbers) and None not in numbers


def flat(x):
    return [v for part in x for v in flat(part)] if isinstance(x, list) else [x]


def told(tried):
    return "".join(f"\n        guess {guess}: {'; '.join(seen)[-900:]}" for guess, seen in tried)


def judge_bare(check, attack, bare):
    check(f"{attack.ids} {attack.name}: without defence it learns {attack.learned}",
          all(attack.is_right(guess, w) for w, (guess, _) in enumerate(bare)), told(bare))


def judge_held(check, attack, held):
    what = f"{attack.ids}: defended"
    check(f"{what} it does not",
          not all(attack.is_right(guess, w) for w, (guess, _) in enumerate(held)), told(held))
    pairs = list(zip(held[0][1], held[1][1]))
    shapes = [p for p in pairs if without_numbers(p[0]) != without_numbers(p[1])]
    check(f"{what} the same is withheld whatever the secret", not shapes and
          len(held[0][1]) == len(held[1][1]), shapes[:2])
    if attack.residual is None:
        differ = [p for p in pairs if p[0] != p[1]]
        check(f"{what} every byte is the same whatever the secret", not differ, differ[:2])


# ---- the table in README.md ----

def check_table(check, attacks):
    script = pathlib.Path(sys.argv[0]).name
    readme = (pathlib.Path(__file__).parent / "README.md").read_text()
    rows = [f"| {a.ids} | {a.name} | {a.learned} | "
            f"nothing{f' ({a.residual})' if a.residual else ''} | {script} |"
            for a in attacks]
    missing = [row for row in rows if row not in readme.splitlines()]
    check("each attack has its row in README.md", not missing, "\n" + "\n".join(missing))
