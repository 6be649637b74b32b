"""Derived variables over real nodes: counts, tables and models as computed here from the rows,
and no way around a grid, a role or what was released before."""
import csv
import json
import pathlib
import statistics
import subprocess
import tempfile

from lab import Checks, Lab, LUNG, NODED, SITES

check = Checks()
BOOK = (LUNG / "lung.yaml").read_text().replace(
    "label: enrolling institution\n", "label: enrolling institution\n    role: quasi_identifier\n")
INST = BOOK.split("levels: [")[1].split("]")[0].replace("\n", " ").replace(" ", "").split(",")
BOOK = BOOK.rstrip() + f"""
  place: {{from: inst, recode: {{{", ".join(f"{i}: {'there' if i == 'I21' else 'elsewhere'}"
                                   for i in INST)}}}}}""" + """
  age_band: {from: age, cut: [50, 60, 70], label: age in bands}
  old: {from: age, cut: [75]}
  ecog_group: {from: ph_ecog, recode: {0: good, 1: good, 2: poor, 3: poor, 4: poor, 5: poor}}
  trial_arm: {from: sex, recode: {male: first, female: second}}
"""
BANDS = ["<50", "50-59", "60-69", ">=70"]
ROWS = [row for site in SITES for row in csv.DictReader(open(site))]


def band(row):
    return sum(int(row["age"]) >= cut for cut in (50, 60, 70))


def group(row):
    return None if row["ph_ecog"] == "" else int(row["ph_ecog"]) >= 2


scratch = tempfile.TemporaryDirectory(prefix="cohortium-test-")
book = pathlib.Path(scratch.name) / "lung.yaml"
book.write_text(BOOK)

with Lab(codebook=book) as lab:
    a = lab.ask("codebook", "lung")
    v = {x["name"]: x for x in a.json["variables"]}
    check("the codebook shows what is derived, and how", v["age_band"]["from"] == "age" and
          v["age_band"]["cut"] == [50, 60, 70] and v["age_band"]["levels"] == BANDS and
          v["ecog_group"]["recode"] == ["good", "good"] + 4 * ["poor"] and
          v["age"]["from"] is None, a.out)
    check("with its source's role", v["age_band"]["role"] == v["age"]["role"] ==
          v["trial_arm"]["role"] and v["ecog_group"]["role"] == "ordinary", a.out)
    a = lab.ask("table", "lung", "age_band * ecog_group")
    check("a table is what its rows are", a.item("counts") ==
          [[sum(band(r) == i and group(r) is j for r in ROWS) for j in (False, True)]
           for i in range(4)], a.out + a.err)
    a = lab.ask("count", "lung", "--where", 'age_band in ("50-59", ">=70") and ecog_group == "poor"')
    check("and a cohort", a.item("patients") == sum(band(r) in (1, 3) and group(r) is True
                                                    for r in ROWS), a.out + a.err)
    same = [lab.ask("count", "lung", "--where", w) for w in (
        "age >= 50 and age < 60", 'cut(age, [50, 60, 70]) == "50-59"',
        'cut(age) in ("50-54", "55-59")', 'cut(age, c(50, 60)) not in ("<50", ">=60")')]
    check("cut() in a cohort is its comparisons, and the same question", {
        (a.json["cohort"], a.item("patients")) for a in same if a.status == 0} == {
            ("age >= 50 and age < 60", sum(band(r) == 1 for r in ROWS))} and
          all(a.status == 0 for a in same), "".join(a.out + a.err for a in same))
    a = lab.ask("table", "lung", "cut(age, [50, 60, 70]) * sex")
    b = lab.ask("table", "lung", "age_band * sex")
    check("and in a table the codebook's variable", a.status == 0 and
          a.json["items"] == b.json["items"], a.out + a.err)
    a = lab.ask("lm", "lung", "wt_loss ~ cut(age, [50, 60, 70])")
    b = lab.ask("lm", "lung", "wt_loss ~ age_band")
    check("and in a formula", a.status == 0 and a.json["items"] == b.json["items"], a.out + a.err)
    for words, says in [
            (["count", "lung", "--where", 'cut(age, [50, 57]) == "<50"'],
             "cut point 57 is not on the codebook's grid of `age`: 50, 55, 60, 65, 70, 75"),
            (["table", "lung", "cut(age, [55, 65]) * sex"],
             "derives no variable from `age` cut at 55, 65; it has `age_band` (50, 60, 70), "
             "`old` (75)"),
            (["lm", "lung", "wt_loss ~ cut(time, [400])"], "derives no variable from `time`")]:
        a = lab.ask(*words)
        check(f"{words[-1]} is refused", a.status == 2 and says in a.err, a.out + a.err)
    a = lab.ask("lm", "lung", "wt_loss ~ age_band")
    means = [statistics.mean(int(r["wt_loss"]) for r in ROWS if r["wt_loss"] and band(r) == i)
             for i in range(4)]
    check("a model's coefficients are differences of means", a.item("terms")[1:] ==
          ["age_band" + b for b in BANDS[1:]] and all(
              abs(x - y) < 1e-9 for x, y in zip(a.item("coef"), [means[0]] +
                                                [m - means[0] for m in means[1:]])), a.out + a.err)
    a = lab.ask("describe", "lung", "wt_loss", "--by", "ecog_group")
    check("and groups", all(abs(x - statistics.mean(
        int(r["wt_loss"]) for r in ROWS if r["wt_loss"] and group(r) is poor)) < 1e-9
        for x, poor in zip(a.item("mean")[0], (False, True))), a.out + a.err)

