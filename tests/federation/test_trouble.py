"""Dead, slow, killed and restarted nodes; damaged data; expired policy; two daemons."""
import os
import signal
import time

from lab import NODED, Checks, Lab, is_gone, wait_for

COUNT = ["count", "lung"]
check = Checks()

with Lab() as lab:
    whole = lab.ask(*COUNT).item("patients")
    check("228 patients", whole == 228, whole)

    # kill -9 of each process of a member and of the home node: it comes back by itself.
    for i in (2, 0):
        for role in ("vault-process", "net-process"):
            old = lab.children(i)
            os.kill(old[role], signal.SIGKILL)
            back = wait_for(lambda: lab.children(i).get(role, old[role]) != old[role], 10)
            check(f"node {i} comes back after kill -9 of its {role}", back)
            lab.wait_linked()
            a = lab.ask(*COUNT)
            check("and the same answer is given", a.status == 0 and a.item("patients") == whole,
                  a.out + a.err)
            log = (lab.node(i) / "node.log").read_text()
            check("and its log says so", f"the {role} ended" in log or "again" in log)
            check("and the audit log is whole", lab.noded(i, "audit", "verify").status == 0)

    # The supervisor itself, its standby, and the one that took over: the node lives on.
    for i in (1, 0):
        for turn in ("first", "second"):
            dead, standby = lab.pid(i), lab.children(i)["serve"]
            before = lab.children(i)
            os.kill(dead, signal.SIGKILL)
            check(f"node {i}: the standby takes over from its {turn} supervisor",
                  wait_for(lambda: lab.pid(i) == standby and
                           {"serve", "vault-process", "net-process"} <= set(lab.children(i)), 10),
                  lab.children(i))
            check("its old children are gone",
                  all(wait_for(lambda: is_gone(n), 5) for r, n in before.items() if r != "serve"))
            lab.wait_linked()
            a = lab.ask(*COUNT)
            check("and the same answer is given", a.status == 0 and a.item("patients") == whole,
                  a.out + a.err)
            check("and its log says so", f"the supervisor (process {dead}) ended"
                  in (lab.node(i) / "node.log").read_text())
            check("and the audit log is whole", lab.noded(i, "audit", "verify").status == 0)
        standby = lab.children(i)["serve"]
        os.kill(standby, signal.SIGKILL)
        check(f"node {i}: a killed standby is replaced",
              wait_for(lambda: lab.children(i).get("serve", standby) != standby, 5))

    rest = [lab.pid(1), *lab.children(1).values()]
    a = lab.noded(1, "stop")
    check("a stop is a stop: no process is left, no standby takes over",
          a.status == 0 and all(is_gone(n) for n in rest), (a.err, rest))
    a = lab.noded(1, "stop")
    check("a second stop finds nothing to stop", a.status == 1 and "no node serves" in a.err, a.err)
    a = lab.ask("count", "lung", "--where", "age >= 60", "--deadline", "20")
    check("a dead site fails the question and is named",
          a.status == 1 and "hospital_b" in a.err, a.out + a.err)
    a = lab.serve(1)
    check("the node starts again on its folder", a.status == 0, a.out + a.err)
    lab.wait_linked()
    a = lab.ask("count", "lung", "--where", "age >= 60")
    check("and takes part again", a.status == 0, a.out + a.err)

    # a site that hangs: the deadline holds and names it
    slow = lab.children(2)["vault-process"]
    os.kill(slow, signal.SIGSTOP)
    began = time.monotonic()
    a = lab.ask("count", "lung", "--where", "age >= 65", "--deadline", "4")
    took = time.monotonic() - began
    os.kill(slow, signal.SIGCONT)
    check("a hanging site fails the question within its deadline and is named",
          a.status == 1 and "hospital_c" in a.err and took < 15, (took, a.err))
    check("afterwards it answers", wait_for(lambda: lab.ask(*COUNT).status == 0, 15))

    a = lab.run(NODED, "serve", "--dir", lab.node(0), timeout=20)
    check("a second daemon on one folder is refused",
          a.status == 1 and "another cohortiumd" in a.err, a.err)

    # a flipped bit in a column: the dataset is withdrawn, the node goes on
    column = next(p for p in (lab.node(2) / "data").rglob("age.col"))
    lab.stop_node(2)
    column.chmod(0o600)
    data = bytearray(column.read_bytes())
    data[4096] ^= 1
    column.write_bytes(data)
    a = lab.serve(2)
    check("a node with damaged data starts", a.status == 0, a.out + a.err)
    lab.wait_linked()
    a = lab.ask("count", "lung", "--where", "age >= 70")
    check("the damaged dataset is withdrawn and the site named",
          a.status != 0 and "hospital_c" in a.err, a.out + a.err)
    a = lab.noded(2, "data", "list")
    check("the operator sees why", "withdrawn" in a.out and "age" in a.out, a.out)
    a = lab.noded(2, "doctor")
    check("doctor exits 1 and says so", a.status == 1 and "PROBLEM" in a.out, a.out)
check.end()
