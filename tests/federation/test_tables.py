"""Tables over three real nodes: totals, three variables, by site, and each mode of rounding."""
import collections
import csv
import itertools
import pathlib
import re
import tempfile

from lab import Checks, Lab, SITES

LEVELS = {"sex": {"1": "male", "2": "female"}, "status": {"0": "0", "1": "1"}}
ROWS = [row for site in SITES for row in csv.DictReader(open(site))]


def level(row, variable):
    value = row[variable]
    return LEVELS.get(variable, {}).get(value, value)


def truth(variables, levels):
    """Cells, row-major, then totals in the order of the answer: each level, then all."""
    counts = collections.Counter(tuple(level(r, v) for v in variables) for r in ROWS)
    counts = {key: n for key, n in counts.items() if all(k in l for k, l in zip(key, levels))}
    cells, totals = [], []
    for at in itertools.product(*[[*l, None] for l in levels]):
        n = sum(c for key, c in counts.items()
                if all(want is None or want == got for want, got in zip(at, key)))
        (totals if None in at else cells).append(n)
    return cells, totals


def flat(x):
    return [v for part in x for v in flat(part)] if isinstance(x, list) else [x]


def nearest(n, base):
    return base * ((2 * n + base) // (2 * base))


def given(got, want, fits):
    """Every number that is given fits, and at least one is."""
    pairs = [(g, w) for g, w in zip(flat(got), want) if g is not None]
    return len(flat(got)) == len(want) and pairs and all(fits(g, w) for g, w in pairs)


def modes(text, by_site="yes"):
    path = lab_home / "policy.yaml"
    path.write_text(f"class: cautious\nby_site: {by_site}\n" + text)
    return Lab(policy=str(path), options=["--permit-by-site"] if by_site == "yes" else [])


check = Checks()
two = ["table", "lung", "sex * status"]
if "male" not in {level(r, "sex") for r in ROWS}:
    raise SystemExit("the data's levels of sex are not what this test reads")
cells, totals = truth(["sex", "status"], [["male", "female"], ["0", "1"]])

scratch = tempfile.TemporaryDirectory(prefix="cohortium-test-")
lab_home = pathlib.Path(scratch.name)

with modes("") as lab:
    a = lab.ask(*two)
    check("cells are the nearest multiples of 5",
          given(a.item("counts"), cells, lambda g, w: g == nearest(w, 5)), a.out)
    check("totals are the nearest multiples of the true totals", flat(a.item("totals")) ==
          [nearest(t, 5) for t in totals], a.out)
    a = lab.cohortium(*two, "--profile", "lab-test")
    check("people read totals", re.search(r"total +65 +165 +230", a.out), a.out)
    a = lab.ask("table", "lung", "sex * status * ph_ecog")
    levels = a.json["items"]["levels:ph_ecog"]
    want, sums = truth(["sex", "status", "ph_ecog"], [["male", "female"], ["0", "1"], levels])
    check("three variables: what is given is right",
          given(a.item("totals"), sums, lambda g, w: g == nearest(w, 5)), a.out)
    held = [w for g, w in zip(flat(a.item("counts")), want) if g is not None and w < 10]
    check("three variables: no small cell", len(flat(a.item("counts"))) == len(want) and not held,
          a.out)
    check("and no small total", not [w for g, w in zip(flat(a.item("totals")), sums)
                                     if g is not None and w < 10], a.out)
    said = a.json["advice"]
    check("what is withheld has one reason, and what could help", a.json["withheld_reason"] ==
          "some rule of the sites keeps this number back" and
          any("fewer variables: this table has 3" in s for s in said) and
          any("coarser grid: `ph_ecog`" in s for s in said), a.out)
    a = lab.cohortium("table", "lung", "sex * status * ph_ecog", "--profile", "lab-test")
    check("people are told alike", "keeps this number back.\nwhat could help:\n  fewer" in a.out,
          a.out)
    a = lab.cohortium("table", "lung", "sex * status * ph_ecog", "--csv", "--profile", "lab-test")
    check("and in CSV", [r["value"] for r in csv.DictReader(a.out.splitlines())
                         if r["item"] == "advice"] == said, a.out)
    shown = lab.noded(0, "audit", "show", "--last", "20").out.splitlines()
    number = next(line.split()[0] for line in shown if "status * ph_ecog'; withheld" in line)
    e = lab.noded(0, "explain", number)
    check("an officer sees by which rules, in words", e.status == 0
          and "\nR1: too few patients\n" in e.out
          and "\nR25: it would follow by subtraction\n" in e.out, e.out + e.err)
    a = lab.cohortium("lm", "lung", "age ~ sex", "--where", "time < 6", "--profile", "lab-test")
    check("an answer that is not released is advised on, too", a.status == 3 and
          "what could help:\n  a larger cohort" in a.err, a.out + a.err)
    a = lab.ask(*two)
    check("a whole answer needs no advice", a.json["withheld_reason"] is None and
          a.json["advice"] == [], a.out)
    a = lab.ask("table", "lung", "sex * status * ph_ecog * sex")
    check("a variable twice is a wrong use", a.status == 2 and "twice" in a.err, a.err)
    a = lab.ask(*two, "--by-site")
    sites = [s["items"] for s in a.json["by_site"]] if a.status == 0 else []
    check("by site all give the same cells and totals", len(sites) == 3 and
          len({str([[v is None for v in flat(s[i])] for i in ("counts", "totals")])
               for s in sites}) == 1, a.out + a.err)
    check("by site a small cell of one is given by none", len(sites) == 3 and
          all(v is None for s in sites for v in flat(s["counts"])), a.out)

with modes("rounding_mode: controlled\n") as lab:
    a = lab.ask(*two)
    c, t = flat(a.item("counts")), flat(a.item("totals"))
    check("controlled: totals are the sums of their cells",
          t == [c[0] + c[1], c[2] + c[3], c[0] + c[2], c[1] + c[3], sum(c)], a.out)
    check("controlled: each less than the base off", all(
        abs(g - w) < 5 and g % 5 == 0 for g, w in zip(c + t, cells + totals)), a.out)
    a = lab.cohortium(*two, "--profile", "lab-test")
    check("controlled: people are told", "so that they add up" in a.out, a.out)

with modes("rounding_mode: random\nrounding_base: 10\n") as lab:
    first = lab.ask(*two)
    c, t = flat(first.item("counts")), flat(first.item("totals"))
    check("random: up or down to a multiple", all(
        abs(g - w) < 10 and g % 10 == 0 for g, w in zip(c + t, cells + totals)), first.out)
    a = lab.ask("count", "lung", "--where", 'sex == "female"')
    check("random: the same patients, the same number", a.item("patients") == t[1], a.out)

SAME = ['sex == "female"', 'sex != "male"', 'not (sex == "male")', 'sex in {"female"}']
NOISE = "rounding_mode: cell_key\nrounding_base: 0\nperturbation_d: 5\nperturbation_v: 3\n"
with modes(NOISE) as lab:
    a = lab.ask(*two, "--dry-run")
    check("a dry run says how counts are given", a.json["rules"]["rounding_mode"] == "cell_key",
          a.out)
    a = lab.cohortium(*two, "--dry-run", "--profile", "lab-test")
    check("and says it in words", "error of at most 5" in a.out and "totals" not in a.out, a.out)
    a = lab.ask(*two)
    c, t = flat(a.item("counts")), flat(a.item("totals"))
    check("cell key: each within the largest error", all(
        abs(g - w) <= 5 for g, w in zip(c + t, cells + totals)), a.out)
    check("cell key: some number has an error", c + t != cells + totals, a.out)
    answers = [lab.ask("count", "lung", "--where", w) for w in SAME]
    check("cell key: the same patients, the same error, whatever the words",
          {x.item("patients") for x in answers if x.status == 0} == {t[1]} and
          sum(x.status == 0 for x in answers) >= 3, "".join(x.out + x.err for x in answers))
    a = lab.ask("table", "lung", "sex")
    check("cell key: in another table as well", flat(a.item("counts")) == t[:2] and
          flat(a.item("totals")) == t[4:], a.out)
    a = lab.ask("count", "lung")
    check("cell key: and everybody", a.item("patients") == t[4], a.out)
    a = lab.ask("lm", "lung", "age ~ sex")
    check("cell key: and as n of a model", flat(a.item("n"))[0] == t[4], a.out)
    b = lab.ask(*two, "--by-site")
    sites = [flat(s["items"]["totals"]) for s in b.json["by_site"]] if b.status == 0 else []
    check("cell key: by site each has its own errors", len(sites) == 3 and
          all(v is not None for s in sites for v in s) and
          all(abs(sum(s[4] for s in sites) - t[4]) <= 20 for _ in sites), b.out + b.err)
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"the log of node {i} is whole", a.status == 0 and "whole" in a.out, a.out + a.err)

