"""A disk that becomes full at each step: pages are left for the n-th write and not for the next.

In a mount namespace a node's folder stands on a small disk. Its write-ahead log is emptied, a
filler leaves j pages, and a whole question is asked, for j from none up to as many as it
needs: so each commit of it (charge, regions, decision, checkpoint, what witnesses hold) meets the
full disk. The same for what waits for later, for an import and a backup, and for the profile in
which receipts are kept. Everywhere: an error that says so, nothing half done, nothing told that
is not in the log, and with room again the node goes on by itself.
"""
import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys

from lab import SITES, Checks, Lab, wait_for

INSIDE = "in a namespace of its own"
PAGE = 4096
DISK_MB = 16
STRIDE = 3  # pages
FULL = r"disk is full|No space left|does not take what must be written"
EVERY = "--every" in sys.argv
check = Checks()


def re_run():
    """Where nobody else sees the small disks."""
    for unshare in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        with contextlib.suppress(OSError):
            if subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                              capture_output=True).returncode == 0:
                sys.exit(subprocess.run([*unshare, sys.executable, __file__, INSIDE,
                                         *sys.argv[1:]]).returncode)
    print("SKIP    a full disk: this user may not mount a disk of its own (unshare --mount)")
    sys.exit(77)


class Disk:
    """A small one under a folder, which moves onto it; `fill` leaves so many pages."""

    def __init__(self, folder):
        self.folder, self.filler = folder, folder / "filler"
        before = folder.with_name(folder.name + ".before")
        if folder.exists():
            folder.rename(before)
        folder.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs",
                        folder], check=True)
        if before.exists():
            subprocess.run(["cp", "-a", f"{before}/.", folder], check=True)
            shutil.rmtree(before)

    def fill(self, pages):
        self.free()
        left = os.statvfs(self.folder).f_bavail - pages
        with open(self.filler, "wb", buffering=0) as f:
            while left > 0:
                left -= f.write(bytes(PAGE * min(left, 256))) // PAGE

    def free(self):
        self.filler.unlink(missing_ok=True)

    def end(self):
        self.free()
        subprocess.run(["umount", "--lazy", self.folder], check=True)


def node_on_disk(lab, i):
    lab.stop_node(i)
    disk = Disk(lab.node(i))
    a = lab.serve(i)
    check(f"{lab.node(i).name} serves from a small disk", a.status == 0, a.err)
    lab.wait_linked()
    return disk


