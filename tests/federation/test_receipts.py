"""Receipts over three real nodes: kept, listed, verified, tampered with part by part, replayed."""
import base64
import csv
import json
import os
import shutil
import subprocess
import time

from lab import CLI, LUNG, NODED, SITES, Checks, Lab
import rocrate

LINE = "cohortium receipt 1\n"
QUESTIONS = [
    ["table", "lung", "sex * status", "--where", 'age >= 50 and not (sex == "male" and ph_ecog == 2)'],
    ["describe", "lung", "age", "wt_loss", "--by", "sex"],
    ["lm", "lung", "wt_loss ~ age * sex", "--confidence", "0.9"],
    ["glm", "lung", "status ~ age + sex + ph_ecog", "--family", "binomial(probit)"],
    ["count", "lung", "--where", 'sex in ("female") and age < 70'],
]

check = Checks()


# A receipt's parts, by an independent reader of the wire format: (field, payload) in order.
def read_fields(data):
    at, found = 0, []
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 2:
            n, at = read_varint(data, at)
            found.append((key >> 3, data[at:at + n]))
            at += n
        elif key & 7 == 0:
            value, at = read_varint(data, at)
            found.append((key >> 3, value))
        elif key & 7 == 1:
            found.append((key >> 3, data[at:at + 8]))
            at += 8
        else:
            raise ValueError(f"wire type {key & 7}")
    return found


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def write_fields(fields):
    out = b""
    for number, payload in fields:
        if isinstance(payload, int):
            out += varint(number << 3) + varint(payload)
        else:
            out += varint(number << 3 | 2) + varint(len(payload)) + payload
    return out


def without_witnesses(proof):
    """A LogProof whose checkpoint has the site's own signature alone, which is the first."""
    def cut(note):
        body, signatures = note.split(b"\n\n", 1)
        return body + b"\n\n" + signatures.split(b"\n")[0] + b"\n"
    return write_fields([(n, cut(p) if n == 6 else p) for n, p in read_fields(proof)])


def unpack(path):
    text = path.read_text()
    assert text.startswith(LINE)
    return read_fields(base64.b64decode(text[len(LINE):]))


def pack(path, fields):
    path.write_text(LINE + base64.b64encode(write_fields(fields)).decode())


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


MANIFEST, REQUEST, PERMIT, PREFLIGHT, ACCEPT, RELEASE, PROOF, ROUND = 2, 3, 4, 5, 6, 7, 8, 10
# Within an envelope: its body (the end of it lies in the signed part), its signature.
PARTS = [(MANIFEST, "manifest chain"), (REQUEST, "request"), (PERMIT, "permit"),
         (PREFLIGHT, "preflight"), (ACCEPT, "ACCEPT"), (RELEASE, "release")]


def change_envelope(envelope, which):
    """Flips a bit of the body's last byte, or of the first signature's."""
    fields = read_fields(envelope)
    for i, (number, payload) in enumerate(fields):
        if which == "body" and number == 2:
            fields[i] = (2, flip(payload, len(payload) - 1))
            return write_fields(fields)
        if which == "signature" and number == 3:
            inner = [(n, flip(p, 5) if n == 2 else p) for n, p in read_fields(payload)]
            fields[i] = (3, write_fields(inner))
            return write_fields(fields)
    raise ValueError("no such part")


def change_proof(proof, which):
    fields = read_fields(proof)
    changed = []
    for number, payload in fields:
        if which == "record" and number == 2:
            payload = flip(payload, len(payload) - 1)
        elif which == "index" and number == 3:
            payload += 1
        elif which == "size" and number == 4:
            payload += 1
        elif which == "path" and number == 5:
            payload = flip(payload, 3)
        elif which == "checkpoint" and number == 6:
            payload = payload.replace(b"\n", b"x\n", 1)
        changed.append((number, payload))
    return write_fields(changed)


