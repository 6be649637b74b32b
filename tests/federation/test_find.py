"""Finding data: one search over all members' codebooks, and what differs between two of them."""
import pathlib
import tempfile

from lab import CLI, NODED, Checks, Lab

check = Checks()
BOOK = """dataset: habits
title: Ways of living
count_unit: rid
variables:
  rid: {type: identifier, label: smoke rings of one person}
  smoker: {type: categorical, role: quasi_identifier, levels: [never, former, current]}
  age: {type: integer, role: quasi_identifier, unit: year, bounds: [20, 100], grid: [50, 60]}
  pack_years: {type: real, unit: pack year, label: ÄRZTLICH erfasst, bounds: [0, 200]}
  lung: {type: categorical, label: state of the lungs, levels: [clear, smoky shade, other]}
  inner: {type: binary, role: hidden, label: smoked in secret}
"""
OTHER = BOOK.replace("levels: [never, former, current]", "levels: [never, current, sometimes]") \
    .replace("unit: year, bounds: [20, 100], grid: [50, 60]", "unit: month, bounds: [240, 1200]") \
    .replace("type: real, unit: pack year", "type: integer, unit: pack year") \
    .replace("  lung: {", "  ever_smoked: {type: binary, label: at any time}\n  lungs: {")


def rows(head, line):
    return head + "\n" + "\n".join(f"{i},{line}" for i in range(40)) + "\n"


def texts(found):
    return {(f["dataset"], f["variable"], f["sites"]) for f in found}


home = pathlib.Path(tempfile.mkdtemp(prefix="cohortium-find-"))
(home / "habits.yaml").write_text(BOOK)
(home / "other.yaml").write_text(OTHER)
files = [home / f"site{i}.csv" for i in range(3)]
for f in files:
    f.write_text(rows("rid,smoker,age,pack_years,lung,inner", "never,60,1.5,clear,0"))
(home / "other.csv").write_text(rows("rid,smoker,age,pack_years,ever_smoked,lungs,inner",
                                     "never,720,1,0,clear,0"))
