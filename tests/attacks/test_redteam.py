"""`cohortiumd policy redteam` at a site with known victims: the standard policy withstands what the
list has, a policy without rules nothing of it; the sheet is signed and says nothing of a patient."""
import pathlib
import re
import tempfile

from attack import CODEBOOK, SECRETS, world, write
from lab import Checks, Lab

check = Checks()
readme = (pathlib.Path(__file__).parent / "README.md").read_text()


def redteam(lab, *words):
    return lab.noded(0, "policy", "redteam", *words)


def verdicts(text):
    return {m[1]: (m[2], m[3]) for m in re.finditer(r"^(A\d\d)  (\S+(?: tried)?) +(.*)$", text, re.M)}


with tempfile.TemporaryDirectory(prefix="cohortium-test-") as scratch:
    folder = pathlib.Path(scratch)
    files = [write(rows, folder / f"site{i}.csv") for i, rows in enumerate(world(0))]
    with Lab(policy="cautious", codebook=CODEBOOK, sites=files) as lab:
        before = lab.charges(0), lab.sql(0, "SELECT count(*) FROM ledger")
        sheet = folder / "sheet.txt"
        a = redteam(lab, "clinic", "-o", sheet)
        found = verdicts(a.out)
        check("the policy in force withstands all", a.status == 0 and len(found) >= 13 and
              {v for v, _ in found.values()} == {"pass"}, a.out + a.err)
        check("and answers an ordinary count", "an ordinary count: answered" in a.out, a.out)
        check("attacks have the numbers and names of the README", all(
            re.search(rf"^\| (A\d\d )*{number}( A\d\d)* \| {re.escape(name)} \|", readme, re.M)
            for number, (_, name) in found.items()), found)
        secrets = [str(SECRETS[0][s]) for s in ("bmi", "etime", "cost", "cost_of_vic")]
        check("no value, no cut, no cohort stands on it", not re.search(
            r"\b(" + "|".join(map(re.escape, secrets)) + r")\b|>=|==|\\btim\\b", a.out), a.out)
        b = redteam(lab, "--check", sheet)
        check("the sheet is signed", b.status == 0 and "signed by hospital_a" in b.out, b.err)
        sheet.write_text(sheet.read_text().replace("pass", "past", 1))
        b = redteam(lab, "--check", sheet)
        check("another word is not", b.status != 0 and "signature" in b.err, b.out + b.err)
        a = redteam(lab, "clinic", "--policy", "exact-for-testing")
        found = verdicts(a.out)
        check("without rules every attack learns what it is after", a.status == 1 and
              len(found) >= 13 and {v for v, _ in found.values()} == {"FAIL"}, a.out + a.err)
        a = redteam(lab, "nothing")
        check("no such dataset", a.status != 0 and "nothing" in a.err, a.err)
        check("nothing was charged or remembered",
              (lab.charges(0), lab.sql(0, "SELECT count(*) FROM ledger")) == before)
        check("the log keeps that it was done", sum("redteam" in r for r in lab.records(0)) == 2,
              lab.records(0))
        noise = folder / "noise.yaml"
        noise.write_text("class: cautious\nnoise_mechanism: discrete_gaussian\n")
        a = redteam(lab, "clinic", "--policy", noise)
        check("answers with noise are not attacked", a.status == 0 and "nothing shown" in a.out,
              a.out + a.err)
check.end()
