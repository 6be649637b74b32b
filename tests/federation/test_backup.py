"""Backup and restore of real nodes: complete or not at all, verified, and no way to forget."""
import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess

from lab import CLI, NODED, Checks, Lab, wait_for

check = Checks()
COHORT = ("--where", 'age >= 60 and sex == "female"')


def backup(lab, i, name, *more):
    return lab.noded(i, "backup", "--to", lab.home / name, *more)


def restore(lab, name, folder, *more):
    return lab.run(NODED, "restore", lab.home / name, folder, *more)


def bend(lab, name, how):
    """A copy of the backup `good`, bent; its folder's name."""
    shutil.copytree(lab.home / "good", lab.home / name)
    how(lab.home / name)
    return name


def flip(file):
    def how(folder):
        path = folder / file
        path.chmod(0o600)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    return how


def index(change):
    def how(folder):
        path = folder / "backup"
        path.write_text(change(path.read_text()))
    return how


def sql(text):
    """Changes vault.db and makes the index fit again: only its meaning can tell."""
    def how(folder):
        with contextlib.closing(sqlite3.connect(folder / "vault.db")) as db:
            with db:
                db.execute(text)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = (folder / "vault.db").read_bytes()
        lines = [f"file {hashlib.sha256(content).hexdigest()} {len(content)} 0600 vault.db"
                 if line.endswith(" vault.db") else line
                 for line in (folder / "backup").read_text().splitlines()]
        (folder / "backup").write_text("\n".join(lines) + "\n")
    return how