def tampering(lab, path):
    fields = unpack(path)
    bad = lab.home / "bad.receipt"
    genesis = lab.cohortium("verify", path, "--json").json["genesis"]

    def refused(claim, changed, words):
        pack(bad, changed)
        a = lab.cohortium("verify", bad, "--genesis", genesis)
        check(f"{claim}: {words} is named", a.status == 1 and words in a.err
              and str(bad) in a.err and a.out == "", a.out + a.err)

    pack(bad, fields)
    a = lab.cohortium("verify", bad, "--genesis", genesis)
    check("written again unchanged it holds", a.status == 0, a.out + a.err)
    for number, name in PARTS:
        for which in ("body", "signature"):
            first = next(i for i, f in enumerate(fields) if f[0] == number)
            refused(f"a flipped bit in a {which} of the {name}", fields[:first]
                    + [(number, change_envelope(fields[first][1], which))] + fields[first + 1:],
                    name)
    first = next(i for i, f in enumerate(fields) if f[0] == PROOF)
    for which in ("record", "index", "size", "path", "checkpoint"):
        refused(f"a changed {which} of a log's proof", fields[:first]
                + [(PROOF, change_proof(fields[first][1], which))] + fields[first + 1:], "log")
    rounds = [i for i, f in enumerate(fields) if f[0] == ROUND]
    check("it holds the digests of every round, each site's and the proposal's",
          len(rounds) > 2 and all(len(fields[i][1]) == 4 * 32 for i in rounds), fields)
    for i in rounds[0], rounds[-1]:
        refused("a flipped bit in a round's digest", fields[:i]
                + [(ROUND, flip(fields[i][1], 50))] + fields[i + 1:], "rounds: ")
        refused("without a round", fields[:i] + fields[i + 1:], "rounds: ")
    for number, name in PARTS + [(PROOF, "log"), (ROUND, "rounds: ")]:
        refused(f"without its {name}", [f for f in fields if f[0] != number],
                name if number != RELEASE else "release")
    pack(bad, [(n, b"cohortium 9" if n == 9 else p) for n, p in fields])
    a = lab.cohortium("verify", bad, "--genesis", genesis)
    check("the program's name is told to be signed by nobody", a.status == 0
          and "cohortium 9" in a.out.split("signed by nobody")[1], a.out + a.err)
    pack(bad, [f for f in fields if f[0] != PROOF])
    a = lab.cohortium("verify", bad, "--genesis", genesis, "--json")
    check("what is wrong can be read by programs", a.status == 1 and a.json["verified"] is False
          and "log" in a.json["wrong"], a.out + a.err)
    bad.write_text(path.read_text()[:-200])
    a = lab.cohortium("verify", bad)
    check("a file cut short is named", a.status == 1 and "bad.receipt" in a.err, a.err)


