# SPDX-License-Identifier: MIT
"""Measures connections forwarded by ssh clients for tunnel_ssh.sh; see there. tunnel_ssh.py NETKIT TUNNEL_LOAD

Prints lines "WHAT netkit OpenSSH": medians of runs that take turns; "-" for OpenSSH, which does not reconnect."""

import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from ssh_servers import SshServers, free_port, missing  # noqa: E402  (tests/peers is no package)

RUNS = 3
DELAY_MS = 25  # one way
FAR_BYTES, NEAR_BYTES = 300 * 10 ** 6, 500 * 10 ** 6
PINGS, PING_SIZE = 10000, 64
FEW, MANY = 100, 1000  # forwarded connections
GIGABYTE = 10 ** 9
OUTAGES = (1, 2, 4, 8)  # seconds


class Bench:
    def __init__(self, netkit, load, servers):
        self.netkit, self.load, self.servers = netkit, load, servers
        self.server = servers.get("openssh")
        home = servers.dir / "client"
        home.mkdir()
        self.env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        self.background = []
        self.backend = self.behind("serve")
        self.far = self.behind("delay", self.server.port, DELAY_MS)
        known = servers.known_hosts.read_text(encoding="ascii")
        servers.known_hosts.write_text(known + known.replace(f":{self.server.port} ", f":{self.far} "), encoding="ascii")

    def behind(self, verb, *words):
        """Something of tunnel_ssh_load that listens at a new port."""
        port = free_port()
        # pylint: disable-next=consider-using-with
        self.background.append(subprocess.Popen([self.load, verb, str(port), *map(str, words)]))
        return port

    def run(self, *words):
        out = subprocess.run([self.load, *map(str, words)], stdout=subprocess.PIPE, check=True, timeout=300, env=self.env)
        return [float(word) for word in out.stdout.split()]

    def argv(self, client, port, at):
        program = [self.netkit, "ssh"] if client == "netkit" else ["ssh"]
        return [*program, "-F", "none", "-N", *self.server.options()[2:], "-p", str(port), "-o", "ExitOnForwardFailure=yes",
                "-L", f"127.0.0.1:{at}:127.0.0.1:{self.backend}", "127.0.0.1"]

    def close(self):
        for child in self.background:
            child.kill()
            child.wait()


class Tunnel:
    """A client that forwards a port."""

    def __init__(self, bench, client, port=None):
        self.bench, self.port = bench, free_port()
        # pylint: disable-next=consider-using-with
        self.child = subprocess.Popen(bench.argv(client, port or bench.server.port, self.port), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, env=bench.env)
        try:
            self.run("first")
        except subprocess.SubprocessError:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()

    def run(self, verb, *words):
        return self.bench.run(verb, self.port, *words)

    def cpu(self):
        """Seconds of the processor, of all threads."""
        tasks = pathlib.Path(f"/proc/{self.child.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9

    def rss_kb(self):
        text = pathlib.Path(f"/proc/{self.child.pid}/smaps_rollup").read_text(encoding="ascii")
        return int(re.search(r"Rss:\s+(\d+)", text).group(1))

    def held(self, n):
        """(seconds to open n connections that stay, kilobytes more)"""
        before = self.rss_kb()
        with subprocess.Popen([self.bench.load, "hold", str(self.port), str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=self.bench.env) as holder:
            line = holder.stdout.readline()
            more = self.rss_kb() - before
            holder.stdin.close()
        if not line:
            raise SystemExit(f"{n} connections could not be held")
        return float(line), more


def far_down(bench, client):
    with Tunnel(bench, client, bench.far) as tunnel:
        return {"down-far": FAR_BYTES / 1e6 / tunnel.run("down", FAR_BYTES)[0]}


def near(bench, client):
    """What is measured with one tunnel."""
    got = {}
    with Tunnel(bench, client) as tunnel:
        for verb in ("down", "up"):
            before = tunnel.cpu()
            tunnel.run(verb, NEAR_BYTES)
            got[f"{verb}-cpu"] = (tunnel.cpu() - before) * GIGABYTE / NEAR_BYTES
        before = tunnel.cpu()
        got["ping"] = tunnel.run("ping", PINGS, PING_SIZE)[0]
        got["ping-cpu"] = (tunnel.cpu() - before) * 1e6 / PINGS
        got["connect"] = tunnel.run("conn", FEW)[0]
    with Tunnel(bench, client) as tunnel:
        tunnel.held(FEW)  # what the first ones need stays
        got["many-seconds"], more = tunnel.held(MANY)
        got["many-kb"] = more / MANY
    return got


def cold(bench, client):
    port = free_port()
    return {"cold": bench.run("cold", port, *bench.argv(client, bench.far, port))[0]}


def reconnect(bench):
    """Milliseconds from when the server accepts connections again to the first byte through the listener that was there
    all the time: the longest of several outages."""
    server, port, longest = bench.servers.start("openssh"), free_port(), 0
    argv = [bench.netkit, "ssh", "-F", "none", "-N", "--reconnect", *server.options(), "-o", "LogLevel=ERROR", "-L",
            f"127.0.0.1:{port}:127.0.0.1:{bench.backend}", server.host]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=bench.env) as child:
        try:
            bench.run("first", port)
            for seconds in OUTAGES:
                server.stop()
                time.sleep(seconds)  # the outage itself
                server.restart()
                since = time.monotonic()
                bench.run("first", port)
                longest = max(longest, (time.monotonic() - since) * 1000)
        finally:
            child.terminate()
    server.stop()
    return longest


def main(netkit, load):
    if lacks := missing("openssh"):
        raise SystemExit(f"{lacks} is missing")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with SshServers() as servers:
        bench = Bench(netkit, load, servers)
        try:
            for measure in (far_down, near, cold):
                got = {client: [] for client in ("netkit", "ssh")}
                for _ in range(RUNS):
                    for client, results in got.items():
                        results.append(measure(bench, client))
                for what in got["netkit"][0]:
                    print(what, *(f"{statistics.median(r[what] for r in results):.2f}" for results in got.values()), flush=True)
            print(f"reconnect {reconnect(bench):.2f} -", flush=True)
        finally:
            bench.close()


main(sys.argv[1], sys.argv[2])
