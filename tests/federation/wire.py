"""wire.py - the cables between a lab's nodes: each message is seen to pass, and may be the last.

A node's port is taken by a proxy of ours and the node listens at another one behind it. What
passes is encrypted; but each link message is a length of two bytes and as many bytes, so that
messages between two nodes can be counted and something done to a node exactly before the n-th
of them.
"""
import contextlib
import os
import pathlib
import re
import select
import socket
import threading

from lab import wait_for

HANDSHAKE = 3  # messages of a new link that carry nothing


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def inode_of(port):
    """The socket that holds a local port of a connection on loopback."""
    want = f"0100007F:{port:04X}"
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1] == want:
            return words[9]
    return None


def holds(process, inode):
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process}/fd/{fd}") == f"socket:[{inode}]":
                    return True
    return False


class Cable(threading.Thread):
    """One connection: who dialled (None: a program), whom, and its bytes both ways."""

    def __init__(self, wire, dialler, target, ours, theirs):
        super().__init__(daemon=True)
        self.wire, self.ends = wire, {dialler, target}
        self.sockets = {ours: theirs, theirs: ours}
        self.rest = {ours: b"", theirs: b""}
        self.handshake = HANDSHAKE
        self.start()

    def cut(self):
        for s in self.sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def messages(self, s):
        """Whole messages that came from one end; None at its end."""
        try:
            got = s.recv(65536)
        except OSError:
            return None
        if not got:
            return None
        data, found = self.rest[s] + got, []
        while len(data) >= 2 and len(data) >= 2 + int.from_bytes(data[:2], "big"):
            n = 2 + int.from_bytes(data[:2], "big")
            found.append(data[:n])
            data = data[n:]
        self.rest[s] = data
        return found

    def carry(self):
        while True:
            for s in select.select(list(self.sockets), [], [])[0]:
                found = self.messages(s)
                if found is None:
                    return
                for message in found:
                    if self.handshake > 0:
                        self.handshake -= 1
                    else:
                        self.wire.passes(self.ends)
                    self.sockets[s].sendall(message)

    def run(self):
        with contextlib.suppress(OSError):
            self.carry()
        self.cut()
        for s in self.sockets:
            s.close()
        self.wire.cables.discard(self)


class Wire:
    """All cables of a lab. The nodes are stopped and served once to get them."""

    def __init__(self, lab, n=3):
        self.lab, self.n = lab, n
        self.cables, self.lock = set(), threading.Lock()
        self.apart, self.pair, self.left, self.action = None, None, 0, None
        self.fired, self.counted = threading.Event(), 0
        self.behind = {}
        self.listeners = []
        for i in range(n):
            lab.stop_node(i)
        for i in range(n):
            settings = lab.node(i) / "node.yaml"
            text = settings.read_text()
            port = int(re.search(r":(\d+)\"?\s*$", text, re.M).group(1))
            self.behind[i] = free_port()
            settings.write_text(text.replace(f":{port}", f":{self.behind[i]}"))
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            s.listen(64)
            self.listeners.append(s)
            threading.Thread(target=self.take, args=(i, s), daemon=True).start()
        for i in range(n):
            lab.serve(i)
        lab.wait_linked()

    def dialler(self, connection):
        """The node at the other end; None: a program. Looked for twice: one may just start."""
        for _ in range(2):
            inode = inode_of(connection.getpeername()[1])
            for i in range(self.n):
                if any(holds(process, inode) for process in self.lab.processes(i)):
                    return i
        return None

    def take(self, i, listener):
        while True:
            try:
                ours = listener.accept()[0]
            except OSError:
                return
            try:
                dialler = self.dialler(ours)
                if self.apart is not None and dialler is not None and self.apart in (i, dialler):
                    raise OSError("it is cut off")
                theirs = socket.create_connection(("127.0.0.1", self.behind[i]), timeout=5)
            except OSError:
                ours.close()
                continue
            for s in (ours, theirs):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            theirs.settimeout(None)
            cable = Cable(self, dialler, i, ours, theirs)
            self.cables.add(cable)
            if self.apart is not None and dialler is not None and self.apart in cable.ends:
                cable.cut()  # it was cut off meanwhile

    # ---- what a test does ----

    def before(self, n, pair, action):
        """`action` is done when the n-th message from now between two nodes is about to pass."""
        with self.lock:
            self.fired.clear()
            self.counted = 0
            self.pair, self.left, self.action = set(pair), n, action

    def passes(self, ends):
        with self.lock:
            if ends != self.pair:
                return
            self.counted += 1
            self.left -= 1
            if self.left != 0:
                return
            self.action()
            self.fired.set()

    def forget(self):
        """No action any more. Messages that were counted."""
        with self.lock:
            self.pair, self.action = None, None
            return self.counted

    def cut_off(self, i):
        """All of a node's links end, and it gets no new ones; programs still reach it."""
        self.apart = i
        for cable in list(self.cables):
            if i in cable.ends and None not in cable.ends:
                cable.cut()

    def join(self):
        self.apart = None

    def wait_linked(self, pair=(0, 2), seconds=40):
        """Home sees all. A pair's own cable may take a minute where a relay got there first: the
        one of the two that is not home is then served anew."""
        if not self.lab.wait_linked(seconds):
            return False
        if not self.has_cable(pair):
            self.lab.stop_node(max(pair))
            self.lab.serve(max(pair))
        return wait_for(lambda: self.has_cable(pair), seconds) and self.lab.wait_linked(seconds)

    def has_cable(self, pair):
        return any(c.ends == set(pair) for c in list(self.cables))

    def end(self):
        for s in self.listeners:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        for cable in list(self.cables):
            cable.cut()