def keeping(lab):
    kept = lambda *w: lab.ask("receipts", *w).json["receipts"]
    check("at first there are none", kept() == [])
    for q in QUESTIONS:
        a = lab.ask(*q)
        check(f"answered: {' '.join(q)}", a.status in (0, 3), a.err)
    rows = kept()
    check("each answer kept a receipt, the newest first",
          [r["analysis"] for r in rows] == [q[0] for q in reversed(QUESTIONS)], rows)
    check("with date, dataset and sites", all(
        r["asked_at"].startswith("20") and r["dataset"] == "lung"
        and r["sites"] == ["hospital_a", "hospital_b", "hospital_c"] for r in rows), rows)
    lab.ask("count", "lung", "--no-save")
    check("--no-save keeps none", len(kept()) == len(QUESTIONS))

    # The words of a receipt are a command line that asks the same question.
    charged = lab.charges(0)
    file = lab.home / "questions"
    file.write_text("".join(r["question"] + "\n" for r in rows))
    a = lab.cohortium("run", file, "--keep-going", "--profile", "lab-test")
    again = kept()
    check("`run FILE` keeps receipts, too", len(again) == 2 * len(QUESTIONS), a.out + a.err)
    check("the words of a receipt ask its question", lab.charges(0) == charged
          and [r["question"] for r in again[:5]] == [r["question"] for r in reversed(rows)],
          (charged, lab.charges(0), again))
    check("--last 2 lists two", [r["id"] for r in kept("--last", "2")]
          == [r["id"] for r in again[:2]])
    a = lab.cohortium("receipts", "--profile", "lab-test")
    check("people read the question", "table lung 'sex * status' --where" in a.out, a.out)
    folder = lab.home / "config/cohortium/profiles/lab-test/receipts"
    check("nothing else is in the folder, and only its owner reads it",
          len(list(folder.iterdir())) == len(again)
          and all(f.stat().st_mode & 0o77 == 0 for f in folder.iterdir()))

    one = again[0]
    for word in (one["path"], one["id"], one["id"][:6], "last", os.path.basename(one["path"])):
        a = lab.cohortium("verify", word, "--profile", "lab-test")
        check(f"verify takes {os.path.basename(word)}", a.status == 0 and "proved" in a.out,
              a.out + a.err)
    a = lab.cohortium("verify", "0000000", "--profile", "lab-test")
    check("an id that none has is told", a.status == 1 and "0000000" in a.err, a.err)
    folder.rename(lab.home / "aside")
    folder.touch()
    charged = lab.charges(0)
    for words in (["count", "lung", "--where", "age >= 75"], ["replay", lab.home / "aside" / os.path.basename(one["path"])]):
        a = lab.ask(*words)
        check(f"where no receipt can be kept, {words[0]} asks nothing", a.status == 1
              and "it is no folder" in a.err and "nothing was asked" in a.err
              and lab.charges(0) == charged, a.out + a.err)
    folder.unlink()
    (lab.home / "aside").rename(folder)
    a = lab.ask("replay", "last", "--save", one["path"])
    check("a replay overwrites no receipt", a.status == 2 and "exists already" in a.err, a.err)
    (folder / "20200101T000000000Z-aaaa00000000.receipt").write_text("x")
    (folder / "20200101T000000000Z-aaaa00000001.receipt").write_text("x")
    (folder / "notes.receipt").write_text("x")
    a = lab.cohortium("verify", "aaaa", "--profile", "lab-test")
    check("an id that two have is told", a.status == 2 and "aaaa00000001" in a.err, a.err)
    check("what cannot be read is listed as that",
          [r["id"] for r in kept("--last", "0") if "unreadable" in r]
          == ["aaaa00000001", "aaaa00000000"])


def bounds(lab):
    folder = lab.home / "config/cohortium/profiles/lab-test/receipts"
    for i in range(10010):
        (folder / f"20210101T000000000Z-{i:012x}.receipt").touch()
    a = lab.ask("count", "lung")
    names = sorted(f.name for f in folder.iterdir())
    check("the oldest beyond 10 000 are removed, and nothing that is not ours",
          a.status == 0 and len(names) == 10001 and "notes.receipt" in names
          and "20200101T000000000Z-aaaa00000000.receipt" not in names
          and a.json["receipt"].rsplit("/", 1)[1] in names, len(names))
    for f in folder.glob("20210101*"):
        f.unlink()