with Lab(policy="cautious", codebook=book) as lab:
    columns = lambda: json.loads(lab.noded(1, "ledger", "report", "--json").out)
    a = lab.ask("count", "lung", "--where", "age >= 50 and age < 60")
    before = columns()
    b = lab.ask("count", "lung", "--where", 'age_band == "50-59"')
    check("the same patients by another name: the same number", a.status == b.status == 0 and
          a.item("patients") == b.item("patients") is not None, a.out + b.out)
    after = columns()
    used = [[d.get("columns") for d in r.get("datasets", r.get("memories", []))] for r in (before, after)]
    check("and nothing new to remember", used[0] == used[1] and used[0], str((before, after)))
    a = lab.ask("count", "lung", "--where", 'sex == "female"')
    few = sum(r["sex"] == "female" and r["inst"] == "I21" for r in ROWS)
    ways = [lab.ask("count", "lung", "--where", w) for w in (
        'sex == "female" and inst != "I21"', 'sex == "female" and place == "elsewhere"',
        'trial_arm == "second" and not (place == "there")')]
    check(f"all women but {few} are not released, whatever they are called", 0 < few < 5 and
          a.item("patients") is not None and all(
              x.status == 3 or x.item("patients") is None for x in ways),
          a.out + "".join(x.out + x.err for x in ways))
    b = lab.ask("count", "lung", "--where", 'place == "elsewhere"')
    check("larger groups of that name are", b.item("patients") is not None, b.out + b.err)
    a = lab.ask("table", "lung", "age_band * sex")
    small = [sum(band(r) == i and r["sex"] == s for r in ROWS) < 10
             for i in range(4) for s in ("male", "female")]
    check("a small cell is withheld", any(small) and a.status == 0 and all(
        not few or n is None for few, n in
        zip(small, [n for row in a.item("counts") for n in row])), a.out + a.err)

for what, old, new, says in [
        ("a cut off the grid", "cut: [50, 60, 70]", "cut: [50, 60, 72]", "not on the grid of `age`"),
        ("a role that is less strict", "{from: age, cut: [75]}",
         "{from: age, role: ordinary, cut: [75]}", "has its role"),
        ("single ages", "{from: age, cut: [75]}", "{from: age, recode: {75: x}}", "cut it")]:
    assert old in BOOK
    book.write_text(BOOK.replace(old, new))
    a = subprocess.run([NODED, "codebook", "check", book], capture_output=True, text=True)
    check(f"{what} is no codebook", a.returncode != 0 and says in a.stderr, a.stdout + a.stderr)
scratch.cleanup()
check.end()
