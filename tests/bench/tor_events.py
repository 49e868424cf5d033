# SPDX-License-Identifier: MIT
"""Events of a control port, read by netkit, stem and txtorcon: prints for each events per second and microseconds of
processor time per event. The port is a program of its own here that knows nobody's
password and sends the same mix of events as fast as it is read; what a process costs before its first event is
measured with one event, and taken off."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

RELAYS = ",".join(f"${i:040X}~relay{i}" for i in (1, 2, 3))
CIRC = (f"650 CIRC 30 BUILT {RELAYS} BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY PURPOSE=GENERAL "
        "TIME_CREATED=2026-11-20T21:03:57.652002\r\n").encode()
STREAM = (b"650 STREAM 49 SENTCONNECT 33 127.0.0.1:28081 CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 "
          b"ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD,CLIENTADDR,SESSION_GROUP,NYM_EPOCH\r\n")
BW = b"650 BW 10602 14278\r\n"
MIX = (CIRC + STREAM + BW + STREAM) * 250  # 1000 events
OURS, THEIRS = 400_000, 20_000  # events of a run
STEM = """
import sys, threading
from stem.control import Controller
left, done = int(sys.argv[2]), threading.Event()
def seen(event):
    global left
    left -= 1
    if left == 0:
        done.set()
with Controller.from_socket_file(sys.argv[1]) as c:
    c.authenticate()
    c.add_event_listener(seen, "CIRC", "STREAM", "BW")
    done.wait()
"""
# txtorcon's connection wants a whole tor; its protocol is given the bytes as the transport would.
TXTORCON = """
import sys
from txtorcon import TorControlProtocol
from txtorcon.torcontrolprotocol import Event
from txtorcon.util import find_keywords
left, mix = int(sys.argv[2]), sys.stdin.buffer.read()
p = TorControlProtocol()
p.transport = type("Transport", (), {"disconnecting": False})()
for name in ("CIRC", "STREAM", "BW"):
    p.events[name] = Event(name)
    p.events[name].listen(lambda text: find_keywords(text.split()))
if left > 1:
    for _ in range(left // 1000):
        p.dataReceived(mix)
"""


def serve(server, count):
    peer, _ = server.accept()
    with peer:
        for line in peer.makefile("rb"):
            if line.startswith(b"PROTOCOLINFO"):
                peer.sendall(b'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n')
            elif line.startswith(b"GETINFO version"):
                peer.sendall(b"250-version=0.4.9.11\r\n250 OK\r\n")
            else:
                peer.sendall(b"250 OK\r\n")
            if line.startswith(b"SETEVENTS") and b"CIRC" in line and b"BW" in line:
                break
        try:
            for _ in range(max(1, count // 1000)):
                peer.sendall(MIX)
            while peer.recv(1000):
                peer.sendall(b"250 OK\r\n")
        except OSError:
            return  # it has read enough


def once(argv, count):
    """Seconds and processor seconds of a process that reads so many events."""
    with tempfile.TemporaryDirectory(prefix="nk-bench-") as work, socket.socket(socket.AF_UNIX) as server:
        path = os.path.join(work, "c")
        server.bind(path)
        server.listen()
        threading.Thread(target=serve, args=(server, count), daemon=True).start()
        start = time.perf_counter()
        child = subprocess.Popen([word.replace("PATH", path).replace("COUNT", str(count)) for word in argv],
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        child.stdin.write(MIX if "txtorcon" in argv[2] else b"")
        child.stdin.close()
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            raise SystemExit(f"{argv[:3]} failed")
        return seconds, used.ru_utime + used.ru_stime


def main():
    netkit = sys.argv[1]
    ours = [netkit, "tor", "events", "circ", "stream", "bw", "--json", "-n", "COUNT", "--control", "PATH"]
    cases = {"netkit": (ours, OURS), "stem": ([sys.executable, "-c", STEM, "PATH", "COUNT"], THEIRS),
             "txtorcon": ([sys.executable, "-c", TXTORCON, "PATH", "COUNT"], THEIRS)}
    for name, (argv, count) in cases.items():
        rates, costs = [], []
        for _ in range(3):
            idle, many = once(argv, 1), once(argv, count)
            rates.append(count / max(many[0] - idle[0], 1e-6))
            costs.append((many[1] - idle[1]) / count * 1e6)
        print(name, f"{statistics.median(rates):.0f}", f"{statistics.median(costs):.2f}")


if __name__ == "__main__":
    main()
