# SPDX-License-Identifier: MIT
"""What netkit holds in memory after a day's worth of events: prints, in KiB, for `tor events` to a file, for `tor top`
on a terminal, and for `sleep`, which only waits, a name, the peak (VmHWM) and what is resident at the end (VmRSS),
both of netkit's own process as /proc tells them. The day is 86400 seconds of bandwidth, with circuits and streams that
come and go in between, each with a number of its own, sent as fast as it is read."""

import array
import fcntl
import os
import pty
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time

DAY = 86_400  # seconds, a BW event each
RELAYS = ",".join(f"${i:040X}~relay{i}" for i in (1, 2, 3))
AT_ONCE = 1000  # seconds that are sent together
PATIENCE = 120  # seconds
CIRC_EVERY, STREAM_EVERY = 4, 1  # seconds; a circuit and a stream have three events each
EVENTS = DAY + 3 * DAY // CIRC_EVERY + 3 * DAY // STREAM_EVERY


def second(n):
    """The events of one second of the day."""
    text = [f"650 BW {n % 90000} {n % 70000}\r\n"]
    if n % CIRC_EVERY == 0:
        tail = "BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL TIME_CREATED=2026-11-20T21:03:57.652002"
        text += [f"650 CIRC {n} LAUNCHED {tail}\r\n", f"650 CIRC {n} BUILT {RELAYS} {tail}\r\n"]
        text += [f"650 CIRC {n - 400} CLOSED {RELAYS} {tail} REASON=FINISHED\r\n"]
    tail = "CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 ISO_FIELDS=CLIENTADDR"
    for status, stream in (("NEW", n), ("SUCCEEDED", n), ("CLOSED", n - 100)):
        text.append(f"650 STREAM {stream} {status} {n - n % CIRC_EVERY} host{stream}.example:443 {tail}\r\n")
    return "".join(text)


class Port:
    """A control port that sends the day once the events are asked for; `done` is set when all was read and a command
    that came after it was answered."""

    def __init__(self, path):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()
        self.done = threading.Event()
        self.lock = threading.Lock()  # replies stand between events, not inside them
        threading.Thread(target=self._serve, daemon=True).start()

    def _send(self, peer, data):
        with self.lock:
            peer.sendall(data)

    def _serve(self):
        peer, _ = self.server.accept()
        started = False
        with peer:
            for line in peer.makefile("rb"):
                if line.startswith(b"PROTOCOLINFO"):
                    self._send(peer, b'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n'
                                 b"250 OK\r\n")
                elif line.startswith(b"GETINFO"):
                    words = line.decode().split()[1:]
                    values = "".join(f"250-{w}={'0.4.9.11' if w == 'version' else ''}\r\n" for w in words)
                    self._send(peer, values.encode() + b"250 OK\r\n")
                else:
                    self._send(peer, b"250 OK\r\n")
                if not started and line.startswith(b"SETEVENTS") and b"STREAM" in line and b"BW" in line:
                    started = True
                    threading.Thread(target=self._day, args=(peer,), daemon=True).start()

    def _day(self, peer):
        for first in range(0, DAY, AT_ONCE):
            self._send(peer, "".join(second(n) for n in range(first, min(first + AT_ONCE, DAY))).encode())
        while unread(peer):
            time.sleep(0.05)  # nothing tells when the other side has read
        self.done.set()


def unread(peer):
    """Bytes that were sent and are not read yet (SIOCOUTQ)."""
    left = array.array("i", [0])
    fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, left)
    return left[0]


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]), int(lines["VmRSS"].split()[0])


def drain(fd):
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        return  # the terminal is gone, as the program is


def measured(argv, terminal, wait):
    """Peak and resident KiB of the program when wait() returns and it still runs."""
    ours = theirs = None
    with tempfile.TemporaryFile() as out:
        if terminal:
            ours, theirs = pty.openpty()
            threading.Thread(target=drain, args=(ours,), daemon=True).start()
        to = theirs if terminal else out
        env = {**os.environ, "TERM": "xterm", "LINES": "50", "COLUMNS": "120"}
        with subprocess.Popen(argv, stdin=theirs if terminal else subprocess.DEVNULL, stdout=to, env=env) as child:
            try:
                wait()
                time.sleep(1)  # the last events become output
                if child.poll() is not None:
                    raise SystemExit(f"{argv[:3]} has ended: {child.returncode}")
                found = memory(child.pid)
            finally:
                child.terminate()
        if not terminal and "events" in argv:
            out.seek(0)
            lines = sum(1 for _ in out)
            if lines != EVENTS:
                raise SystemExit(f"{lines} of {EVENTS} events were written")
    for fd in (ours, theirs):
        if fd is not None:
            os.close(fd)
    return found


def main():
    netkit = sys.argv[1]
    print("sleep", *measured([netkit, "sleep", "1h"], False, lambda: time.sleep(0.5)))
    for name, words, terminal in (("events", ["circ", "stream", "bw", "--json"], False), ("top", [], True)):
        with tempfile.TemporaryDirectory(prefix="nk-bench-") as work:
            port = Port(os.path.join(work, "c"))

            def wait(port=port):
                if not port.done.wait(PATIENCE):
                    raise SystemExit("the events were not read in time")

            print(name, *measured([netkit, "tor", name, *words, "--control", os.path.join(work, "c")], terminal, wait))
    print("count", EVENTS, DAY)


if __name__ == "__main__":
    main()
