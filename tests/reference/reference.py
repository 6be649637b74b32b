"""reference.py - R's answers against ours, over a real consortium.

usage: reference.py [--split NAME] [--selftest] DIR...

For each folder: our codebook is written from codebook.json (roles ordinary, bounds wide), derived
columns are joined by rid, a lab is started from the split under exact-for-testing, every entry's
question is asked through the real command line, and every field that we offer is compared within
the entry's tolerance class. One line an entry:

    dataset id pass|fail|unsupported|refused digits [not offered: fields]

then a summary line. Exit status 1 if an entry failed or was refused.
"""
import argparse
import csv
import fractions
import json
import math
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "federation"))
from lab import Lab  # noqa: E402

TOLERANCE = {"exact": 1e-12, "irls": 1e-10, "newton": 1e-9, "iterative": 1e-7}
LOOSER = {"p": 1e-10, "p_F": 1e-10, "p_yates": 1e-10, "lr_p": 1e-10}
ANALYSES = {"count_rows", "crosstab", "describe_numeric", "describe_categorical",
            "describe_by_group", "lm", "glm"}
DIGITS_MAX = 16.0
# Certified values: 13 digits, but where the data are no doubles (1000000.4) and their rounding
# alone moves the answer.
NIST = {"smls04": 1e-10}
# What counts nothing about our numbers: R's own way to them.
PROCESS = {"iterations", "max_abs_score", "event_is", "odds_ratio_note"}


# ---- our codebook of a reference folder ----

def wide(low, high, positive):
    """Bounds well beyond the data, on round numbers; positive ones stay positive for log()."""
    span = max(abs(low), abs(high), high - low, 1e-6)
    power = 10.0 ** math.floor(math.log10(span * 1.5))
    top = next(power * k for k in (1, 2, 5, 10) if power * k >= span * 1.5)
    if low > 0 and positive:
        return 10.0 ** math.floor(math.log10(low / 10)), top
    return (0 if low >= 0 else -top), top


def variable(c, logged):
    name, kind = c["name"], c["type"]
    if kind in ("categorical", "ordered"):
        levels = ", ".join(json.dumps(x) for x in c["levels"])
        return f"  - {{name: {name}, type: {kind}, levels: [{levels}]}}"
    if kind == "binary":
        return f"  - {{name: {name}, type: binary}}"
    low, high = wide(float(c["min"]), float(c["max"]), name in logged)
    if kind == "integer" and name in FACTORS:
        low, high = int(c["min"]), int(c["max"])
    elif kind == "integer":
        low, high = (max(1, math.ceil(low)) if name in logged and c["min"] > 0
                     else math.floor(low)), math.ceil(high)
    return (f"  - {{name: {name}, type: {kind}, bounds: [{plain(low)}, {plain(high)}]}}")


def plain(x):
    return str(int(x)) if float(x).is_integer() and abs(x) < 1e15 else format(x, ".17g")


FACTORS = set()


def write_codebook(path, name, columns, logged):
    lines = [f"dataset: {name}", "count_unit: rid", "variables:",
             "  - {name: rid, type: identifier, role: direct_identifier}"]
    lines += [variable(c, logged) for c in columns if c["type"] != "id"]
    path.write_text("\n".join(lines) + "\n")


