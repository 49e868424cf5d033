# SPDX-License-Identifier: MIT
"""Measures three SSH clients for ssh.sh; see there. ssh_clients.py NETKIT"""

import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from ssh_servers import SshServers, missing  # noqa: E402  (tests/peers is no package)

GIGABYTE = 10 ** 9
BYTES, RUNS = 500 * 10 ** 6, 3
DELAY = 0.025  # seconds one way
CIPHERS = {"aes256-gcm": "aes256-gcm@openssh.com", "chacha20-poly1305": "chacha20-poly1305@openssh.com"}


class Delay:
    """A relay on loopback through which every byte takes DELAY, each way."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            time.sleep(2 * DELAY)  # the round trip of connecting
            far = socket.create_connection(("127.0.0.1", self.target))
            for a, b in ((near, far), (far, near)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        pending, more = [], threading.Condition()

        def write():
            while True:
                with more:
                    while not pending:
                        more.wait()
                    due, data = pending.pop(0)
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)
                except OSError:
                    return
                if not data:
                    return

        threading.Thread(target=write, daemon=True).start()
        data = b"?"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            with more:
                pending.append((time.monotonic() + DELAY, data))
                more.notify()


def clients(netkit, servers, server, home):
    """{name: (argv for a port and a cipher)}"""
    common = server.options()[2:]
    key = home / "dropbear_key"
    subprocess.run(["dropbearconvert", "openssh", "dropbear", servers.identity["ed25519"], key], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def like_openssh(program):
        return lambda port, cipher: [*program, "-p", str(port), "-F", "none", *common,
                                     *(["-o", f"Ciphers={cipher}"] if cipher else []), "127.0.0.1"]

    def dbclient(port, cipher):
        if cipher and cipher.startswith("aes256-gcm"):
            return None
        return ["dbclient", "-y", "-y", "-i", str(key), "-p", str(port), *(["-c", cipher] if cipher else []), "-l", server.user,
                "127.0.0.1"]

    return {"netkit": like_openssh([netkit, "ssh"]), "ssh": like_openssh(["ssh"]), "dbclient": dbclient}


def cpu(argv, env):
    """Seconds of the processor for GIGABYTE bytes."""
    with subprocess.Popen([*argv, f"head -c {BYTES} /dev/zero"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, env=env) as child:
        got = 0
        buffer = bytearray(1 << 20)
        while n := child.stdout.readinto(buffer):
            got += n
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 or got != BYTES:
        raise SystemExit(f"{argv}: {child.returncode}, {got} bytes")
    return (usage.ru_utime + usage.ru_stime) * GIGABYTE / BYTES


def first_byte(argv, env):
    start = time.monotonic()
    with subprocess.Popen([*argv, "echo x; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=env) as child:
        if child.stdout.read(1) != b"x":
            raise SystemExit(f"{argv}: nothing came")
        took = (time.monotonic() - start) * 1000
        status = pathlib.Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        child.stdin.close()
        child.wait()
    return took, int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def main(netkit):
    if lacks := missing("openssh"):
        raise SystemExit(f"{lacks} is missing")
    with SshServers() as servers:
        server = servers.get("openssh")
        home = servers.dir / "client"
        home.mkdir()
        env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        programs = clients(netkit, servers, server, home)
        if not shutil.which("dbclient"):
            del programs["dbclient"]
        for name, cipher in CIPHERS.items():
            took = {p: [] for p in programs}
            for _ in range(RUNS):  # interleaved, so that a change of the machine's load meets all of them
                for program, argv in programs.items():
                    words = argv(server.port, cipher)
                    took[program].append(cpu(words, env) if words else 0.0)
            print("cpu", name, *(f"{statistics.median(took[p]):.2f}" for p in ("netkit", "ssh", "dbclient") if p in took), flush=True)
        delay = Delay(server.port)
        known = servers.known_hosts.read_text(encoding="ascii")
        servers.known_hosts.write_text(known + known.replace(f":{server.port} ", f":{delay.port} "), encoding="ascii")
        results = {p: [first_byte(argv(delay.port, None), env) for _ in range(2 * RUNS + 1)] for p, argv in programs.items()}
        for index, what, form in ((0, "delay", ".0f"), (1, "rss", ".1f")):
            print(what, "-", *(f"{statistics.median(r[index] for r in results[p]):{form}}" for p in results))


main(sys.argv[1])