with Lab(codebook=home / "habits.yaml", sites=files) as lab:
    def find(pattern):
        a = lab.ask("datasets", "--search", pattern)
        return a.json["found"] if a.status == 0 else a.err

    cache = lab.home / "config/cohortium/profiles/lab-test/codebooks"
    check("one codebook: each variable is one line with all its sites",
          texts(find("smok*")) == {("habits", "smoker", "hospital_a, hospital_b, hospital_c"),
                                   ("habits", "lung", "hospital_a, hospital_b, hospital_c")},
          find("smok*"))
    check("what was fetched is kept under its digest", len(list(cache.iterdir())) == 1)
    old = next(cache.iterdir()).name

    signed = lab.home / "other.codebook"
    a = lab.run(NODED, "codebook", "sign", "--key", lab.dir / "keys" / "hospital_b.key",
                home / "other.yaml", "-o", signed)
    b = lab.noded(1, "codebook", "add", signed)
    c = lab.noded(1, "data", "import", "habits", home / "other.csv")
    check("a site takes another codebook", a.status == b.status == c.status == 0,
          a.err + b.err + c.err)

    found = find("smok*")
    check("a variable that one site has is found there alone, by a word inside its name",
          ("habits", "ever_smoked", "hospital_b") in texts(found), found)
    check("what both codebooks say alike is one line",
          ("habits", "smoker", "hospital_a, hospital_c, hospital_b") in texts(found), found)
    check("a level is told as such", [f["found_in"] for f in found if f["variable"] == "lungs"]
          == ["level smoky shade"], found)
    check("hidden variables and identifiers are not shown", not any(
        f["variable"] in ("inner", "rid") for f in find("smoke*") + find("secret")), found)
    check("a pattern is of whole words", find("moke*") == [], find("moke*"))
    check("a word is found anywhere", {f["variable"] for f in find("moke")}
          == {"smoker", "ever_smoked"}, find("moke"))
    check("a unit is found", {(f["variable"], f["unit"], f["sites"]) for f in find("YEAR")
                              if "unit" in f["found_in"]}
          == {("age", "year", "hospital_a, hospital_c"),
              ("pack_years", "pack year", "hospital_a, hospital_c"),
              ("pack_years", "pack year", "hospital_b")}, find("YEAR"))
    check("letters of other languages have no case, too",
          {f["variable"] for f in find("ärztlich")} == {"pack_years"}, find("ärztlich"))
    check("a pattern of several words", {f["variable"] for f in find("smoky sh?d*")}
          == {"lung", "lungs"}, find("smoky sh?d*"))
    check("the dataset's own name and title are searched",
          [f["variable"] for f in find("ways*")] == [None], find("ways*"))
    a = lab.cohortium("datasets", "--search", "smok*", "--profile", "lab-test")
    check("for people it is a table", a.status == 0 and "ever_smoked" in a.out
          and "found in" in a.out and "not searched" not in a.err, a.out + a.err)
    a = lab.cohortium("datasets", "--search", "tobacco", "--profile", "lab-test")
    check("nothing found is said", a.status == 0 and "nothing found" in a.out, a.out + a.err)
    a = lab.cohortium("datasets", "--search", "", "--profile", "lab-test")
    check("an empty pattern is wrong usage", a.status == 2, a.err)
    a = lab.ask("datasets")
    check("the list of datasets says that codebooks differ", len(a.json["datasets"]) == 1
          and "codebooks differ" in lab.cohortium("datasets", "--profile", "lab-test").out, a.out)
    (cache / old).write_bytes((cache / old).read_bytes().replace(b"former", b"farmer"))
    check("a cached codebook that was changed is fetched again",
          find("farmer") == [] and len(find("former")) == 1, find("farmer"))

    def diff(a, b, *more):
        return lab.cohortium("codebook", "diff", a, b, "--profile", "lab-test", *more)

    a = diff("habits@hospital_a", "habits@hospital_c")
    check("the same is status 0", a.status == 0 and "the same codebook" in a.out, a.out + a.err)
    a = diff("habits@hospital_a", "habits@hospital_b")
    check("another is status 1, and nothing on standard error", a.status == 1 and a.err == "",
          a.out + a.err)
    for line in ("ever_smoked: added:", "lung: removed: categorical", "lungs: added:",
                 "smoker: levels removed: former", "levels added: (none) -> sometimes",
                 "age: unit year -> month", "age: bounds 20 to 100 -> 240 to 1200",
                 "age: cut points 50, 60 -> (none)", "pack_years: type real -> integer"):
        check(f"it says: {line}", line in a.out, a.out)
    check("and nothing of what is hidden", "inner" not in a.out and "rid:" not in a.out, a.out)
    a = diff("habits@hospital_b", "habits@" + old[:8], "--json")
    check("an older one by the first digits of its digest", a.status == 1
          and a.json["b"] == old and not a.json["same"], a.out + a.err)
    a = diff("habits", "habits@" + old)
    check("home's own against all digits", a.status == 0, a.out + a.err)
    a = diff("habits@hospital_a", home / "habits.yaml")
    check("a site's against a file", a.status == 0, a.out + a.err)
    a = diff("habits@hospital_b", signed)
    check("and against a signed file", a.status == 0, a.out + a.err)
    a = diff("habits@hospital_a", "habits@hospital_d")
    check("a site that is none", a.status == 2 and "did you mean" in a.err, a.err)
    a = diff("habits@hospital_a", "habits@0123456")
    check("digits of none", a.status == 2 and "no codebook of habits" in a.err, a.err)
    a = diff("habits@hospital_a", "habit@hospital_b")
    check("a dataset that is none", a.status == 2 and "has no dataset" in a.err, a.err)
    a = diff("habits@hospital_a", "habits@" + "00" * 32)
    check("a digest that nobody has", a.status == 1 and "codebook" in a.err, a.err)

    a = lab.ask("datasets", "--counts")
    check("a dataset whose codebooks differ is not counted, and it says why", a.status == 0
          and a.json["datasets"][0]["patients"] is None
          and "codebook" in a.json["datasets"][0]["not_counted"] and "not counted" in a.err,
          a.out + a.err)
    signed = lab.home / "again.codebook"
    for words in (("codebook", "sign", "--key", lab.dir / "keys" / "hospital_b.key",
                   home / "habits.yaml", "-o", signed),
                  ("codebook", "add", "--dir", lab.node(1), signed),
                  ("data", "import", "--dir", lab.node(1), "habits", files[1])):
        a = lab.run(NODED, *words)
        check("back: " + " ".join(words[:2]), a.status == 0, a.err)
    a = lab.ask("datasets", "--counts")
    check("else it is, through gate and ledger, with a receipt", a.status == 0
          and a.json["datasets"][0]["patients"] == 120 and a.err == "", a.out + a.err)
    check("which is charged like any question", all(lab.charges(i) == 1 for i in range(3)))
    a = lab.cohortium("datasets", "--counts", "--profile", "lab-test")
    check("for people it is a column", "patients" in a.out and "120" in a.out, a.out)
    a = lab.ask("datasets", "--counts", "--permit", "none")
    check("a permit that is none is said", a.json["datasets"][0]["patients"] is None
          and "permit" in a.json["datasets"][0]["not_counted"], a.out)
    a = lab.ask("datasets", "--counts", "--search", "x")
    check("counts are not of a search", a.status == 2, a.err)

    lab.stop_node(1)
    a = lab.ask("datasets", "--search", "smok*")
    check("a site that is down is told as not searched",
          [m["what"] for m in a.json["not_searched"]] == ["hospital_b"]
          and "hospital_b" not in str(a.json["found"]), a.out)
    a = diff("habits@hospital_a", "habits@hospital_b")
    check("and cannot be compared", a.status == 1 and "cannot be asked now" in a.err, a.err)
    a = lab.run(CLI, "codebook", "diff", home / "habits.yaml", home / "other.yaml")
    check("two files need no node", a.status == 1 and "ever_smoked" in a.out, a.out + a.err)
    (home / "bad.yaml").write_text(BOOK.replace("type: real", "type: rael"))
    a = lab.run(CLI, "codebook", "diff", home / "habits.yaml", home / "bad.yaml")
    check("a file that is no codebook is named with its line", a.status == 1
          and "bad.yaml" in a.err and "rael" in a.err, a.err)
for f in home.iterdir():
    f.unlink()
home.rmdir()
check.end()