def words(lab, path):
    genesis = lab.cohortium("verify", path, "--profile", "lab-test", "--json").json["genesis"]
    clean = dict(lab.env, XDG_CONFIG_HOME=str(lab.home / "nobody"), HOME=str(lab.home / "nobody"))
    begin = time.monotonic()
    done = subprocess.run([CLI, "verify", path], capture_output=True, text=True, env=clean)
    took = time.monotonic() - begin
    check("verify needs no profile and no node", done.returncode == 0, done.stderr)
    check("... and then says whose word it takes", "--genesis" in done.stderr
          and "compare it" in done.stdout and f"genesis {genesis}" in done.stdout, done.stdout)
    check(f"it takes less than a second ({took * 1000:.0f} ms)", took < 1.0)
    v = lab.cohortium("verify", path, "--genesis", genesis)
    for part in ("table lung 'sex * status'", "signed by lab_researcher", 'permit "lab test"',
                 "hospital_a, hospital_b, hospital_c", "answered from version",
                 'policy class "cautious"', "is signed by every site: SHA-256",
                 "hospital_b answered from version", "of a log of", "the pinned one",
                 "session whose transcript begins with", "lead to the transcript that the sites",
                 "put together by cohortium"):
        check(f"verify says: {part}", part in v.out or part == "hospital_a, hospital_b, hospital_c"
              and all(h in v.out for h in part.split(", ")), v.out)
    proofs = lab.cohortium("verify", path, "--genesis", genesis, "--json").json["proofs"]
    versions = {p["site"]: p["dataset_version"] for p in proofs}
    check("the versions are the sites'", all(
        versions[s][:8] in lab.noded(i, "data", "list").out
        for i, s in enumerate(sorted(versions))), versions)
    a = lab.cohortium("verify", path, "--genesis", "00" * 32)
    check("another genesis is refused, and told apart from tampering", a.status == 1
          and "manifest" in a.err and "it is whole, but of another consortium" in a.err
          and genesis in a.err and a.out == "", a.err)