with Lab(policy="cautious") as lab:
    lab.ask("count", "lung", "--where", "age >= 60")
    first = lab.ask("count", "lung", *COHORT)
    check("a question before the backup", first.status == 0, first.err)
    a = backup(lab, 0, "good")
    good = lab.home / "good"
    check("the backup of a running node", a.status == 0 and "records" in a.out, a.out + a.err)
    digest = a.out.split("its digest: ")[1].split()[0]
    names = {str(p.relative_to(good)) for p in good.rglob("*") if p.is_file()}
    check("keys, manifest, database, data and index are in it, nothing else",
          names >= {"backup", "node.yaml", "vault.db", "keys/signing.key", "keys/noise.key",
                    "keys/patient.key", "manifest/1", "manifest/genesis"}
          and sum(n.endswith(".col") for n in names) > 5
          and not any(n.startswith("run/") or "lock" in n or "-wal" in n for n in names), names)
    check("its digest is that of its index",
          digest == hashlib.sha256((good / "backup").read_bytes()).hexdigest())
    check("nobody else may read it", good.stat().st_mode & 0o777 == 0o700
          and (good / "vault.db").stat().st_mode & 0o077 == 0)
    check("the node went on", lab.ask("count", "lung").status == 0)
    a = backup(lab, 0, "good")
    check("a folder that is there is not overwritten", a.status == 1 and "choose a new one" in a.err
          and digest == hashlib.sha256((good / "backup").read_bytes()).hexdigest(), a.err)
    a = lab.noded(0, "backup", "--to", lab.home / "none" / "b")
    check("a place that cannot be written is said", a.status == 1, a.out + a.err)
    a = lab.noded(0, "backup")
    check("without a place it is wrong usage", a.status == 2 and "--to" in a.err, a.err)
    a = lab.run(NODED, "backup", "--dir", lab.home, "--to", lab.home / "x")
    check("a folder that is no node's", a.status == 1 and "is not a node's folder" in a.err, a.err)
    wrong = lab.sql(0, "SELECT count(*) FROM ledger")[0][0]
    check("the ledger is not empty", wrong > 0, wrong)

    for name, how, text in (
            ("a flipped bit in the database", flip("vault.db"), "vault.db is not what the index"),
            ("in a column", flip(sorted(n for n in names if n.endswith("age.col"))[0]), "age.col is"),
            ("in a key", flip("keys/signing.key"), "signing.key is not what"),
            ("in the index", index(lambda t: t.replace("\nmade 2", "\nmxde 2")), "expected `made`"),
            ("a file that is gone", lambda f: (f / "keys" / "noise.key").unlink(), "noise.key"),
            ("an index without its end", index(lambda t: t[:t.index("\nend")] + "\n"),
             "expected `end`"),
            ("a name that leads out", index(lambda t: t.replace(" vault.db", " ../vault.db")),
             "the name of a file of a node"),
            ("a name twice", index(lambda t: t.replace("keys/patient.key", "keys/noise.key")),
             "each once"),
            ("a log of another size", index(lambda t: t.replace("\nlog ", "\nlog 1")),
             "is not the one that its index names"),
            ("a ledger with a row less", sql("DELETE FROM ledger WHERE row ="
                                             " (SELECT min(row) FROM ledger)"), "ledger: "),
            ("a ledger without its last row", sql("DELETE FROM ledger WHERE row ="
                                                  " (SELECT max(row) FROM ledger)"),
             "it was cut or rolled back"),
            ("a ledger that is gone", sql("DELETE FROM ledger"), "it was cut or rolled back"),
            ("a ledger with a changed row", sql("UPDATE ledger SET name = 'x'"), "ledger: row 1"),
            ("a log with a record less", sql("DELETE FROM log WHERE idx = 2"), "log: record 2"),
            ("a log with changed details", sql("UPDATE log SET details = 'x' WHERE idx = 1"),
             "log: record 1"),
            ("another node's name", index(lambda t: t.replace("node hospital_a", "node hospital_b")),
             "of another node")):
        a = restore(lab, bend(lab, name.replace(" ", "_"), how), lab.home / "restored")
        check(f"refused: {name}", a.status == 1 and text in a.err
              and not list(lab.home.glob("restored*")), a.out + a.err)
    a = restore(lab, "good", lab.home / "restored", "--digest", "00" * 32)
    check("refused: another digest", a.status == 1 and "another backup" in a.err, a.err)
    a = restore(lab, "good", lab.home / "restored", "--digest", "12")
    check("a digest that is none is wrong usage", a.status == 2, a.err)
    a = restore(lab, "good", lab.node(0))
    check("refused: a folder with something in it", a.status == 1 and "choose a new" in a.err, a.err)
    a = restore(lab, "none", lab.home / "restored")
    check("refused: no backup", a.status == 1 and "is no backup" in a.err, a.err)
    a = lab.noded(0, "audit", "accept-restore", "--reason", "x")
    check("a node that was not restored has nothing to accept", a.status != 0
          and "was not restored" in a.err, a.err)

    lab.stop_node(0)
    a = backup(lab, 0, "stopped")
    check("the backup of a stopped node", a.status == 0, a.out + a.err)
    shutil.move(lab.node(0), lab.home / "old")
    # Alone: nobody can compare.
    for i in (1, 2):
        lab.stop_node(i)
    a = restore(lab, "stopped", lab.node(0))
    check("it is restored", a.status == 0 and "answers nothing until another member" in a.out,
          a.out + a.err)
    check("and serves", lab.serve(0).status == 0, lab.log(0))
    a = lab.noded(0, "status")
    check("restored and not yet compared: it answers nothing, and says why",
          "NOT READY" in a.out and "restored and not yet compared" in a.out, a.out)
    a = lab.noded(0, "doctor")
    check("doctor says so", a.status == 1 and "restored and not yet compared" in a.out, a.out)
    lab.stop_node(0)
    lab.serve(0)
    a = lab.noded(0, "status")
    check("also after a restart", "restored and not yet compared" in a.out, a.out)
    a = lab.ask("count", "lung", *COHORT, "--by-site", "--sites", "hospital_a")
    check("a question is refused", a.status != 0 and "restored" in a.out + a.err, a.out + a.err)
    a = lab.noded(0, "audit", "accept-restore")
    check("it is taken on with a reason alone", a.status == 2 and "--reason" in a.err, a.err)
    a = lab.noded(0, "audit", "accept-restore", "--reason", "the others are gone")
    check("the operator takes it on", a.status == 0, a.err)
    a = lab.noded(0, "status")
    check("then it is ready", "ready: it answers questions" in a.out, a.out)
    a = lab.noded(0, "audit", "accept-restore", "--reason", "x")
    check("once", a.status != 0, a.out)
    shown = "\n".join(lab.records(0))
    check("all of it stands in the log", "restored from a backup of" in shown
          and "taken on by the operator: the others are gone" in shown, shown)
    a = lab.noded(0, "audit", "verify")
    check("which is whole", a.status == 0, a.out + a.err)
    for i in (1, 2):
        lab.serve(i)
    lab.wait_linked()
    a = lab.ask("count", "lung", *COHORT)
    check("the same question has the same answer", a.status == 0
          and a.json["items"] == first.json["items"], a.out + a.err)

    # While questions go on, every copy is of one moment.
    asked = subprocess.Popen([str(CLI), "run", "-", "--profile", "lab-test", "--keep-going",
                              "--no-save"], env=lab.env, stdin=subprocess.PIPE, text=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asked.stdin.write("".join(f"count lung --where 'age >= {40 + i}'\n" for i in range(40)))
    asked.stdin.close()
    for k in range(4):
        a = backup(lab, 0, f"busy{k}")
        b = restore(lab, f"busy{k}", lab.home / f"quiet{k}")
        check(f"the backup of a busy node is whole ({k})", a.status == b.status == 0,
              a.err + b.err)
    check("and the questions went on", asked.wait(60) in (0, 3), asked.returncode)

    lab.stop_node(2)
    column = next((lab.node(2) / "data").glob("v*/age.col"))
    column.chmod(0o600)
    os.truncate(column, 8 << 30)
    job = subprocess.Popen([str(NODED), "backup", "--dir", str(lab.node(2)), "--to",
                            str(lab.home / "cut")], stderr=subprocess.PIPE, text=True)
    check("a backup begins", wait_for(lambda: list(lab.home.glob("cut.partial-*/data/*")), 20))
    job.send_signal(signal.SIGINT)
    said = job.communicate(timeout=30)[1]
    check("one that is interrupted says so and leaves nothing", job.returncode == 1
          and "interrupted; nothing was written" in said and not list(lab.home.glob("cut*")), said)
def status(lab):
    return lab.noded(0, "status").out


def bring_back(lab, name):
    """The node's folder is what the backup holds; the others stay as they are."""
    if lab.processes(0):
        lab.stop_node(0)
    shutil.rmtree(lab.node(0))
    a = restore(lab, name, lab.node(0))
    check(f"{name} is restored", a.status == 0, a.err)
    check("and serves", lab.serve(0).status == 0)


# Members hold checkpoints of each other's logs: they find out by themselves.
with Lab(policy="cautious") as lab:
    def witnessed():
        """Every record of home's log is cosigned by both others."""
        n = lab.sql(0, "SELECT count(*) FROM log")[0][0]
        return f"witnessed up to {n} records" in status(lab)

    lab.ask("count", "lung", "--where", "age >= 60")
    check("the others have witnessed the log", wait_for(witnessed, 20), status(lab))
    check("an old backup", backup(lab, 0, "old").status == 0)
    a = lab.ask("count", "lung", "--where", "age >= 70")
    check("is older than one more answer", a.status == 0, a.err)
    check("that others have witnessed, too", wait_for(witnessed, 20), status(lab))
    lab.stop_node(0)
    check("a backup of all there is", backup(lab, 0, "all").status == 0)
    # It does not run again before: its start would be one more record that others have seen.

    bring_back(lab, "old")
    check("what an older copy has forgotten is noticed, by everybody who saw it",
          wait_for(lambda: "rolled back" in status(lab), 20), status(lab))
    a = lab.ask("count", "lung", "--where", "age >= 65")
    check("it answers nothing", a.status != 0, a.out)
    a = lab.noded(0, "audit", "accept-restore", "--reason", "never mind")
    check("and nobody can take that on", a.status == 3 and "rolled back" in a.err
          and "NOT READY" in status(lab), a.out + a.err + status(lab))
    lab.stop_node(0)
    lab.serve(0)
    check("not after a restart either", "rolled back" in status(lab), status(lab))

    bring_back(lab, "all")
    check("the newest copy is compared, and it answers again",
          wait_for(lambda: "ready: it answers questions" in status(lab), 30), status(lab))
    lab.wait_linked()
    shown = "\n".join(lab.records(0))
    check("who compared it stands in the log", "restored from a backup" in shown
          and ("that hospital_" in shown or "hospital_b has cosigned" in shown
               or "hospital_c has cosigned" in shown), shown)
    a = lab.ask("count", "lung", "--where", "age >= 70")
    check("the same question has its answer", a.status == 0, a.out + a.err)

    # A ledger that lacks a row is found when the node starts, before it answers.
    lab.stop_node(0)
    row = lab.sql(0, "SELECT * FROM ledger ORDER BY row DESC LIMIT 1")[0]
    lab.sql(0, "DELETE FROM ledger WHERE row=?", row[0])
    check("a node whose ledger was cut starts", lab.serve(0).status == 0)
    text = status(lab)
    check("and says that it answers nothing, why, and what to do", "NOT READY" in text
          and "ledger: it lacks rows that record" in text and "cohortiumd restore" in text, text)
    lab.wait_linked()
    a = lab.ask("count", "lung", "--where", "age >= 65")
    check("which is so", a.status != 0 and "hospital_a" in a.err, a.out + a.err)
    a = lab.noded(0, "doctor")
    check("doctor finds it, too", a.status == 1 and "PROBLEM  the ledger is whole" in a.out, a.out)
    a = lab.noded(0, "policy", "history")
    check("its officers may still read", a.status == 0, a.err)
    lab.stop_node(0)
    lab.sql(0, f"INSERT INTO ledger VALUES({','.join('?' * len(row))})", *row)
    lab.serve(0)
    check("with the row back it answers again",
          wait_for(lambda: "ready: it answers questions" in status(lab), 20), status(lab))
check.end()
