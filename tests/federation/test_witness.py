"""Members witness each other's logs: answers say by whom; a log that is edited, cut, rolled back
or restored from an old copy is named, and two peers hold the contradiction.

Checkpoints, cosignatures and proofs are checked here by C2SP's and RFC 6962's rules, written
anew in Python over libsodium."""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import pathlib
import re
import shutil
import sqlite3
import struct
import time

from lab import LUNG, Checks, Lab, wait_for

check = Checks()
sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")


# ---- C2SP and RFC 6962, independently ----

def ed25519_holds(key, message, signature):
    return sodium.crypto_sign_verify_detached(signature, message,
                                              ctypes.c_ulonglong(len(message)), key) == 0


def key_hash(name, kind, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def read_note(note):
    """(origin, size, root, text, [(name, blob)])"""
    text, lines = note.split("\n\n", 1)
    origin, size, root = text.split("\n")
    found = []
    for line in lines.splitlines():
        dash, name, blob = line.split(" ")
        assert dash == "\u2014"
        found.append((name, base64.b64decode(blob, validate=True)))
    return origin, int(size), base64.b64decode(root, validate=True), text + "\n", found


def log_holds(note, key):
    origin, _, _, text, found = read_note(note)
    return any(name == origin and blob[:4] == key_hash(origin, 1, key) and len(blob) == 68
               and ed25519_holds(key, text.encode(), blob[4:]) for name, blob in found)


def cosigners(note, keys):
    """Names whose cosignature/v1 holds, with its time. keys: {name: key}"""
    origin, _, _, text, found = read_note(note)
    held = {}
    for name, blob in found:
        key = keys.get(name)
        if key is None or name == origin or len(blob) != 76 or blob[:4] != key_hash(name, 4, key):
            continue
        seconds = struct.unpack(">Q", blob[4:12])[0]
        message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        if ed25519_holds(key, message, blob[12:]):
            held[name.rsplit("/", 1)[1]] = seconds
    return held


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(a, b):
    return hashlib.sha256(b"\1" + a + b).digest()


def root_of(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(root_of(hashes[:k]), root_of(hashes[k:]))


def root_from(index, size, leaf, path):
    """RFC 9162 2.1.3.2, recursively: the root that this path gives."""
    def walk(index, size, rest):
        if size == 1:
            assert not rest
            return leaf
        k = 1 << (size - 1).bit_length() - 1
        if index < k:
            return node_hash(walk(index, k, rest[:-1]), rest[-1])
        return node_hash(rest[-1], walk(index - k, size - k, rest[:-1]))
    return walk(index, size, path)


def member_keys(lab):
    """{origin: node key}, from the last line of each export."""
    keys = {}
    for i in range(lab.n):
        last = json.loads(lab.noded(i, "audit", "export", "-").out.splitlines()[-1])
        keys[last["checkpoint"].split("\n")[0]] = bytes.fromhex(last["key"])
    return keys


# ---- helpers ----

class Witnessed(Lab):
    n = 3

    def shown(self, i, word, seconds=8):
        """Until status of node i has the word."""
        return wait_for(lambda: word in self.noded(i, "status").out, seconds)

    def settle(self):
        """Until every log is witnessed up to its end."""
        def whole():
            for i in range(self.n):
                found = re.search(r"witnessed up to (\d+) records", self.noded(i, "status").out)
                if not found or int(found.group(1)) != len(self.records(i)):
                    return False
            return True
        return wait_for(whole, 15)


def names_it(lab, what, i, words, peers=True):
    """verify at node i names it; the other two hold the contradiction and say so."""
    others = [k for k in range(3) if k != i]
    site = f"hospital_{'abc'[i]}"
    if peers:
        for k in others:
            check(f"{what}: hospital_{'abc'[k]} tells it in its status",
                  lab.shown(k, f"CONTRADICTION in the log of {site}"), lab.noded(k, "status").out)
    a = lab.noded(i, "audit", "verify")
    check(f"{what}: verify fails and names it",
          a.status == 1 and re.search(words, a.err) is not None, a.out + a.err)
    if not peers:
        return
    check(f"{what}: verify tells who holds the contradiction", all(
        re.search(rf"hospital_{'abc'[k]} +holds a CONTRADICTION", a.err) for k in others), a.err)
    for k in others:
        a = lab.noded(k, "audit", "witnesses")
        notes = re.findall(r"    held:\n(.*?)    shown:\n(.*?)(?=\n    contra|\n  hospital|\Z)",
                           a.out, re.S)
        check(f"{what}: hospital_{'abc'[k]} keeps both notes, signed by {site}", len(notes) >= 1
              and all(log_holds(n.strip("\n") + "\n", lab.keys[lab.origin(i)])
                      for pair in notes for n in pair), a.out)
        check(f"{what}: doctor of hospital_{'abc'[k]} says so",
              lab.noded(k, "doctor").status == 1)
        check(f"{what}: and its log has the record",
              any(" contradiction " in line for line in lab.records(k)), lab.records(k)[-3:])


def refuses(lab, what, i):
    a = lab.ask("count", "lung", "--where", "age >= 65")
    check(f"{what}: nothing is answered on such a log",
          a.status != 0 and f"hospital_{'abc'[i]}" in a.err and "items" not in a.out, a.out + a.err)
    check(f"{what}: status says why", "NOT READY" in lab.noded(i, "status").out)


def origin(lab, i):
    return next(o for o in lab.keys if o.endswith(f"hospital_{'abcd'[i]}"))


Witnessed.origin = origin


# ---- answers and receipts ----

def receipt_of(a):
    return a.json["receipt"]


def test_answers(policy):
    with Witnessed(policy=policy) as lab:
        lab.keys = member_keys(lab)
        a = lab.ask("count", "lung", "--where", "age >= 60")
        check(f"{policy}: an answer says by whom it is witnessed", a.status == 0
              and a.json["witnessed"]
              and a.json["witnesses"] == ["hospital_a", "hospital_b", "hospital_c"], a.out + a.err)
        a = lab.cohortium("count", "lung", "--where", "age >= 60", "--profile", "lab-test")
        check(f"{policy}: in words, too",
              "witnessed by hospital_a, hospital_b, hospital_c" in a.out, a.out)
        path = re.search(r"receipt: (\S+)", a.out).group(1)
        a = lab.cohortium("verify", path)
        check(f"{policy}: the receipt proves it offline",
              a.status == 0 and "witnessed by hospital_a" in a.out, a.out + a.err)
        # The file of questions: cosignatures are there at its end at the latest.
        a = lab.cohortium("run", "-", "--profile", "lab-test", "--json",
                          stdin="\n".join(f"count lung --where 'time >= {i}'" for i in range(1, 6)))
        paths = [json.loads(line)["receipt"] for line in a.out.splitlines()]
        check(f"{policy}: a file of questions", a.status == 0 and len(paths) == 5, a.out + a.err)
        verified = [lab.cohortium("verify", p, "--json").json for p in paths]
        check(f"{policy}: every receipt of it is witnessed in the end",
              all(v["witnessed"] for v in verified), a.err)

        check(f"{policy}: logs are witnessed to their end", lab.settle(), lab.noded(0, "status").out)
        a = lab.noded(0, "audit", "prove", "3")
        proof, note = a.out.split("\n\n", 1)
        lines = proof.split("\n")
        leaf = base64.b64decode(lines[1].split()[1])
        _, size, root, _, _ = read_note(note)
        path = [base64.b64decode(line) for line in lines[3:]]
        check(f"{policy}: a proof in C2SP's form", lines[0] == "c2sp.org/tlog-proof@v1"
              and lines[2] == "index 3" and root_from(3, size, leaf_hash(leaf), path) == root, a.out)
        check(f"{policy}: and not of another record",
              root_from(3, size, leaf_hash(leaf + b"x"), path) != root)
        check(f"{policy}: its checkpoint is signed by its node",
              log_holds(note, lab.keys[lab.origin(0)]))
        check(f"{policy}: and by no other", not log_holds(note, lab.keys[lab.origin(1)]))
        held = cosigners(note, lab.keys)
        check(f"{policy}: two others have cosigned it, just now",
              sorted(held) == ["hospital_b", "hospital_c"]
              and all(abs(time.time() - t) < 120 for t in held.values()), note)
        swapped = {o: lab.keys[lab.origin((i + 1) % 3)] for i, o in
                   enumerate(sorted(lab.keys))}
        check(f"{policy}: under other keys they do not hold", not cosigners(note, swapped))
        older = note.replace(f"\n{size}\n", f"\n{size - 1}\n")
        check(f"{policy}: nor for another size", not cosigners(older, lab.keys))

        a = lab.noded(0, "audit", "prove", "3", "-o", str(lab.home / "p"))
        check(f"{policy}: a proof goes to a file", a.status == 0
              and (lab.home / "p").read_text().startswith("c2sp.org"), a.out + a.err)
        a = lab.noded(0, "audit", "prove", "999")
        check(f"{policy}: of a record that is there", a.status == 1 and "999" in a.err, a.err)

        # A sixth of a second after start nothing is cosigned yet at a node that is alone.
        for i in (1, 2):
            lab.stop_node(i)
        lab.noded(0, "researcher", "issue", "/nowhere", "-o", "/nowhere/at/all")
        check(f"{policy}: a log that stands alone says up to where it was witnessed",
              "witnessed up to" in lab.noded(0, "status").out)


def test_two_sites_are_too_few():
    with Witnessed(sites=[LUNG / "split_k3" / f"site{i}.csv" for i in (1, 2)],
                   options=["--permit-by-site"]) as lab:
        began = time.monotonic()
        a = lab.ask("count", "lung", "--by-site")
        took = time.monotonic() - began
        check("with one other institution an answer is unwitnessed and says so",
              a.status == 0 and a.json["witnessed"] is False, a.out + a.err)
        check("and nobody waits for witnesses who do not exist", took < 3, took)
        a = lab.cohortium("count", "lung", "--by-site", "--profile", "lab-test")
        check("in words, too", "unwitnessed: fewer than 2 other" in a.out, a.out)
        path = re.search(r"receipt: (\S+)", a.out).group(1)
        a = lab.cohortium("verify", path)
        check("its receipt holds and says so", a.status == 0 and "unwitnessed" in a.out, a.out)
        a = lab.cohortium("verify", path, "--online", "--profile", "lab-test")
        check("online it stays so", a.status == 0 and "unwitnessed" in a.out, a.out + a.err)
        check("status says so", "UNWITNESSED" in lab.noded(0, "status").out)


def test_a_receipt_is_witnessed_later():
    with Witnessed() as lab:
        a = lab.cohortium("run", "-", "--profile", "lab-test", "--json", "--no-save",
                          stdin="count lung\n")
        check("without a receipt nothing can be added to it",
              "unwitnessed" in a.err or json.loads(a.out)["witnessed"], a.err)
        a = lab.cohortium("run", "-", "--profile", "lab-test", "--json",
                          stdin=f"count lung --save {lab.home}/one.receipt\n")
        text = (lab.home / "one.receipt").read_bytes()
        a = lab.cohortium("verify", lab.home / "one.receipt", "--profile", "lab-test", "--json")
        check("a receipt saved elsewhere is completed, too", a.status == 0 and a.json["witnessed"],
              a.out + a.err)
        a = lab.cohortium("verify", lab.home / "one.receipt", "--online", "--profile", "lab-test")
        check("going online changes nothing of a witnessed one",
              a.status == 0 and (lab.home / "one.receipt").read_bytes() == text, a.out + a.err)


# ---- export and report ----

def test_export_and_report():
    with Witnessed(policy="cautious") as lab:
        lab.ask("count", "lung", "--where", "age >= 60", "--note", "for the <board>")
        lab.ask("count", "lung", "--where", "age >= 60")
        a = lab.ask("glm", "lung", "status ~ age + sex + factor(ph_ecog)", "--family", "binomial")
        reference = a.json["reference"]
        lab.ask("count", "lung", "--by-site")
        path = lab.home / "log.jsonl"
        a = lab.noded(0, "audit", "export", str(path))
        check("the log is exported", a.status == 0, a.err)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        head = rows.pop()
        hashes = [leaf_hash(base64.b64decode(r["leaf"])) for r in rows]
        check("every leaf gives its hash", [h.hex() for h in hashes] == [r["hash"] for r in rows])
        check("all leaves give the signed root", root_of(hashes).hex() == head["root"]
              and read_note(head["checkpoint"])[1:3] == (len(rows), root_of(hashes))
              and log_holds(head["checkpoint"], bytes.fromhex(head["key"])), head)
        check("details belong to their records", all(
            hashlib.sha256(bytes.fromhex(r["salt"]) + r["details"].encode()).digest()
            in base64.b64decode(r["leaf"]) for r in rows))
        a = lab.noded(0, "audit", "export", str(path))
        check("no file is written over", a.status == 1 and "exists" in a.err, a.err)
        a = lab.noded(0, "audit", "prove", reference)
        check("a refusal is proved by its reference", a.status == 0
              and f"index {len(rows) - 2}" in a.out, a.out[:300] + a.err)

        today = time.strftime("%Y-%m-%d", time.gmtime())
        a = lab.noded(0, "audit", "report", "--from", today, "--to", today)
        for word in ("hospital_a", "lab_researcher of hospital_a", "count lung --where 'age >= 60'",
                     "note: for the <board>", 'permit "lab test"', "question 1 of this permit",
                     "not_released", "nothing charged", "invalid", "codebook of lung added",
                     "1 not released, 1 answered before, 1 refused"):
            check(f"the report says: {word}", word in re.sub(r"\s+", " ", a.out), a.out)
        check("in lines that fit a page", max(map(len, a.out.splitlines())) <= 92, a.out)
        a = lab.noded(0, "audit", "report", "--html", "-o", str(lab.home / "r.html"))
        page = (lab.home / "r.html").read_text()
        check("as a page to print, nothing in it is markup that somebody wrote",
              a.status == 0 and page.startswith("<!DOCTYPE html>")
              and "&lt;board&gt;" in page and "<board>" not in page, a.out + a.err)
        a = lab.noded(0, "audit", "report", "--from", "2001-01-01", "--to", "2001-01-31")
        check("other days have nothing", a.status == 0 and "count of lung" not in a.out, a.out)
        a = lab.noded(0, "audit", "report", "--from", "2026-02-30")
        check("a day that does not exist is wrong usage", a.status == 2 and "2026-02-30" in a.err,
              a.err)
        a = lab.noded(0, "audit", "report", "--from", today, "--to", "2001-01-01")
        check("and so are days in the wrong order", a.status == 2, a.err)


# ---- tampering: the file of a stopped node is changed ----

def rebuild(lab, i, change):
    """What somebody does who knows the format: leaves changed, the whole tree made anew."""
    with sqlite3.connect(lab.node(i) / "vault.db") as db:
        rows = change(db.execute("SELECT leaf, details, salt FROM log ORDER BY idx").fetchall())
        for table in ("log", "log_node", "log_checkpoint", "cosignature", "peer_knows"):
            db.execute(f"DELETE FROM {table}")
        hashes = [leaf_hash(r[0]) for r in rows]
        for index, (leaf, details, salt) in enumerate(rows):
            db.execute("INSERT INTO log VALUES(?,?,?,?,?)",
                       (index, leaf, hashes[index], details, salt))
        level = 1
        while len(hashes) > 1:
            hashes = [node_hash(a, b) for a, b in zip(hashes[::2], hashes[1::2])]
            for index, value in enumerate(hashes):
                db.execute("INSERT INTO log_node VALUES(?,?,?)", (level, index, value))
            level += 1
    db.close()


def edited(rows):
    leaf, details, salt = rows[2]
    rows[2] = (leaf.replace(b"done", b"dona"), details, salt)
    return rows


TAMPER = [
    ("a record edited", lambda lab: lab.sql(2, "UPDATE log SET leaf=x'0a0161' WHERE idx=3"),
     r"record 3 does not fit"),
    ("a record deleted", lambda lab: lab.sql(2, "DELETE FROM log WHERE idx=4"),
     r"record 4 does not fit"),
    ("the newest records cut off", lambda lab: (
        lab.sql(2, "DELETE FROM log WHERE idx>=5"),
        lab.sql(2, "DELETE FROM log_node WHERE (idx+1)<<level > 5"),
        lab.sql(2, "DELETE FROM log_checkpoint WHERE size>5"),
        lab.sql(2, "DELETE FROM cosignature"), lab.sql(2, "DELETE FROM peer_knows")),
     r"records? .*(gone|removed)|rolled back"),
    ("the log written anew with one record changed", lambda lab: rebuild(lab, 2, edited),
     r"one of the records \d+ to \d+|rewritten"),
    ("the log written anew without one record",
     lambda lab: rebuild(lab, 2, lambda rows: rows[:3] + rows[4:]),
     r"one of the records \d+ to \d+|rewritten|rolled back"),
]


def test_tampering(what, tamper, words):
    with Witnessed() as lab:
        lab.keys = member_keys(lab)
        lab.ask("count", "lung", "--where", "age >= 60")
        lab.ask("count", "lung", "--where", "age >= 70")
        check(f"{what}: before, all is witnessed", lab.settle(), lab.noded(2, "status").out)
        lab.stop_node(2)
        tamper(lab)
        a = lab.serve(2)
        check(f"{what}: the node starts", a.status == 0, a.out + a.err)
        lab.wait_linked()
        names_it(lab, what, 2, words)
        refuses(lab, what, 2)


def test_details():
    """The tree does not hold a record's words, only their salted hash."""
    with Witnessed() as lab:
        lab.keys = member_keys(lab)
        lab.settle()
        lab.stop_node(1)
        lab.sql(1, "UPDATE log SET details='nothing happened' WHERE idx=2")
        lab.serve(1)
        lab.wait_linked()
        names_it(lab, "details edited", 1, r"record 2 .*details were changed", peers=False)
        refuses(lab, "details edited", 1)


def test_old_copy():
    """A whole folder from yesterday: whole in itself, and older than what two peers know."""
    with Witnessed() as lab:
        lab.keys = member_keys(lab)
        lab.ask("count", "lung", "--where", "age >= 60")
        lab.settle()
        lab.stop_node(2)
        folder, old = lab.node(2), lab.node(2).with_suffix(".old")
        newest = lab.node(2).with_suffix(".newest")
        shutil.copytree(folder, old, ignore=shutil.ignore_patterns("admin.sock"))
        lab.serve(2)
        lab.wait_linked()
        for age in (50, 70, 75):
            check("questions in between", lab.ask("count", "lung", "--where", f"age >= {age}").status
                  == 0)
        lab.settle()
        lab.stop_node(2)
        folder.rename(newest)
        old.rename(folder)
        a = lab.serve(2)
        check("an old copy: it starts", a.status == 0, a.out + a.err)
        lab.wait_linked()
        names_it(lab, "an old copy", 2, r"rolled back")
        refuses(lab, "an old copy", 2)
        lab.stop_node(2)
        lab.serve(2)
        lab.wait_linked()
        check("an old copy: after another start it is still refused",
              lab.shown(2, "NOT READY"), lab.noded(2, "status").out)
        lab.stop_node(2)
        shutil.rmtree(folder)
        newest.rename(folder)
        lab.serve(2)
        lab.wait_linked()
        check("with the newest copy back it answers again", wait_for(
            lambda: lab.ask("count", "lung", "--where", "age >= 65").status == 0, 10),
            lab.noded(2, "status").out)
        check("and is cosigned again", lab.settle(), lab.noded(2, "status").out)
        for k in (0, 1):
            a = lab.noded(k, "audit", "witnesses")
            check("its peers keep what they were shown", "consistent again" in a.out
                  and "contradiction of" in a.out, a.out)
            check("and complain no more", "CONTRADICTION" not in lab.noded(k, "status").out)
        check("verify agrees", lab.noded(2, "audit", "verify").status == 0)


def test_while_it_runs():
    with Witnessed() as lab:
        lab.keys = member_keys(lab)
        lab.settle()
        lab.sql(1, "UPDATE log SET leaf=x'0a0161' WHERE idx=2")
        a = lab.noded(1, "audit", "verify")
        check("changed under a running node: verify names it", a.status == 1
              and "record 2 does not fit" in a.err, a.out + a.err)
        names_it(lab, "changed under a running node", 1, r"record 2 does not fit")
        refuses(lab, "changed under a running node", 1)


for class_of in ("cautious", "exact-for-testing"):
    test_answers(class_of)
test_two_sites_are_too_few()
test_a_receipt_is_witnessed_later()
test_export_and_report()
for case in TAMPER:
    test_tampering(*case)
test_details()
test_old_copy()
test_while_it_runs()
check.end()
