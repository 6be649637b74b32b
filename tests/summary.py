"""summary.py BROKEN.txt REFERENCE.txt TESTLOG.json ...: names what failed and was skipped (parts of
tests that passed, too), and ends with the line "N passed, N failed, N skipped" over all test
programs and reference entries. BROKEN.txt has a line for each step that could not even be tried:
a build, the packages."""
import json
import pathlib
import re
import sys


def skipped_parts(output):
    """What a test that passed could not try here, by its lines "SKIP what: why"."""
    return re.findall(r"^SKIP +(.+)$", output, re.MULTILINE)


passed, skipped = 0, []
failed = pathlib.Path(sys.argv[1]).read_text().splitlines()
for log in sys.argv[3:]:
    where = " (sanitizers)" if "sanitized" in log else ""
    if not pathlib.Path(log).exists():
        failed.append(f"tests{where}: they did not run; there is no {log}")
        continue
    for line in pathlib.Path(log).read_text().splitlines():
        test = json.loads(line)
        name, result = test["name"] + where, test["result"]
        if result in ("OK", "EXPECTEDFAIL"):
            passed += 1
            skipped += [f"{name}: {part}" for part in skipped_parts(test.get("stdout") or "")]
        elif result == "SKIP":
            skipped.append(name)
        else:
            failed.append(f"{name}: {result}")
reference = pathlib.Path(sys.argv[2])
if not reference.exists():
    failed.append("reference: it did not run")
else:
    if "\nsummary " not in "\n" + reference.read_text():
        failed.append("reference: it ended before its summary; see " + sys.argv[2])
    for line in reference.read_text().splitlines():
        words = line.split()
        verdicts = [w for w in words if w in ("pass", "fail", "unsupported", "refused")]
        if not verdicts or line.startswith(("summary", "total")) or len(words) < 3:
            continue
        if verdicts[0] == "pass":
            passed += 1
        elif verdicts[0] == "unsupported":
            skipped.append("reference, not offered yet: " + line.split(" unsupported")[0])
        else:
            failed.append("reference: " + line)
for name in skipped:
    print("skipped:", name)
for name in failed:
    print("FAILED:", name)
print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
sys.exit(1 if failed or passed == 0 else 0)