def replaying(lab):
    table = lab.home / "table.receipt"
    refused = lab.home / "refused.receipt"
    lab.ask("table", "lung", "sex * status", "--save", table)
    a = lab.ask("glm", "lung", "status ~ age + sex + factor(ph_ecog)", "--family", "binomial",
                "--save", refused)
    check("a NOT_RELEASED has a receipt, too", a.status == 3 and refused.exists(), a.err)

    def replay(path, *words):
        return lab.ask("replay", path, *words)

    def named(claim, a, kind, site, text):
        check(claim, a.status == 1 and not a.json["same"]
              and [(c["cause"], c["site"]) for c in a.json["causes"]] == [(kind, site)]
              and text in a.json["causes"][0]["text"], a.out + a.err)

    charged = lab.charges(0)
    for path in (table, refused):
        a = replay(path)
        check(f"unchanged data give the same bytes: {path.name}", a.status == 0
              and a.json["same"] and a.json["repeated"] and a.json["causes"] == [],
              a.out + a.err)
    check("that was free", lab.charges(0) == charged)
    a = lab.cohortium("verify", a.json["now"], "--profile", "lab-test")
    check("the new receipt is kept and holds", a.status == 0
          and "answer given before" in a.out, a.out + a.err)
    a = replay("last", "--no-save")
    check("a repeat's own receipt can be replayed, by id", a.status == 0
          and a.json["now"] is None, a.out + a.err)
    for i in range(3):
        lab.sql(i, "DELETE FROM answer")
    a = replay(table)
    check("answered anew they are the same bytes", a.status == 0 and a.json["same"]
          and not a.json["repeated"], a.out + a.err)
    a = replay(table, "--permit", "nothing")
    check("a permit that nobody has is told", a.status == 3 and "nothing" in a.err, a.err)

    a = lab.noded(1, "data", "import", "lung", SITES[1])
    check("site b imports its rows again", a.status == 0, a.out + a.err)
    a = replay(table)
    named("a new version is named", a, "dataset_version", "hospital_b", "new dataset version")
    check("... and the numbers are told to be the same", a.json["same_numbers"], a.out)
    a = lab.cohortium("replay", table, "--profile", "lab-test")
    check("people hear it, too", a.status == 1 and a.out.startswith("differs:")
          and "hospital_b has a new dataset version" in a.out and a.err == "", a.out + a.err)

    lab.ask("table", "lung", "sex * status", "--save", lab.home / "second.receipt")
    (lab.home / "tighter.yaml").write_text("minimum_frequency_threshold: 12\nreason: careful\n")
    a = lab.noded(2, "policy", "sign", "--key", lab.dir / "keys" / "hospital_c.key",
                  lab.home / "tighter.yaml", "-o", lab.home / "tighter")
    b = lab.noded(2, "policy", "apply", lab.home / "tighter")
    check("site c tightens its policy", a.status == 0 and b.status == 0,
          a.out + a.err + b.out + b.err)
    a = replay(lab.home / "second.receipt")
    named("a new policy is named, and the rule", a, "policy", "",
          "minimum_frequency_threshold 10 then, 12 now")
    lab.ask("table", "lung", "sex * status", "--save", lab.home / "third.receipt")
    check("under it the answer is the same again", replay(lab.home / "third.receipt").status == 0)
    pack(lab.home / "bad.receipt", [f for f in unpack(table) if f[0] != PROOF])
    a = replay(lab.home / "bad.receipt")
    check("a receipt that does not hold is not replayed", a.status == 1
          and "cannot be compared" in a.err, a.out + a.err)

    changed = lab.home / "changed.yaml"
    changed.write_text((LUNG / "lung.yaml").read_text().replace("bounds: [0, 2000]", "bounds: [0, 3000]"))
    third = lab.home / "third.receipt"
    for i in range(3):
        key, signed = lab.dir / "keys" / f"{lab.node(i).name}.key", lab.home / f"{i}.codebook"
        done = [lab.run(NODED, "codebook", "sign", "--key", key, changed, "-o", signed),
                lab.noded(i, "codebook", "add", signed),
                lab.noded(i, "data", "import", "lung", SITES[i])]
        check(f"site {i} takes another codebook", all(d.status == 0 for d in done),
              [d.out + d.err for d in done])
    a = replay(third)
    check("a new codebook is named", a.status == 1 and not a.json["answered"]
          and "codebook" in {c["cause"] for c in a.json["causes"]}, a.out + a.err)
    lab.ask("table", "lung", "sex * status", "--save", lab.home / "fourth.receipt")
    check("asked under the new one it replays", replay(lab.home / "fourth.receipt").status == 0)

    lab.stop_node(2)
    a = replay(lab.home / "fourth.receipt")
    named("a site that is gone is named", a, "site_gone", "hospital_c", "hospital_c is down")
    check("nothing was answered", not a.json["answered"] and a.json["now"] is None, a.out)
    lab.serve(2)
    lab.wait_linked()
    check("when it is back, so is the answer", replay(lab.home / "fourth.receipt").status == 0)


def permits(lab):
    path, papers, permit = lab.home / "fourth.receipt", lab.dir / "papers", lab.home / "second.permit"
    first = lab.sql(0, "SELECT lower(hex(id)) FROM permit")[0][0]
    done = [lab.run(NODED, "permit", "new", "--title", "second", "--purpose", "a test", "--dataset",
                    "lung", "--researcher", papers / "researcher.card", "--member", "all",
                    "--manifest", papers / "manifest", "-o", permit)]
    done += [lab.run(NODED, "permit", "sign", "--key", lab.dir / "keys" / f"{lab.node(i).name}.key",
                     permit) for i in range(3)]
    done += [lab.noded(i, "permit", "add", permit) for i in range(3)]
    check("a second permit", all(d.status == 0 for d in done), [d.err for d in done])
    a = lab.ask("replay", path, "--permit", "second")
    check("under another permit it is the same answer", a.status == 0 and a.json["same"]
          and lab.cohortium("verify", "last", "--profile", "lab-test", "--json").json["permit"]
          == "second", a.out + a.err)
    a = lab.ask("replay", path)
    check("and the first permit is taken by itself", a.status == 0
          and lab.cohortium("verify", "last", "--profile", "lab-test", "--json").json["permit"]
          == "lab test", a.out + a.err)
    lab.sql(0, "DELETE FROM permit WHERE lower(hex(id)) = ?", first)
    a = lab.ask("replay", path)
    check("a permit that is gone is named", a.status == 1 and not a.json["answered"]
          and [c["cause"] for c in a.json["causes"]] == ["permit"]
          and "lab test" in a.json["causes"][0]["text"], a.out + a.err)