def empty_wal(lab, i):
    """Its pages go into the file, so that each new commit needs room of its own."""
    def done():
        return lab.sql(i, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
    return wait_for(done, 10)


def released(lab, i):
    """Questions whose release stands in the node's log, which the disk cannot hold back."""
    return sum(" released " in line for line in lab.records(i))


def pid_of_vault(lab, i):
    return lab.children(i).get("vault-process")


def cohorts():
    for sex in ("", ' and sex == "female"', ' and sex == "male"'):
        for age in range(45, 80):
            yield f"age >= {age}{sex}"


def is_clean(a, site):
    """Whole, or an error that names the site and what is wrong and to be done."""
    return a.status == 0 or (a.status == 1 and not a.out.strip() and site in a.err
                             and re.search(FULL, a.err)
                             and "cohortium collect" in a.err)


def questions(lab, i, disk, cohort):
    site, pages, whole = lab.node(i).name, 0, 0
    print(f"a question, {site}: every {1 if EVERY else STRIDE}. number of pages left")
    while whole < 2:  # with so many and some more it is whole
        q = ["count", "lung", "--where", next(cohort)]
        charges, told = [lab.charges(k) for k in range(3)], released(lab, i)
        vault = pid_of_vault(lab, i)
        empty = empty_wal(lab, i)
        disk.fill(pages)
        a = lab.ask(*q, "--deadline", "20", timeout=60)
        logged = released(lab, i)
        status = lab.noded(i, "status").status
        disk.free()
        what = f"{pages} pages are left at {site}"
        b = lab.ask(*q, timeout=60)
        problems = []
        if not empty:
            problems.append("the write-ahead log was not emptied")
        if not is_clean(a, site):
            problems.append(("no named error", a.out + a.err))
        if a.status == 0 and logged != told + 1:
            problems.append(("told and not logged", told, logged))
        if status != 0:
            problems.append("status was not told on a full disk")
        if b.status != 0 or (a.status == 0 and a.json["items"] != b.json["items"]):
            problems.append(("with room it is not answered alike", a.out, b.out + b.err))
        if [lab.charges(k) for k in range(3)] != [x + 1 for x in charges]:
            problems.append(("charges", charges, [lab.charges(k) for k in range(3)]))
        if pid_of_vault(lab, i) != vault:
            problems.append("its vault ended")
        check(f"{what}: {'answered' if a.status == 0 else 'failed'}; with room one answer, one "
              "charge, by itself", not problems, problems)
        if EVERY:
            print("       ", a.err.strip())
        whole = whole + 1 if a.status == 0 else 0
        pages += 1 if EVERY else STRIDE
        if pages > 400:
            check(f"{site}: a question needs fewer than 400 pages", False)
            return
    check(f"{site}: some of them failed", pages > 3 * STRIDE or EVERY, pages)


def whole_logs(lab, what):
    for i in range(3):
        a = lab.noded(i, "audit", "verify")
        check(f"{what}: the log of node {i} is whole", a.status == 0, a.out + a.err)
        a = lab.noded(i, "backup", "--to", lab.home / f"whole-{what.split()[0]}-{i}")
        check(f"{what}: its ledger is whole", a.status == 0, a.out + a.err)
    check(f"{what}: all three logs are witnessed again", wait_for(
        lambda: lab.ask("count", "lung").json.get("witnessed"), 20))


def sweep(step):
    """Pages left, for what needs more than a question does."""
    pages = 0
    while pages < DISK_MB * 256:
        yield pages
        pages += step


def imports(lab, i, disk):
    def versions():
        return sorted(p.name for p in (lab.node(i) / "data").iterdir())

    for pages in sweep(8):
        before, listed = versions(), lab.noded(i, "data", "list").out
        empty_wal(lab, i)
        disk.fill(pages)
        a = lab.noded(i, "data", "import", "lung", SITES[i])
        disk.free()
        if a.status == 0:
            break
        check(f"{pages} pages are left: an import says that the disk is full, nothing is half "
              "imported", a.status == 1 and re.search(FULL, a.err) and versions() == before and
              lab.noded(i, "data", "list").out == listed, (a.err, before, versions()))
    check("with so many it is imported, and some failed", a.status == 0 and pages > 8, a.err)


def backups(lab, i):
    target = lab.home / "target"
    disk = Disk(target)
    for pages in sweep(24):
        disk.fill(pages)
        a = lab.noded(i, "backup", "--to", target / "b")
        disk.free()
        if a.status == 0:
            break
        check(f"{pages} pages are left: a backup says that the disk is full and leaves nothing",
              a.status == 1 and re.search(FULL, a.err) and not list(target.iterdir()),
              (a.err, os.listdir(target)))
    check("with so many it is whole, and some failed", a.status == 0 and pages > 24, a.err)
    disk.end()


def laters(lab, disk, cohort):
    for pages in sweep(STRIDE):
        empty_wal(lab, 0)
        disk.fill(pages)
        q = ["count", "lung", "--where", next(cohort)]
        a = lab.ask(*q, "--later")
        disk.free()
        if a.status == 0:
            break
        check(f"{pages} pages are left: home says that it cannot keep a question",
              a.status == 1 and re.search(FULL, a.err), a.out + a.err)
        b = lab.ask(*q, "--later")
        check("with room it keeps it", b.status == 0, b.err)
        c = lab.ask("collect", b.json["later"]["id"], "--wait")
        check("and answers it", c.status == 0, c.err)
    check("with so many it is kept, and some failed", a.status == 0 and pages > 0, a.err)
    a = lab.ask("collect", a.json["later"]["id"], "--wait")
    check("and answered", a.status == 0, a.err)


def receipts(lab, cohort):
    """The researcher's own disk: an answer that cannot be kept is not lost."""
    profile = lab.home / "config/cohortium/profiles/lab-test"
    disk = Disk(profile)
    for pages in sweep(1):
        q = ["count", "lung", "--where", next(cohort)]
        charges = lab.charges(0)
        disk.fill(pages)
        a = lab.ask(*q)
        disk.free()
        left = [p for p in profile.rglob("*") if ".tmp" in p.name or p.stat().st_size == 0
                and p.is_file()]
        check(f"{pages} pages are left for the profile: it is said, and no half file is left",
              (a.status == 0 or re.search(FULL, a.err)) and not left, (a.out, a.err, left))
        b = lab.ask(*q)
        check("with room it is answered and kept, for one charge", b.status == 0
              and pathlib.Path(b.json["receipt"]).exists()
              and lab.charges(0) == charges + 1, b.err)
        if a.status == 0 and "receipt" in a.json and not a.err:
            break
    check("with so many it is kept at once, and some failed", pages > 0)
    disk.end()


def run():
    with Lab() as lab:
        cohort = cohorts()
        disk = node_on_disk(lab, 2)
        questions(lab, 2, disk, cohort)
        imports(lab, 2, disk)
        whole_logs(lab, "member with a disk that was full")
        lab.stop_node(2)
        disk.end()
    with Lab() as lab:
        cohort = cohorts()
        disk = node_on_disk(lab, 0)
        questions(lab, 0, disk, cohort)
        laters(lab, disk, cohort)
        whole_logs(lab, "home with a disk that was full")
        backups(lab, 1)
        receipts(lab, cohort)
        for i in range(3):  # the lab is not found any more when home's folder is gone
            lab.stop_node(i)
        disk.end()


if INSIDE not in sys.argv:
    re_run()
run()
check.end()
