#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks with the unmodified tlspyo package, whose source directory is in NK_TLSPYO_DIR.

    tlspyo_stock.py endpoints        stock Endpoints at a netkit relay: every call, sizes, times
    tlspyo_stock.py suite [NAME..]   tlspyo's own tests (test/NAME.py) with Relay replaced by netkit
    tlspyo_stock.py commands         netkit endpoint commands at a stock Relay

NETKIT names the binary. Prints one JSON line per check; the status is 0 when all of them passed.
The packages that tlspyo needs: python3-twisted python3-openssl python3-service-identity
python3-platformdirs.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

NETKIT = os.path.abspath(os.environ.get("NETKIT", "./netkit"))
DIRECTORY = os.environ.get("NK_TLSPYO_DIR", "")
PASSWORD = "correct horse battery staple 7"
STATE = None  # state directory of the relays
LOCAL_PORT = 23000  # each Endpoint needs a local port of its own


def show(**record):
    print(json.dumps(record), flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def local_port():
    global LOCAL_PORT
    while True:
        LOCAL_PORT += 1
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", LOCAL_PORT))
                return LOCAL_PORT
            except OSError:
                continue


def prepare(directory):
    """State of the relays, and the folder where stock Endpoints look for their certificate."""
    global STATE
    STATE = pathlib.Path(directory) / "state"
    data = pathlib.Path(directory) / "data"
    (data / "tlspyo" / "credentials").mkdir(parents=True)
    STATE.mkdir(mode=0o700)
    os.environ["XDG_DATA_HOME"] = str(data)
    sys.path[:0] = [DIRECTORY, os.path.join(DIRECTORY, "test")]
    return data / "tlspyo" / "credentials" / "certificate.pem"


class NetkitRelay:
    """Takes the place of tlspyo.Relay."""

    certificate = None  # where stock Endpoints expect it
    logs = []

    def __init__(self, port, password, accepted_groups=None, local_com_port=2096, header_size=10,
                 security="TLS", keys_dir=None, serializer=None, deserializer=None):
        # a tlspyo.Relay begins empty, ours with what its state directory remembers
        shutil.rmtree(STATE / "relay", ignore_errors=True)
        credentials = STATE / "credentials"
        credentials.mkdir(mode=0o700, exist_ok=True)
        (credentials / "password").unlink(missing_ok=True)
        with open(os.open(credentials / "password", os.O_CREAT | os.O_WRONLY, 0o600), "w",
                  encoding="utf-8") as f:
            f.write(password + "\n")
        config = STATE / "relay.ini"
        config.write_text(self._groups(accepted_groups), encoding="utf-8")
        self.process = subprocess.Popen(
            [NETKIT, "relay", "-c", config, "--state-dir", STATE, "--listen",
             f"tcp:127.0.0.1:{port}", "--connection", "TLS" if security else "TCP",
             "--header-size", str(header_size)], stderr=subprocess.PIPE, text=True)
        self._await_ready()
        if security:
            shutil.copy(credentials / "certificate.pem", self.certificate)

    @staticmethod
    def _groups(accepted):
        text = ""
        for i, (name, limits) in enumerate((accepted or {}).items()):
            text += f"[group g{i}]\nmatch = {name}\n"
            text += "".join(f"{k} = {v}\n" for k, v in limits.items() if v is not None)
        return text

    def _await_ready(self):
        for line in self.process.stderr:
            self.logs.append(line)
            if "listening on" in line:
                return
        raise RuntimeError("".join(self.logs))

    def cpu(self):
        """Seconds of processor time used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(
            encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.logs.extend(self.process.stderr)
        code = self.process.wait(20)
        self.process.stderr.close()
        if code != 0:
            raise RuntimeError(f"the relay ended with status {code}: {''.join(self.logs)}")


# --- endpoints ---------------------------------------------------------------------------------------


class Bench:
    """A relay and stock Endpoints that are stopped at the end."""

    def __init__(self, **kw):
        self.port = free_port()
        self.relay = NetkitRelay(self.port, PASSWORD, **kw)
        self.header_size = kw.get("header_size", 10)
        self.security = kw.get("security", "TLS")
        self.endpoints = []

    def endpoint(self, groups, **kw):
        from tlspyo import Endpoint
        e = Endpoint(ip_server="127.0.0.1", port=self.port, password=PASSWORD, groups=groups,
                     local_com_port=local_port(), header_size=self.header_size,
                     security=self.security, **kw)
        self.endpoints.append(e)
        return e

    def settle(self, *members):
        """Every member has joined: each gets its own greeting back."""
        for i, (e, group) in enumerate(members):
            e.send_object(("settle", i), {group: 1})
            e.notify(group)
            assert e.pop(blocking=True) == [("settle", i)]

    def stop(self):
        """Stop everybody; how long each Endpoint's stop() took."""
        times = []
        for e in self.endpoints:
            start = time.monotonic()
            e.stop()
            times.append(time.monotonic() - start)
        self.relay.stop()
        return times


def check_calls(security):
    b = Bench(security=security)
    prod, one, two = b.endpoint("producers"), b.endpoint("consumers"), b.endpoint(("consumers", "x"))
    b.settle((prod, "producers"), (one, "consumers"), (two, "x"))
    prod.broadcast("I HAVE BEEN BROADCAST", "consumers")
    prod.produce("I HAVE BEEN PRODUCED", "consumers")
    one.notify("consumers")
    got = []
    while len(got) < 2:
        got += one.receive_all(blocking=True)
    assert got == ["I HAVE BEEN BROADCAST", "I HAVE BEEN PRODUCED"], got
    assert two.receive_all(blocking=True) == ["I HAVE BEEN BROADCAST"]
    prod.send_object({"mixed": (1, None)}, {"consumers": -1, "x": 2})
    two.notify({"x": 2})
    got = []
    while len(got) < 3:
        got += two.receive_all(blocking=True)
    assert got == [{"mixed": (1, None)}] * 3, got
    assert one.get_last(blocking=True) == [{"mixed": (1, None)}]
    late = b.endpoint("consumers")
    assert late.pop(blocking=True) == [{"mixed": (1, None)}]
    times = b.stop()
    assert max(times) < 1.0, times
    show(check="calls", security=security or "TCP", stop_seconds=[round(t, 4) for t in times])


def check_sizes(sizes):
    b = Bench()
    one = b.endpoint("g", max_buf_len=1 << 20)
    two = b.endpoint("g", max_buf_len=1 << 20)
    b.settle((one, "g"), (two, "g"))
    for size in sizes:
        data = os.urandom(size)
        start = time.monotonic()
        one.broadcast(data, "g")
        assert one.pop(blocking=True) == [data] and two.pop(blocking=True) == [data]
        middle = time.monotonic()
        one.produce(data, "g")
        two.notify("g")
        assert two.pop(blocking=True) == [data]
        show(check="size", bytes=size, broadcast_seconds=round(middle - start, 3),
             produce_seconds=round(time.monotonic() - middle, 3))
    times = b.stop()
    assert max(times) < 1.0, times
    show(check="sizes", stop_seconds=[round(t, 4) for t in times])


def percentiles(times):
    times = sorted(times)
    return {"p50_ms": round(statistics.median(times) * 1000, 3),
            "p99_ms": round(times[len(times) * 99 // 100] * 1000, 3)}


def check_latency(n):
    """One object at a time. Producer and consumer are two Endpoints: inside of one, a notify that
    follows a produce waits up to 40 ms on its own way from the parent to its network process (Nagle's
    algorithm meets a delayed acknowledgement on tlspyo's local socket), whatever the relay does."""
    b = Bench()
    producer, consumer = b.endpoint("p"), b.endpoint("g")
    b.settle((producer, "p"), (consumer, "g"))
    for i in range(n):
        producer.produce(i, "g")
    producer.notify("p")  # everything before it has arrived when this one's object comes back
    producer.produce("queued", "p")
    assert producer.pop(blocking=True) == ["queued"]
    times = []
    for i in range(n):
        start = time.monotonic()
        consumer.notify("g")
        assert consumer.pop(blocking=True) == [i]
        times.append(time.monotonic() - start)
    show(check="notify-to-pop", n=n, **percentiles(times))
    consumer.notify({"g": n})
    times = []
    for i in range(n):
        start = time.monotonic()
        producer.produce(i, "g")
        assert consumer.pop(blocking=True) == [i]
        times.append(time.monotonic() - start)
    show(check="produce-to-pop", n=n, **percentiles(times))
    b.stop()


def check_rate(n):
    b = Bench()
    sender, receiver = b.endpoint("s"), b.endpoint("g")
    b.settle((sender, "s"), (receiver, "g"))
    receiver.notify({"g": n})
    cpu, start = b.relay.cpu(), time.monotonic()
    for i in range(n):
        sender.produce(b"x" * 64, "g")
    left = n
    while left > 0:
        left -= len(receiver.receive_all(blocking=True))
    seconds = time.monotonic() - start
    show(check="rate-64B", n=n, per_second=round(n / seconds),
         relay_cpu_us=round((b.relay.cpu() - cpu) / n * 1e6, 2), relay_rss_kb=b.relay.rss() >> 10)
    n = 200
    data = os.urandom(1 << 20)
    receiver.notify({"g": n})
    cpu, start = b.relay.cpu(), time.monotonic()
    for i in range(n):
        sender.produce(data, "g")
    left = n
    while left > 0:
        left -= len(receiver.receive_all(blocking=True))
    seconds = time.monotonic() - start
    show(check="rate-1MiB", n=n, per_second=round(n / seconds, 1),
         relay_cpu_ms=round((b.relay.cpu() - cpu) / n * 1e3, 3), relay_rss_kb=b.relay.rss() >> 10)
    b.stop()


def run_endpoints(names):
    check_calls("TLS")
    check_calls(None)
    check_sizes([64, 1 << 10, 64 << 10, 1 << 20, 8 << 20] + ([64_000_000] if "64m" in names else []))
    check_latency(300)
    if "rate" in names:
        check_rate(20000)
    return 0


# --- tlspyo's own tests -------------------------------------------------------------------------------


def run_suite(names):
    import tlspyo
    tlspyo.Relay = NetkitRelay  # the tests import it from here
    names = names or sorted(p.stem for p in pathlib.Path(DIRECTORY, "test").glob("test_*.py"))
    # its endpoints use a serializer of their own for the envelope, too: nobody else can read that
    custom = "test_serialization" in names
    names = [n for n in names if n != "test_serialization"]
    result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromNames(
        names))
    ok = result.wasSuccessful() and result.testsRun > 0
    if custom:
        check_custom_serializer()
    show(check="suite", tests=result.testsRun, failures=len(result.failures),
         errors=len(result.errors))
    return 0 if ok else 1


def check_custom_serializer():
    import test_serialization as t
    b = Bench()
    e = b.endpoint("g", serializer=t.custom_serializer, deserializer=t.custom_deserializer)
    lines = []
    for line in b.relay.process.stderr:
        lines.append(line.strip())
        if "serializer" in line:
            break
    else:
        raise AssertionError("not recognised: " + "\n".join(lines))
    e._p.kill()  # it would wait ten seconds for acknowledgements that never come
    b.endpoints.remove(e)
    b.stop()
    show(check="custom serializer", log=lines[-1])


# --- our commands at a stock relay -----------------------------------------------------------------------


def netkit(*args):
    done = subprocess.run([NETKIT, "endpoint", *map(str, args)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{args}: {done.returncode}: {done.stderr}")
    return done.stdout


def run_commands(certificate):
    from tlspyo import Endpoint, Relay
    from tlspyo.credentials import generate_tls_credentials
    generate_tls_credentials(certificate.parent)  # RSA 4096, as --generate makes it
    password = STATE / "password"
    with open(os.open(password, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as f:
        f.write(PASSWORD)
    port = free_port()
    relay = Relay(port=port, password=PASSWORD, local_com_port=local_port())
    where = ["--connect", f"tcp:127.0.0.1:{port}", "--ca", certificate, "--password-file", password,
             "--retry", "20"]
    netkit("broadcast", "--to", "g", "--text", "kept", *where)
    python = Endpoint(ip_server="127.0.0.1", port=port, password=PASSWORD, groups="g",
                      local_com_port=local_port())
    assert python.pop(blocking=True) == ["kept"]
    netkit("broadcast", "--to", "g", "--text", "hello", *where)
    assert python.pop(blocking=True) == ["hello"]
    netkit("produce", "--to", "g=2", "--text", "job", *where)
    python.notify("g")
    assert python.pop(blocking=True) == ["job"]
    assert netkit("notify", "g", "--format", "text", *where) == "job\n"
    python.produce({"a": [1, b"x"]}, "g")
    out = netkit("consume", "--group", "g", "-n", "2", "--format", "json", "--exec", "cat", *where)
    assert [json.loads(line)["value"] for line in out.splitlines()] == [
        "hello", {"a": [1, {"base64": "eA=="}]}], out
    assert netkit("receive", "--group", "g", "-n", "1", "--format", "text", *where) == "hello\n"
    start = time.monotonic()
    python.stop()
    relay.stop()
    show(check="commands", stop_seconds=round(time.monotonic() - start, 3))
    return 0


def main():
    if not os.path.isdir(os.path.join(DIRECTORY, "tlspyo")):
        sys.exit("tlspyo_stock: NK_TLSPYO_DIR must be the source directory of tlspyo")
    verb, names = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="nk-stock-") as directory:
        certificate = prepare(directory)
        NetkitRelay.certificate = certificate
        if verb == "endpoints":
            code = run_endpoints(names)
        elif verb == "suite":
            code = run_suite(names)
        elif verb == "commands":
            code = run_commands(certificate)
        else:
            sys.exit(__doc__)
    sys.stdout.flush()
    os._exit(code)  # threads of Endpoints whose child was killed never end


if __name__ == "__main__":
    main()
