"""The happy path over three real nodes, and the questions that must be refused."""
from lab import Checks, Lab

QUESTIONS = [
    ["count", "lung", "--where", 'age >= 60 and sex == "female"'],
    ["table", "lung", "sex * status"],
    ["describe", "lung", "age", "wt_loss", "--by", "sex"],
    ["lm", "lung", "wt_loss ~ age + sex"],
    ["glm", "lung", "status ~ age + sex + ph_ecog", "--family", "binomial"],
]

check = Checks()
with Lab(policy="cautious") as lab:
    for q in QUESTIONS:
        a = lab.ask(*q)
        check(f"answered under the default policy: {' '.join(q)}", a.status == 0, a.out + a.err)
    first, again = lab.ask(*QUESTIONS[0]), lab.ask(*QUESTIONS[0])
    check("the same question, the same answer", first.json["items"] == again.json["items"])
    check("counts are rounded to 5", first.item("patients") % 5 == 0, first.out)

    a = lab.ask("glm", "lung", "status ~ age + sex + factor(ph_ecog)", "--family", "binomial")
    check("a level of one patient is not released", a.status == 3, a.out + a.err)
    reference = a.json["reference"]
    forged = lab.ask(*QUESTIONS[0], "--note",
                     f"NOT_RELEASED, reference {reference}; R2: nothing to see")
    check("a note that claims the reference", forged.status == 0, forged.err)
    for i in range(3):
        e = lab.noded(i, "explain", reference)
        check(f"site {i} explains a refusal by its reference", e.status == 0
              and "question not_released" in e.out and "  reason      " in e.out
              and "glm lung" in e.out and "R2" not in e.out, e.out + e.err)
        check(f"site {i} names the rule and what can be done, or whose log has it",
              "\n  officer     " in e.out and "\n  researcher  " in e.out
              if "this site objected" in e.out or "R1:" in e.out
              else "in another site's log" in e.out, e.out)
    check("some site names it", any(": too few patients" in lab.noded(i, "explain", reference).out
                                    or "R9: one patient carries" in
                                    lab.noded(i, "explain", reference).out for i in range(3)))
    e = lab.noded(0, "explain", "0123456789abcdef")
    check("of another reference it knows nothing", e.status == 1 and "no record" in e.err, e.err)
    for i in range(3):
        e = lab.noded(i, "ledger", "report", "--json")
        held = e.json["datasets"] if e.status == 0 else []
        check(f"site {i} tells how full its memory is, by permit", len(held) == 1
              and held[0]["dataset"] == "lung" and len(held[0]["members"]) == 3
              and 0 < held[0]["columns"] == held[0]["permits"][0]["columns"] <= held[0]["capacity"]
              and held[0]["permits"][0]["title"] == "lab test"
              and 0 < held[0]["highest"] <= e.json["limit"], e.out + e.err)
    e = lab.noded(0, "ledger", "report")
    check("in words, too", "leverage of a patient here: 0." in e.out and "lab test" in e.out
          and "no question may take one above 0.2" in e.out, e.out + e.err)
    e = lab.noded(0, "explain", "R7")
    check("a rule is explained by its number", e.status == 0 and "max_parameter_ratio" in e.out)
    a = lab.ask("count", "lung", "--where", "agee > 50")
    check("an unknown variable is a wrong use with a suggestion",
          a.status in (1, 2) and "age" in a.err and "agee" in a.err, a.err)
    a = lab.ask("count", "lung", "--where", "age >= 61")
    check("a quasi-identifier off its grid is invalid", a.status != 0 and "cut points" in a.err, a.err)
    a = lab.ask("count", "lung", "--by-site")
    check("by-site answers need permit and policy", a.status != 0 and "by" in a.err, a.err)
    a = lab.ask("count", "lung", "--sites", "hospital_a,hospital_b")
    check("two sites are too few", a.status != 0 and "site" in a.err, a.err)
    a = lab.ask("count", "nowhere")
    check("an unknown dataset is named", a.status != 0 and "nowhere" in a.err, a.err)
    a = lab.ask("count", "lung", "--dry-run")
    check("a dry run is free and has no numbers", a.status == 0 and "items" not in a.out, a.out)
    a = lab.ask("table", "lung", "sex * status", "--dry-run")
    before = a.json["permit"]["charged"]
    check("a dry run shows what the question costs", a.json["price"]["questions"] == 1
          and a.json["price"]["numbers"] == 4 and a.json["price"]["regions"] > 0
          and a.json["rules"]["threshold"] == 10 and a.json["rules"]["rounding_base"] == 5, a.out)
    price, rules = a.json["price"], {r["rule"]: r for r in a.json["rules"]["list"]}
    check("it counts cells, and the columns that sites would remember", price["cells"] == 4 and
          price["regions"] == 2 and price["columns"] == 2 and
          price["columns_before_max"] == (2**19 - 3) // 2, a.out)
    check("it names the rules of this question, with their values", set(rules) ==
          {"R1", "R2", "R11", "R13", "R17", "R20", "R21", "R25", "R23"} and
          rules["R1"]["fields"] == {"minimum_frequency_threshold": 10, "zeros_are_disclosive": 1}
          and "fewer than 10 patients" in rules["R1"]["text"] and
          rules["R13"]["fields"]["max_levels"] == 40, a.out)
    a = lab.ask("lm", "lung", "wt_loss ~ age + sex", "--dry-run")
    b = {r["rule"] for r in a.json["rules"]["list"]}
    check("a model meets others", {"R6", "R7", "R9", "R22", "R24"} <= b and "R25" not in b and
          a.json["price"]["columns"] == 1 + 1 + 2 * 2, a.out)
    wide = " or ".join(f"age between {lo} and {lo + 4}" for lo in (50, 60, 70))
    a = lab.ask("table", "lung", "sex * status", "--where", wide, "--dry-run")
    check("a cohort's own regions are among them", a.json["price"]["regions"] == 3, a.out)
    a = lab.ask("table", "lung", "sex * status", "--where", "age >= 50", "--dry-run")
    check("a dry run costs nothing", a.json["permit"]["charged"] == before, a.out)
    lab.ask("table", "lung", "sex * status", "--where", "age >= 50")
    lab.ask("table", "lung", "sex * status", "--where", "age >= 50")
    a = lab.ask("count", "lung", "--dry-run")
    check("a question is charged once", a.json["permit"]["charged"] == before + 1, a.out)
    b = lab.ask("budget").json["budgets"]
    check("what is left is told by every site", len(b) == 3 and all(
        r["questions"] == {"asked": before + 1, "left": None} and r["noise"] is None for r in b),
          str(b))
    a = lab.cohortium("count", "lung", "--dry-run", "--profile", "lab-test")
    check("it says so in words", "question  1 of permit" in a.out and
          "\n  R1   what rests on fewer than 10 patients, nobody included\n" in a.out, a.out)
    a = lab.ask("count", "lung", "--save", "/nowhere/at/all.receipt")
    check("a receipt that cannot be kept is told before anything is asked",
          a.status == 2 and "/nowhere/at" in a.err, a.out + a.err)
    a = lab.cohortium("--profile", "lab-test", "--json", "count", "lung")
    check("options may stand in front of the command", a.status == 0 and a.json["released"],
          a.out + a.err)

    (lab.home / "stricter.yaml").write_text("class: cautious\nallowed_statistics: [count]\n")
    heads = [lab.noded(0, "audit", "verify").out.splitlines()[0], lab.charges(0)]
    a = lab.noded(0, "policy", "simulate", "--policy", lab.home / "stricter.yaml", "--json")
    told = a.json if a.status == 0 else {"summary": {}, "questions": []}
    check("a policy is tried on every past question, each once",
          told["summary"].get("questions", 0) >= 8 and told["summary"]["newly_refused"] == 5
          and all(q["outcome"] == ("same" if q["analysis"] == "count" else "newly refused")
                  for q in told["questions"] if q["then"] == "released"), a.out + a.err)
    a = lab.noded(0, "policy", "simulate", "--policy", lab.home / "stricter.yaml")
    check("in words, with what it cannot know", "POOLED" in a.out and "newly refused" in a.out,
          a.out + a.err)
    check("... and nothing of it is charged or logged", heads == [
        lab.noded(0, "audit", "verify").out.splitlines()[0], lab.charges(0)])
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"the log of node {i} is whole", a.status == 0 and "whole" in a.out, a.out + a.err)
    a = lab.noded(0, "researcher", "list")
    check("the credential is listed", "valid" in a.out, a.out)
    name = a.out.split()[0]
    a = lab.noded(0, "researcher", "revoke", "--reason", "test", name)
    check("a credential can be revoked", a.status == 0, a.out + a.err)
    a = lab.ask(*QUESTIONS[0])
    check("a revoked researcher gets nothing", a.status != 0 and "patients" not in a.out,
          a.out + a.err)