def read_rows(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def write_rows(path, names, rows):
    with open(path, "w", newline="", encoding="utf-8") as f:
        w = csv.DictWriter(f, names, lineterminator="\n")
        w.writeheader()
        w.writerows(rows)


# ---- questions ----

def where_of(subset):
    if subset is None:
        return []
    m = re.fullmatch(r"!is\.na\((\w+)\)", subset)
    return ["--where", f"is not missing({m.group(1)})" if m else subset]


def question(name, e):
    o, a = e.get("options") or {}, e["analysis"]
    if a == "count_rows":
        return ["count", name]
    if a == "crosstab":
        return ["table", name, " * ".join(re.findall(r"\w+", e["formula"]))]
    if a in ("describe_numeric", "describe_categorical"):
        return ["describe", name, o["variable"]]
    if a == "describe_by_group":
        what, by = re.findall(r"\w+", e["id"].split(":", 1)[1])
        return ["describe", name, what, "--by", by]
    words = [a, name, e["formula"]]
    if a == "glm":
        words += ["--family", o["family"], "--link", o["link"]]
    if o.get("weights"):
        words += ["--weights", o["weights"]]
    return words + where_of(o.get("subset"))


def quoted(words):
    return " ".join("'" + w.replace("'", "'\\''") + "'" for w in words)


# ---- comparing ----

class Comparison:
    def __init__(self):
        self.digits = DIGITS_MAX
        self.wrong, self.missing = [], []
        self.compared = 0

    def number(self, field, got, want, tolerance):
        if want in ("Inf", "-Inf"):
            want = math.inf if want == "Inf" else -math.inf
        if want is None or got is None:
            if not (want is None and got is None):
                self.wrong.append(f"{field}: {got} for {want}")
            return
        if isinstance(want, str) or isinstance(got, str):
            if str(want) != str(got):
                self.wrong.append(f"{field}: {got} for {want}")
            return
        if math.isinf(want):  # an exact fit: its residual is a rounding error at most
            if not (math.isinf(got) or got * math.copysign(1, want) > 1e15):
                self.wrong.append(f"{field}: {got} for {want}")
            return
        error = abs(got - want) / (abs(want) + 1e-300) if want != 0 else abs(got)
        if want != 0:
            self.digits = min(self.digits, DIGITS_MAX if error == 0 else -math.log10(error))
        if error > tolerance and abs(got - want) > 1e-300:
            self.wrong.append(f"{field}: {got!r} for {want!r}")

    def verdict(self):
        """An answer of which nothing could be compared has not passed."""
        if self.compared == 0:
            self.wrong.append("nothing that was asked for is in the answer")
        return "fail" if self.wrong else "pass"

    def value(self, field, got, want, tolerance):
        self.compared += 1
        if isinstance(want, list):
            if not isinstance(got, list):
                got = [got]
            if len(got) != len(want):
                self.wrong.append(f"{field}: {len(got)} values for {len(want)}")
                return
            for g, w in zip(got, want):
                self.value(field, g, w, tolerance)
        else:
            self.number(field, got[0] if isinstance(got, list) and len(got) == 1 else got,
                        want, tolerance)


def flat(x):
    return [y for z in x for y in flat(z)] if isinstance(x, list) else [x]


RENAMED = {("crosstab", "counts"): "row_counts", ("count_rows", "rows"): "rows",
           ("describe_categorical", "counts"): "row_counts:{v}",
           ("describe_categorical", "levels"): "levels:{v}",
           ("describe_categorical", "proportions"): "proportions:{v}"}


def compare(e, items):
    """Every field that our answer has; the names of those it has not."""
    c, v = Comparison(), (e.get("options") or {})
    v = v.get("variable") if isinstance(v, dict) else None
    fields = dict(e["result"])
    anova = fields.pop("anova_seq", None)
    for part, values in (anova or {}).items():
        fields[f"anova_{part}"] = values
    for field, want in fields.items():
        name = RENAMED.get((e["analysis"], field), field).format(v=v)
        if field in PROCESS or want == []:  # R's own way to it, or nothing to compare
            continue
        tolerance = LOOSER.get(field, 0) if e["tolerance"] == "exact" else 0
        tolerance = max(tolerance, TOLERANCE[e["tolerance"]])
        if name not in items or isinstance(want, dict):
            c.missing.append(field)
            continue
        got = items[name]
        if field == "vcov":
            k = math.isqrt(len(flat([got])))
            got = [flat([got])[i * k:(i + 1) * k] for i in range(k)]
        if field == "vcov" and any(x is None for x in flat(items.get("coef", []))):
            keep = [i for i, x in enumerate(flat(items["coef"])) if x is not None]
            if len(got) > len(keep):
                got = [[got[i][j] for j in keep] for i in keep]
        if e["analysis"].startswith("describe") and isinstance(got, list):
            got = flat(got)
            if not isinstance(want, list):
                got = got[0] if len(got) == 1 else got
        if field == "vcov":  # an entry's scale is that of its row and column: within [1, 3]
            se = [math.sqrt(want[i][i]) for i in range(len(want))]
            got = [[g / (se[i] * se[j]) + 2 for j, g in enumerate(r)] for i, r in enumerate(got)]
            want = [[w / (se[i] * se[j]) + 2 for j, w in enumerate(r)] for i, r in enumerate(want)]
        c.value(field, got, want, tolerance)
    return c


def exact_mean(rows, name):
    """The mean of a column in rational arithmetic, for one that is rounding error in R."""
    values = [fractions.Fraction(float(r[name])) for r in rows if r[name] != ""]
    return float(sum(values) / len(values))


def settle_mean(e, rows, c, items):
    """A centred column's mean is 1e-16 and R's own rounding error: then the exact one counts."""
    if len(c.wrong) != 1 or not c.wrong[0].startswith("mean:") or abs(e["result"]["mean"]) > \
            1e-12 * e["result"]["sd"]:
        return c
    again = Comparison()
    again.missing = c.missing
    again.value("mean", flat(items["mean"]), [exact_mean(rows, e["options"]["variable"])],
                TOLERANCE["exact"])
    return again


def separated(document):
    return any("no finite estimate" in n for n in document.get("notes", []))


def judge(e, document, rows=()):
    if "error" in document or not document.get("released", True):
        if "separation" in e["id"] and separated(document):
            return "pass", Comparison()
        return "refused", None
    if "separation" in e["id"]:
        return ("pass" if separated(document) else "fail"), Comparison()
    c = compare(e, document["items"])
    if e["analysis"] == "describe_numeric" and rows:
        c = settle_mean(e, rows, c, document["items"])
    return c.verdict(), c


# ---- a folder ----

def run_questions(lab, questions):
    """One `cohortium run` for all; a document or an error a question."""
    with tempfile.NamedTemporaryFile("w", suffix=".questions") as f:
        f.write("\n".join(quoted(q) for q in questions) + "\n")
        f.flush()
        a = lab.cohortium("run", f.name, "--profile", "lab-test", "--json", "--keep-going",
                          "--no-save", timeout=900)
    documents = [json.loads(line) for line in a.out.splitlines() if line.startswith("{")]
    if len(documents) == len(questions):
        return documents
    out = []  # an error has no document: ask one by one, so that each is paired with its own
    for q in questions:
        b = lab.cohortium(*q, "--profile", "lab-test", "--json", "--no-save", timeout=120)
        try:
            out.append(json.loads(b.out))
        except ValueError:
            out.append({"error": (b.err or b.out).strip()})
    return out


def report(name, e, verdict, c, why=""):
    line = f"{name} {e['id']!r} {verdict}"
    if c is not None:
        line += f" {c.digits:.1f}"
        if c.missing:
            line += " [not offered: " + " ".join(c.missing) + "]"
        if c.wrong:
            line += " WRONG: " + "; ".join(c.wrong[:3])
    if why:
        line += " " + str(why)[:300].replace("\n", " ")
    print(line, flush=True)


def reference_folder(folder, split, tally):
    codebook = json.loads((folder / "codebook.json").read_text())
    name = codebook["dataset"]
    s = codebook["splits"].get(split)
    if s is None:
        print(f"{name} has no {split}")
        return
    nasty = s.get("same_pooled_data") is False
    expected = json.loads((folder / (s.get("expected", "expected.json"))).read_text())
    entries = expected["results"]
    columns = list(codebook["columns"])
    derived = {}
    if expected.get("derived_columns"):
        columns += expected["derived_columns"]
        file = "derived_nasty.csv" if nasty else "derived.csv"
        derived = {r["rid"]: r for r in read_rows(folder / file)}
    asked = [e for e in entries if e["analysis"] in ANALYSES]
    texts = " ".join(str(e.get("formula")) for e in asked)
    logged = set(re.findall(r"log\((\w+)\)", texts))
    gamma = [e for e in asked if (e.get("options") or {}) and isinstance(e["options"], dict)
             and e["options"].get("family") == "Gamma"]
    logged |= {e["formula"].split("~")[0].strip() for e in gamma if not e["options"]["subset"]}
    FACTORS.clear()
    FACTORS.update(re.findall(r"factor\((\w+)\)", texts))
    for e in asked:
        if e["analysis"] == "crosstab":
            FACTORS.update(re.findall(r"\w+", e["formula"]))
        elif e["analysis"] == "describe_by_group":
            FACTORS.add(re.findall(r"\w+", e["id"].split(":", 1)[1])[1])
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        write_codebook(tmp / "codebook.yaml", name, columns, logged)
        files, everybody = [], []
        for i, site in enumerate(s["sites"]):
            rows = read_rows(folder / site["file"])
            names = [c["name"] for c in columns]
            for r in rows:
                r.update(derived.get(r["rid"], {}))
            everybody += rows
            files.append(tmp / f"site{i + 1}.csv")
            write_rows(files[-1], names, rows)
        with Lab(policy="exact-for-testing", sites=files, codebook=tmp / "codebook.yaml") as lab:
            documents = run_questions(lab, [question(name, e) for e in asked])
    answers = {e["id"]: d for e, d in zip(asked, documents)}
    for e in entries:
        if e["analysis"] not in ANALYSES:
            tally["unsupported"] += 1
            report(name, e, "unsupported", None)
            continue
        verdict, c = judge(e, answers[e["id"]], everybody)
        tally[verdict] += 1
        report(name, e, verdict, c, answers[e["id"]].get("error", "") if c is None else "")


# ---- NIST ----

def nist_folder(folder, split, tally):
    cert = json.loads((folder / "certified.json").read_text())
    name = folder.name.lower()
    if split not in cert["splits"]:
        print(f"nist/{folder.name} has no {split}")
        return
    rows = read_rows(folder / "pooled.csv")
    columns = []
    for c in rows[0]:
        if c == "rid":
            continue
        values = [r[c] for r in rows if r[c] != ""]
        if c == "treatment":
            columns.append({"name": c, "type": "categorical", "levels": sorted(set(values))})
        else:
            numbers = [float(x) for x in values]
            columns.append({"name": c, "type": "real", "min": min(numbers), "max": max(numbers)})
    formula = cert.get("formula")
    certified = cert["certified"]
    if formula is None or "~" not in formula or "coef" not in certified and "F" not in certified:
        words = ["describe", name, "y"]
    else:
        words = ["lm", name, formula]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        FACTORS.clear()
        write_codebook(tmp / "codebook.yaml", name, columns, set())
        files = [folder / s["file"] for s in cert["splits"][split]["sites"]]
        with Lab(policy="exact-for-testing", sites=files, codebook=tmp / "codebook.yaml") as lab:
            document = run_questions(lab, [words])[0]
    e = {"id": f"nist {words[0]}"}
    if "error" in document:
        tally["refused"] += 1
        report(name, e, "refused", None, document["error"])
        return
    items, c = document["items"], Comparison()
    pairs = {"coef": "coef", "se": "se", "residual_sd": "sigma", "r_squared": "r_squared",
             "F": "F", "mean": "mean", "sd": "sd"}
    for theirs, ours in pairs.items():
        if theirs in certified and ours in items:
            want = certified[theirs]
            want = [float(x) for x in want] if isinstance(want, list) else float(want)
            got = flat(items[ours])
            if not isinstance(want, list):
                got = got[0]
            exact_fit = not any(flat([want]))  # certified 0: what is left is rounding
            c.value(theirs, got, want, 1e-9 if exact_fit else NIST.get(name, 1e-13))
    verdict = c.verdict()
    tally[verdict] += 1
    report(name, e, verdict, c)


def selftest():
    """A wrong number must fail, a right one pass."""
    e = {"id": "x", "analysis": "lm", "tolerance": "exact", "result": {"coef": [1.0, 2.0]}}
    ok = judge(e, {"items": {"coef": [1.0, 2.0]}})[0] == "pass"
    ok &= judge(e, {"items": {"coef": [1.0, 2.0 * (1 + 2e-12)]}})[0] == "fail"
    ok &= judge(e, {"items": {"coef": [1.0]}})[0] == "fail"
    ok &= judge(e, {"items": {"coef": [1.0, None]}})[0] == "fail"
    ok &= judge(e, {"items": {"coef": [1.0, 2.0], "se": [1.0]}})[0] == "pass"
    ok &= judge(e, {"items": {"se": [1.0, 2.0]}})[0] == "fail"
    ok &= judge(e, {"error": "no"})[0] == "refused"
    lax = {"id": "x", "analysis": "glm", "tolerance": "irls", "result": {"n": 3, "p": [0.5]}}
    ok &= judge(lax, {"items": {"n": 3, "p": [0.5 * (1 + 5e-11)]}})[0] == "pass"
    ok &= judge(lax, {"items": {"n": 3, "p": [0.5 * (1 + 2e-10)]}})[0] == "fail"
    ok &= judge(lax, {"items": {"n": 4, "p": [0.5]}})[0] == "fail"
    print("the comparer can fail" if ok else "the comparer CANNOT fail")
    sys.exit(0 if ok else 1)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--split", default="split_k3")
    p.add_argument("--selftest", action="store_true")
    p.add_argument("folders", nargs="*")
    a = p.parse_args()
    if a.selftest:
        selftest()
    tally = {"pass": 0, "fail": 0, "unsupported": 0, "refused": 0}
    for folder in map(pathlib.Path, a.folders):
        if (folder / "certified.json").exists():
            nist_folder(folder, a.split, tally)
        elif (folder / "codebook.json").exists():
            reference_folder(folder, a.split, tally)
        else:
            sys.exit(f"{folder}: neither codebook.json nor certified.json is there")
    print("summary " + a.split + ": " + ", ".join(f"{n} {k}" for k, n in tally.items()))
    sys.exit(1 if tally["fail"] or tally["refused"] else 0)


main()
