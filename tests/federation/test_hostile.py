"""1,000 connections of junk, half-open handshakes and oversized frames against a node."""
import os
import re
import socket
import struct

from lab import Checks, Lab

CONNECTIONS = 1000
GROWTH_MB = 32


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024


def attack(port, i):
    """One hostile connection; kept open where that hurts more."""
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect(("127.0.0.1", port))
        kind = i % 5
        if kind == 0:
            s.sendall(os.urandom(200))                        # junk
        elif kind == 1:
            s.sendall(struct.pack(">H", 48) + os.urandom(10))  # half a handshake message
        elif kind == 2:
            s.sendall(struct.pack(">H", 65535) + bytes(4096))  # the largest frame, never sent
        elif kind == 3:                                        # FIN, then RST
            s.shutdown(socket.SHUT_WR)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
            return None
        # kind 4: connect and say nothing
        return s
    except OSError:
        s.close()
        return None


check = Checks()
with Lab() as lab:
    settings = (lab.node(1) / "node.yaml").read_text()
    port = int(re.search(r":(\d+)\"?\s*$", settings, re.M).group(1))
    before = lab.ask("count", "lung")
    check("an honest question before", before.status == 0, before.err)
    net = lab.children(1)["net-process"]
    start = resident_mb(net)
    held, answered = [], 0
    for i in range(CONNECTIONS):
        s = attack(port, i)
        if s is not None:
            held.append(s)
        if i % 200 == 199:
            a = lab.ask("count", "lung", "--where", f"meal_cal > {i}")
            answered += a.status == 0
    peak = resident_mb(net)
    check("every honest question was answered meanwhile", answered == CONNECTIONS // 200, answered)
    for s in held:
        s.close()
    check("nobody crashed", lab.children(1).get("net-process") == net)
    check(f"memory grew by less than {GROWTH_MB} MB", peak - start < GROWTH_MB, (start, peak))
    print(f"net process of the attacked node: {start:.1f} MB before, {peak:.1f} MB at most")
    a = lab.ask("count", "lung")
    check("the same answer afterwards",
          a.status == 0 and a.item("patients") == before.item("patients"), a.err)
check.end()