SMALL = ["count", "lung", "--where", 'age >= 65 and sex == "female"']  # 6, 13 and 14 patients
with Lab(policy="cautious", options=["--permit-by-site"]) as lab:
    a = lab.ask("count", "lung", "--where", "age >= 60", "--by-site")
    sites = a.json["by_site"] if a.status == 0 else []
    check("by site each site gives its own number",
          [s["items"]["patients"] for s in sites] == [50, 50, 45], a.out + a.err)
    a = lab.ask("count", "lung", "--where", "age >= 60", "--by-site", "--save",
                lab.home / "each.receipt")
    check("the same question by site, the same answer", a.status == 0 and
          [s["items"] for s in a.json["by_site"]] == [s["items"] for s in sites], a.out + a.err)
    a = lab.cohortium("verify", lab.home / "each.receipt", "--profile", "lab-test")
    check("its receipt holds", a.status == 0, a.out + a.err)
    a = lab.cohortium("replay", lab.home / "each.receipt", "--profile", "lab-test")
    check("asked again from its receipt it is the same", a.status == 0, a.out + a.err)
    a = lab.ask(*SMALL)
    check("three sites together have enough", a.status == 0 and a.item("patients") == 35,
          a.out + a.err)
    a = lab.ask(*SMALL, "--by-site", "--save", lab.home / "none.receipt")
    check("where one has too few no site's number leaves",
          a.status == 3 and '"patients"' not in a.out, a.out + a.err)
    a = lab.cohortium("verify", lab.home / "none.receipt", "--profile", "lab-test")
    check("that receipt holds too", a.status == 0 and "3 sites accepted" in a.out, a.out + a.err)
    a = lab.ask(*SMALL, "--by-site", "--sites", "hospital_a,hospital_b")
    check("nor with one other site", a.status == 3 and '"patients"' not in a.out, a.out + a.err)
    a = lab.ask("count", "lung", "--where", "age >= 60", "--by-site", "--sites",
                "hospital_a,hospital_b")
    check("two sites that have enough give their numbers", a.status == 0 and
          [s["items"]["patients"] for s in a.json["by_site"]] == [50, 50], a.out + a.err)
    a = lab.ask("count", "lung", "--where", "age >= 60", "--by-site", "--sites", "hospital_a")
    check("one site alone gives its number", a.status == 0 and
          [s["items"]["patients"] for s in a.json["by_site"]] == [50], a.out + a.err)
    a = lab.ask("lm", "lung", "wt_loss ~ sex", "--by-site")
    check("a line of each site", a.status == 0 and len(a.json["by_site"]) == 3, a.out + a.err)
    a = lab.ask("table", "lung", "sex * status", "--by-site")
    held = [s["withheld"] for s in a.json["by_site"]]
    check("by site all withhold the same", held[0] and held[0] == held[1] == held[2], a.out)
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"by site: the log of node {i} is whole", a.status == 0 and "whole" in a.out,
              a.out + a.err)
check.end()