with modes(NOISE) as lab:
    again = lab.ask(*two)
    n = flat(again.item("counts")) + flat(again.item("totals"))
    check("other keys, other errors", n != c + t, again.out)

with modes(NOISE, by_site="no") as lab: # a site that is never asked alone may give more
    a = lab.ask("table", "lung", "sex")
    t = flat(a.item("counts"))
    a = lab.ask("describe", "lung", "age", "--by", "sex")
    check("cell key: n of a group is as in a table", flat(a.item("n")) == t and None not in t,
          a.out)
    first = next(csv.DictReader(open(SITES[0])))
    gone = lab_home / "withdrawn.txt"
    gone.write_text(first["rid"] + "\n")
    a = lab.noded(0, "data", "withdraw", "--reason", "consent of 3 May", "lung", str(gone))
    check("who withdraws is found", a.status == 0 and "1 of them patients of lung" in a.out and
          "1 patients withdrew" in a.out, a.out + a.err)
    a = lab.noded(0, "data", "withdraw", "--reason", "consent of 3 May", "lung", "-",
                  stdin=first["rid"] + "\n")
    check("again, from standard input", a.status == 0 and "1 patients withdrew" in a.out,
          a.out + a.err)
    a = lab.noded(0, "data", "withdraw", "lung", str(gone))
    check("but not without a reason", a.status == 2 and "--reason" in a.err, a.out + a.err)
    a = lab.ask("table", "lung", "sex")
    check("answers from before stay", flat(a.item("counts")) == t, a.out)
    a = lab.ask("table", "lung", "sex * status")
    check("what would tell is not given", a.status == 0 and
          not [g for g in flat(a.item("counts")) if g is not None], a.out + a.err)
scratch.cleanup()
check.end()