def leaving(lab):
    path, manifest = lab.home / "fourth.receipt", lab.home / "manifest.2"
    done = [lab.noded(0, "consortium", "revoke", "--reason", "a test", "-o", manifest, "hospital_c")]
    done += [lab.run(NODED, "consortium", "sign", "--key", key, manifest)
             for key in sorted((lab.dir / "keys").glob("governance*.key"))]
    done += [lab.noded(0, "consortium", "publish", manifest)]
    check("hospital_c is a member no more", all(d.status == 0 for d in done),
          [d.out + d.err for d in done])
    a = lab.ask("replay", path)
    check("a member that left is named", a.status == 1 and not a.json["answered"]
          and [(c["cause"], c["site"]) for c in a.json["causes"]] == [("site_gone", "hospital_c")]
          and "no member" in a.json["causes"][0]["text"], a.out + a.err)
    a = lab.cohortium("verify", path, "--profile", "lab-test")
    check("what it answered is proved for good", a.status == 0, a.out + a.err)


def exporting(lab, path):
    crate = lab.home / "crate"
    a = lab.cohortium("export", path, "--profile", "lab-test")
    check("export needs to be told where", a.status == 2 and "--ro-crate" in a.err, a.err)
    a = lab.cohortium("export", path, "--ro-crate", crate, "--profile", "lab-test")
    check("a receipt becomes a crate", a.status == 0 and a.err == "", a.out + a.err)
    check("it follows the rules of RO-Crate and of the Five Safes",
          rocrate.problems(crate) == [], rocrate.problems(crate))
    a = lab.cohortium("verify", crate / "answer.receipt", "--profile", "lab-test")
    check("the receipt in it verifies", a.status == 0, a.err)
    told = lab.cohortium("verify", path, "--profile", "lab-test", "--json").json

    reader = rocrate.Reader(crate)
    by_id = reader.by_id
    check("safe people: the researcher and the officers", by_id["#researcher"]["name"]
          == told["researcher"] and len([e for e in by_id if e.startswith("#officer-")]) == 3)
    check("safe projects: the permit", by_id["#project"]["name"] == told["permit"]
          and by_id["#project"]["description"] != "")
    check("safe data: the versions that answered", all(
        by_id["#data-" + p["site"]]["version"] == p["dataset_version"]
        and reader.of(by_id["#data-" + p["site"]], "isBasedOn")[0]["@id"] == "codebook.yaml"
        for p in told["proofs"]), told)
    check("safe settings: the policy's numbers", by_id["#policy-minimum_frequency_threshold"]["value"]
          == 10 and by_id["#policy"]["identifier"].endswith(told["proofs"][0]["policy"]))
    check("safe outputs: each site's decision", all(
        "approved" in by_id["#disclosure-" + p["site"]]["name"]
        and by_id["#disclosure-" + p["site"]]["endTime"] == p["logged_at"] for p in told["proofs"]))

    check("the witnesses of each site's log, and of how many records", all(
        sorted(a["@id"] for a in reader.of(by_id["#witness-" + p["site"]], "agent"))
        == sorted("#member-" + s["site"] for s in told["proofs"] if s != p)
        and by_id["#checkpoint-" + p["site"]]["version"] == p["size"]
        and by_id["#witness-" + p["site"]]["name"].endswith("records: witnessed")
        for p in told["proofs"]), (told, [e for e in by_id if "witness" in e]))
    alone = lab.home / "alone.receipt"
    pack(alone, [(n, without_witnesses(p) if n == PROOF else p) for n, p in unpack(path)])
    a = lab.cohortium("export", alone, "--ro-crate", lab.home / "alone", "--profile", "lab-test")
    said = rocrate.Reader(lab.home / "alone").by_id if a.status == 0 else {}
    check("one without cosignatures says that it is unwitnessed", a.status == 0
          and rocrate.problems(lab.home / "alone") == [] and all(
              "unwitnessed: 0 other" in said["#witness-" + p["site"]]["error"]
              and "Failed" in said["#witness-" + p["site"]]["actionStatus"]
              for p in told["proofs"]), (a.out + a.err, said and rocrate.problems(lab.home / "alone")))

    result = json.loads((crate / "result.json").read_text())["releases"][0]
    values = {i["name"]: i["values"] for i in result["items"]}
    rows = [r for r in csv.DictReader(open(crate / "result.csv", encoding="utf-8"))
            if r["item"] == "counts"]
    asked = lab.ask("table", "lung", "sex * status").json["items"]["counts"]
    check("JSON and CSV hold the released numbers", values["counts"] == sum(asked, [])
          and [float(r["value"]) for r in rows] == values["counts"]
          and [(r["row"], r["column"]) for r in rows]
          == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")], (values, rows, asked))
    page = (crate / "ro-crate-preview.html").read_text(encoding="utf-8")
    check("the page shows the table and what is proved", "odds ratio" in page
          and "Safe people" in page and told["genesis"] in page and "<script" not in page)

    a = lab.cohortium("export", path, "--ro-crate", crate, "--profile", "lab-test")
    check("a folder that holds something is left alone", a.status == 2 and "not empty" in a.err, a.err)
    again = lab.home / "again"
    lab.cohortium("export", path, "--ro-crate", again, "--profile", "lab-test")
    check("the same receipt gives the same bytes", all(
        (again / f).read_bytes() == (crate / f).read_bytes()
        for f in ("ro-crate-metadata.json", "result.csv", "ro-crate-preview.html")))

    clean = dict(lab.env, XDG_CONFIG_HOME=str(lab.home / "nobody"), HOME=str(lab.home / "nobody"))
    bare = lab.home / "bare"
    a = lab.run(CLI, "export", path, "--ro-crate", bare, env=clean)
    check("without a profile it is a crate, too", a.status == 0 and "codebook" in a.err
          and rocrate.problems(bare) == [] and (bare / "result.csv").read_bytes()
          == (crate / "result.csv").read_bytes(), (a.out + a.err, rocrate.problems(bare)))
    refused = lab.home / "withheld.receipt"
    lab.ask("glm", "lung", "status ~ age + sex + factor(ph_ecog)", "--family", "binomial",
            "--save", refused)
    none = lab.home / "none"
    a = lab.cohortium("export", refused, "--ro-crate", none, "--profile", "lab-test")
    check("a NOT_RELEASED becomes a crate that says so", a.status == 0
          and rocrate.problems(none) == [] and rocrate.Reader(none).by_id["#query"]["error"]
          .startswith("not released"), (a.err, rocrate.problems(none)))
    pack(lab.home / "bad.receipt", [f for f in unpack(path) if f[0] != PROOF])
    a = lab.cohortium("export", lab.home / "bad.receipt", "--ro-crate", lab.home / "no")
    check("a receipt that does not hold is not exported", a.status == 1
          and not (lab.home / "no").exists(), a.out + a.err)
    breaking(crate)


def breaking(crate):
    """The reader of the rules sees what is wrong: each row spoils a good crate."""
    rows = [
        ("a missing file", lambda d, e: (d / "result.csv").unlink(), "does not exist"),
        ("another content", lambda d, e: (d / "result.json").write_text("{}"), "another digest"),
        ("a file too many", lambda d, e: (d / "x").touch(), "not described"),
        ("a lost entity", lambda d, e: e.pop("#project"), "refers to #project"),
        ("no project", lambda d, e: e["./"].pop("sourceOrganization"), "no Project"),
        ("no disclosure", lambda d, e: [e.pop(k) for k in list(e) if "disclosure" in k],
         "no DisclosureCheck"),
        ("no witness", lambda d, e: [e.pop(k) for k in list(e) if k.startswith("#witness-")],
         "not one CheckValue of the checkpoint"),
        ("a log witnessed by itself", lambda d, e: e["#witness-hospital_a"].update(
            agent=[{"@id": "#member-hospital_a"}, {"@id": "#member-hospital_b"}]), "fewer than two"),
        ("a log witnessed by one", lambda d, e: e["#witness-hospital_a"]["agent"].pop(),
         "fewer than two"),
        ("a silent lack of witnesses", lambda d, e: e["#witness-hospital_a"].update(
            actionStatus="http://schema.org/FailedActionStatus"), "no error says so"),
        ("no profile", lambda d, e: e["./"].pop("conformsTo"), "conform to the profile"),
        ("a loose file", lambda d, e: e["./"]["hasPart"].pop(0), "in no hasPart"),
    ]
    for claim, spoil, words in rows:
        copy = crate.parent / "spoiled"
        shutil.copytree(crate, copy)
        document = json.loads((copy / rocrate.METADATA).read_text())
        entities = {e["@id"]: e for e in document["@graph"]}
        spoil(copy, entities)
        document["@graph"] = list(entities.values())
        (copy / rocrate.METADATA).write_text(json.dumps(document))
        found = rocrate.problems(copy)
        check(f"the reader of the rules sees {claim}", any(words in f for f in found), found)
        shutil.rmtree(copy)


def by_site(lab):
    a = lab.ask("table", "lung", "sex * status", "--by-site", "--save", lab.home / "by.receipt")
    check("answered by site", a.status in (0, 3), a.err)
    v = lab.cohortium("verify", lab.home / "by.receipt", "--profile", "lab-test")
    check("verify names each site's own policy and release", v.status == 0
          and v.out.count("the rules were those") == 3 and v.out.count(" is signed by hospital_") == 3
          and "--by-site" in v.out, v.out + v.err)
    a = lab.ask("replay", lab.home / "by.receipt")
    check("by site it replays", a.status == 0 and a.json["same"], a.out + a.err)
    a = lab.cohortium("export", lab.home / "by.receipt", "--ro-crate", lab.home / "by",
                      "--profile", "lab-test")
    check("by site it is a crate", a.status == 0 and rocrate.problems(lab.home / "by") == [],
          (a.err, a.status == 0 and rocrate.problems(lab.home / "by")))
    rows = list(csv.DictReader(open(lab.home / "by" / "result.csv", encoding="utf-8")))
    check("its rows name their sites", {r["site"] for r in rows}
          <= {"hospital_a", "hospital_b", "hospital_c"} and rows, rows)
    lab.noded(0, "data", "import", "lung", SITES[0])
    a = lab.ask("replay", lab.home / "by.receipt")
    check("by site a new version is named", a.status == 1
          and [(c["cause"], c["site"]) for c in a.json["causes"]]
          == [("dataset_version", "hospital_a")], a.out + a.err)


if __name__ == "__main__":
    with Lab(policy="cautious") as lab:
        keeping(lab)
        bounds(lab)
        saved = lab.home / "one.receipt"
        lab.ask("table", "lung", "sex * status", "--save", saved)
        # Asked for the first time under its own name, so that it has ACCEPTs.
        for i in range(3):
            lab.sql(i, "DELETE FROM answer")
        saved.unlink()
        lab.ask("table", "lung", "sex * status", "--save", saved)
        words(lab, saved)
        tampering(lab, saved)
        exporting(lab, saved)
        replaying(lab)
        permits(lab)
        leaving(lab)
    with Lab(policy="cautious", options=["--permit-by-site"]) as lab:
        by_site(lab)
    check.end()
