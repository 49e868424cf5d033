# SPDX-License-Identifier: MIT
"""Through tor's SOCKS port, on the private network: tor:, resolve, ptr, connect, isolation, refusals in words;
and that nothing of it asks a resolver."""

import base64
import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from server_support import Echo, exchange
from support import NETKIT, PATIENCE, clean_env, missing_peer, need_command, need_root, run, wait_until

TOR_PATIENCE = 60.0  # for what needs circuits, on a busy machine
LISTENING = r"listening on socks5\+tcp:127\.0\.0\.1:(\d+)"
NOBODY = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"  # valid; nobody serves it
V2 = "expyuzz4wqqyqhjn.onion"


def tor(verb, *args, **kw):
    kw.setdefault("timeout", TOR_PATIENCE)
    return run("tor", verb, *(("--linger", "2s") if verb == "connect" else ()), *args, **kw)


def through_exit(attempt):
    """The outcome of attempt(). An exit that has only just joined the network refuses streams for some seconds
    (REMOTE_REASON=MISC, after three of them reply 01): until that is over it is made again."""
    outcomes = []
    wait_until(lambda: outcomes.append(attempt()) or "SOCKS reply 01" not in outcomes[-1].stderr, TOR_PATIENCE)
    return outcomes[-1]


@pytest.fixture(scope="module")
def client(tor_network):
    """A client whose SOCKS ports say what is wrong with onion services."""
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()
    with tor_network.tor([f"SocksPort 127.0.0.1:{number} ExtendedErrors"]) as node:
        node.extended = f"127.0.0.1:{number}"
        yield node


class Greeter(Echo):
    """Says hi, sends one word back and ends, as it must be the far end that ends first."""

    def talk(self, conn):
        conn.sendall(b"hi ")
        conn.sendall(conn.recv(100))


@pytest.fixture(scope="module")
def echo():
    with Greeter() as server:
        yield server


def test_resolve(client, tor_network):
    r = tor("resolve", "--socks", client.socks, "192-0-2-9.ip.test")
    assert (r.returncode, r.stdout) == (0, "192.0.2.9\n"), r.stderr
    r = tor("resolve", "--socks", f"unix:{client.socks_socket}", "somewhere.test", "LOCALHOST",
            "192.0.2.77", "::1", "nx.test", "192-0-2-8.ip.test")
    assert r.returncode == 69
    assert r.stdout == ("somewhere.test 127.0.0.1\nLOCALHOST 127.0.0.1\n192.0.2.77 192.0.2.77\n::1 ::1\n"
                        "192-0-2-8.ip.test 192.0.2.8\n")
    assert "nx.test: tor: host unreachable, or no such name (SOCKS reply 04)" in r.stderr
    r = tor("resolve", "--json", "--isolate", "me", "--socks", str(client.socks_socket), "a.test", NOBODY)
    assert r.returncode == 2
    first, second = json.loads(r.stdout)
    assert first == {"name": "a.test", "address": "127.0.0.1"}
    assert second["name"] == NOBODY and second["address"] is None and second["code"] == "NK_EUSAGE"
    assert "onion address has no other address" in second["error"]
    assert not any("localhost" in question for question in tor_network.dns_log())


def test_ptr(client):
    r = tor("ptr", "--socks", client.socks, "192.0.2.5")
    assert (r.returncode, r.stdout) == (0, "host-5.test\n"), r.stderr
    r = tor("ptr", "--json", "--socks", client.socks, "192.0.2.6", "192.0.2.7")
    assert json.loads(r.stdout) == [{"address": "192.0.2.6", "name": "host-6.test"},
                                    {"address": "192.0.2.7", "name": "host-7.test"}]
    for word, text in (("example.com", "is not an address"), ("10.1.2.3", "private network"),
                       ("fc00::1", "private network"), ("127.0.0.1", "private network")):
        r = tor("ptr", "--socks", client.socks, word)
        assert r.returncode == 2 and text in r.stderr


@pytest.mark.parametrize("words", [["exit.test:{}"], ["exit.test", "{}"], ["--isolate", "a", "exit.test:{}"],
                                   ["--allow-private", "127.0.0.1:{}"]])
def test_connect(client, echo, words):
    words = [w.format(echo.port) for w in words]
    for place in (client.socks, str(client.socks_socket)):
        r = through_exit(lambda p=place: tor("connect", "--socks", p, *words, input="there"))
        assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr


def test_endpoint_in_a_forward(client, programs):
    """A half-close ends it only when the far end has said everything."""
    with Echo(b"hi ") as echo:
        forward_through(client, echo, programs)


def forward_through(client, echo, programs):
    p = programs([NETKIT, "forward", "tcp:127.0.0.1:0", f"tor:exit.test:{echo.port},linger=2s,socks={client.socks_socket}"])
    port = int(p.wait_line(r"listening on tcp:127\.0\.0\.1:(\d+)")[1])
    data = os.urandom(1 << 20)
    assert exchange(port, data, TOR_PATIENCE) == b"hi " + data
    assert p.stop() == 0


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page of " + self.headers["Host"].encode())

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def web():
    """The port of a web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_curl_through_a_listener(client, programs, web):
    curl, port = need_command("curl"), web
    p = programs([NETKIT, "forward", "socks5:127.0.0.1:0", f"tor:,socks={client.socks}"])
    proxy = int(p.wait_line(LISTENING)[1])

    def fetch(url, scheme="socks5h", login=""):
        out = subprocess.run([curl, "-sS", "--max-time", "50", "--noproxy", "", "-x",
                              f"{scheme}://{login}127.0.0.1:{proxy}", url],
                             capture_output=True, timeout=TOR_PATIENCE, check=False)
        return out.returncode, out.stdout.decode() or out.stderr.decode()

    assert fetch(f"http://web.test:{port}/") == (0, f"page of web.test:{port}")
    assert fetch(f"http://other.test:{port}/", login="alice:pw@") == (0, f"page of other.test:{port}")
    for url, code in ((f"http://localhost:{port}/", 2), ("http://10.0.0.1/", 2), (f"http://{V2}/", 1),
                      ("http://abc.onion/", 1), ("http://nx.test/", 4)):
        rc, text = fetch(url)
        assert rc == 97 and text.rstrip().endswith(f"({code})"), (url, text)
    assert p.stop() == 0


def test_curl_through_tors_own_and_netkits_unix_socket(client, programs, work, web):
    curl = need_command("curl")
    p = programs([NETKIT, "forward", f"socks5+unix:{work}/s", f"tor:,socks={client.socks_socket}"])
    p.wait_line("listening on socks5")
    for way in (["--socks5-hostname", client.socks], ["-x", f"socks5h://localhost{work}/s"]):
        out = subprocess.run([curl, "-sS", "--max-time", "50", "--noproxy", "", *way, f"http://unix.test:{web}/"],
                             capture_output=True, timeout=TOR_PATIENCE, check=False)
        assert (out.returncode, out.stdout.decode()) == (0, f"page of unix.test:{web}"), out.stderr
    assert p.stop() == 0


class SshGreeter(Echo):
    """The first line of an SSH server, and that of the client, which is kept."""

    def talk(self, conn):
        conn.sendall(b"SSH-2.0-test\r\n")
        self.heard = conn.makefile("rb").readline()


def test_ssh_through_a_proxy_command(client):
    """ssh hands HOST and PORT on as two words, unresolved."""
    ssh = need_command("ssh")
    with SshGreeter() as server:
        server.heard = b""
        command = f"{NETKIT} tor connect --socks {client.socks} %h %p"

        def attempt():
            subprocess.run([ssh, "-F", "none", "-o", "BatchMode=yes", "-o", f"ProxyCommand={command}", "-o",
                            "UserKnownHostsFile=/dev/null", "-p", str(server.port), "nobody@ssh.test", "true"],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=TOR_PATIENCE, check=False)
            return server.heard.startswith(b"SSH-2.0-OpenSSH")

        wait_until(attempt, TOR_PATIENCE)


def test_isolation_gives_circuits_of_their_own(client, echo, programs):
    """Four connections, then the circuits of their streams as tor has them."""
    started = [programs([NETKIT, "tor", "connect", "--socks", client.socks, *words, f"exit.test:{echo.port}"],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for words in ([], ["--isolate", "u1"], ["--isolate", "u2"], ["--isolate", "u1"])]
    control = client.connect()
    circuits = []

    def all_there():
        status = "\n".join(control.command("GETINFO stream-status")).replace("stream-status=", "")
        circuits[:] = re.findall(rf"^\d+ SUCCEEDED (\d+) \S+:{echo.port}\b", status, re.M)
        return len(circuits) == 4

    wait_until(all_there, TOR_PATIENCE)
    control.close()
    counts = sorted(circuits.count(c) for c in set(circuits))
    assert counts == [1, 1, 2]  # none, u2, u1 twice
    for p in started:
        p.kill()


# --- onion services ---------------------------------------------------------------------------------------------


class Onion:
    """An onion service on the network's own client, for as long as the control connection lasts."""

    def __init__(self, network, words, key="NEW:ED25519-V3"):
        self.control = network.client.connect()
        self.control.command("SETEVENTS HS_DESC")
        reply = self.control.command(f"ADD_ONION {key} {words}")
        self.address = next(re.search(r"ServiceID=(\w{56})", line)[1] for line in reply if "ServiceID=" in line)
        self.address += ".onion"
        deadline = time.monotonic() + TOR_PATIENCE
        while "UPLOADED" not in self.control._line():
            assert time.monotonic() < deadline

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control.close()


def test_onion_service(client, tor_network, echo):
    with Onion(tor_network, f"Port=80,127.0.0.1:{echo.port} Port=81,127.0.0.1:1") as onion:
        for address in (onion.address, onion.address.upper(), f"www.{onion.address}"):
            r = tor("connect", "--socks", client.socks, f"{address}:80", input="there")
            assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
        r = tor("connect", "--socks", client.extended, f"{onion.address}:82", input="")
        assert r.returncode == 69 and "the service does not offer this port" in r.stderr
        r = tor("connect", "--socks", client.extended, f"{onion.address}:81", input="")
        assert r.returncode == 69 and f"tor:{onion.address[:8]}...onion:81: " in r.stderr
        assert onion.address not in r.stderr  # it may be a log


def test_unknown_service_is_explained(client):
    r = tor("connect", "--socks", client.extended, f"{NOBODY}:80", input="")
    assert r.returncode == 69
    assert "onion service descriptor not found (SOCKS reply F0)" in r.stderr
    assert "the service is not running" in r.stderr


def test_client_authorization_is_explained(client, tor_network, echo):
    public = base64.b32encode(bytes(range(1, 33))).decode().rstrip("=")  # any point; its key is not used
    with Onion(tor_network, f"Flags=V3Auth ClientAuthV3={public} Port=80,127.0.0.1:{echo.port}") as onion:
        r = tor("connect", "--socks", client.extended, f"{onion.address}:80", input="")
        assert r.returncode == 77, r.stderr
        assert "onion service wants client authorization (SOCKS reply F4)" in r.stderr
        assert "netkit hsc generate-key" in r.stderr
        control = client.connect()
        wrong = base64.b64encode(bytes(range(64, 96))).decode()
        control.command(f"ONION_CLIENT_AUTH_ADD {onion.address[:56]} x25519:{wrong}")
        r = tor("connect", "--socks", client.extended, f"{onion.address}:80", input="")
        assert r.returncode == 77, r.stderr
        assert "refuses this client's key (SOCKS reply F5)" in r.stderr
        assert "netkit hsc" in r.stderr
        r = tor("connect", "--socks", client.socks, f"{onion.address}:80", input="")
        assert r.returncode == 69
        assert "general failure (SOCKS reply 01)" in r.stderr and "ExtendedErrors" in r.stderr
        control.close()


def test_keys_of_the_keystore_are_loaded(client, tor_network, echo, work):
    """Nothing is configured: who has a key for a restricted service is let in, others are not."""
    state = ("--state-dir", str(work / "state"))
    with contextlib.closing(tor_network.client.connect()) as control:
        reply = control.command("ADD_ONION NEW:ED25519-V3 Port=80,127.0.0.1:1")
        address, key = (next(line.split("=", 1)[1] for line in reply if line.startswith(name))
                        for name in ("ServiceID=", "PrivateKey="))
        control.command(f"DEL_ONION {address}")
    made = run("hsc", "generate-key", "stealth", *state, "--hsid", address, "--output", "-", timeout=PATIENCE)
    assert made.returncode == 0, made.stderr
    public = re.search(r"descriptor:x25519:([A-Z2-7]{52})", made.stdout)[1]
    with Onion(tor_network, f"Flags=V3Auth ClientAuthV3={public} Port=80,127.0.0.1:{echo.port}", key) as onion:
        assert onion.address == f"{address}.onion"
        for control in (str(client.control_socket), client.control):
            r = tor("connect", *state, "--control", control, f"{address}.onion:80", input="there")
            assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
        with contextlib.closing(client.connect()) as control:
            control.command(f"ONION_CLIENT_AUTH_REMOVE {address}")
            control.command("SIGNAL NEWNYM")
        r = tor("connect", "--state-dir", str(work / "other"), "--control", client.control, f"{address}.onion:80",
                input="there")
        assert r.returncode in (69, 77) and r.stdout == "", r.stderr
        # without a control port the key that is there cannot be loaded, which is said
        r = tor("connect", *state, "--socks", client.extended, f"{address}.onion:80", input="there")
        assert r.returncode == 77, r.stderr


def test_a_tor_of_this_process_alone(tor_network, echo, work, tmp_path):
    """tor=private: started, used and gone with its directory."""
    lines = "".join(f"torrc = {line}\n" for line in tor_network.torrc)
    tor_network.seed(work / "seed")
    (work / "netkit.ini").write_text(f"[tor]\nseed = {work}/seed\n{lines}", encoding="utf-8")
    env = clean_env(TMPDIR=str(tmp_path))
    words = ("-c", str(work / "netkit.ini"), "--state-dir", str(work / "state"))
    r = through_exit(lambda: tor("connect", *words, "--tor", "private", f"exit.test:{echo.port}", input="there", env=env))
    assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
    r = through_exit(lambda: run("forward", *words, "stdio:", f"tor:exit.test:{echo.port},tor=private,linger=2s",
                                 input="there", env=env, timeout=TOR_PATIENCE))
    assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_the_control_port_says_where_socks_is(client, echo):
    for place in (str(client.control_socket), client.control):
        r = tor("resolve", "--control", place, "192-0-2-9.ip.test")
        assert (r.returncode, r.stdout) == (0, "192.0.2.9\n"), r.stderr
    r = through_exit(lambda: run("forward", "stdio:",
                                 f"tor:exit.test:{echo.port},control={client.control_socket},linger=2s",
                                 input="there", timeout=TOR_PATIENCE))
    assert (r.returncode, r.stdout) == (0, "hi there"), r.stderr


# --- refused before anything is opened ----------------------------------------------------------------------------


@pytest.mark.parametrize("target, rc, text", [
    (f"{V2}:80", 78, "version 2"),
    (f"www.{V2}:80", 78, "version 2"),
    (NOBODY[:-8] + "a.onion:80", 78, ""),
    ("abc.onion:80", 78, ""),
    ("localhost:80", 78, "is this machine"),
    ("a.localhost:80", 78, "is this machine"),
    ("127.0.0.1:80", 78, "private network"),
    ("192.168.1.1:80", 78, "private network"),
    ("[::1]:80", 78, "private network"),
    ("[::ffff:10.0.0.1]:80", 78, "private network"),
    ("127.1:80", 78, "not an IPv4 address"),
    ("0x7f000001:80", 78, ""),
    ("a.exit:80", 78, "no .exit names"),
    ("a.test", 78, "port"),
    ("a.test:0", 78, "port"),
    ("", 78, "does not say where to connect"),
    ("a.test:80,isolate=", 78, "1 to 255 bytes"),
    ("a.test:80,isolate=<torS0X>1", 78, "have a meaning for tor"),
    ("a.test:80,socks=nonsense", 78, "tor's SOCKS port"),
    ("a.test:80,control=nonsense", 78, "tor's control port"),
    ("a.test:80,tor=private", 78, "no socks= and control= with it"),
    ("a.test:80,client=/x", 78, "is the key of an onion service"),
])
def test_refused_without_a_connection(target, rc, text):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        place = "" if "socks=" in target else f",socks=127.0.0.1:{nobody.getsockname()[1]}"
        r = run("forward", "stdio:", f"tor:{target}{place}", timeout=PATIENCE)
        assert r.returncode == rc, r.stderr
        assert text in r.stderr
        nobody.settimeout(0)
        with pytest.raises(BlockingIOError):
            nobody.accept()


def test_no_tor_and_a_silent_one():
    r = run("tor", "connect", "--socks", "1", "a.test:80")
    assert r.returncode == 69 and "tcp:127.0.0.1:1" in r.stderr
    r = run("tor", "resolve", "--socks", "/nonexistent/socks", "a.test")
    assert r.returncode in (69, 73, 1) and "/nonexistent/socks" in r.stderr
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        r = run("tor", "connect", "--socks", str(silent.getsockname()[1]), "--timeout", "1s", "a.test:80")
        assert r.returncode == 75 and "no answer within 1 s" in r.stderr
        assert time.monotonic() - start < PATIENCE / 2


@pytest.mark.parametrize("theirs, ours", [
    ("tor:host=a.test:port=80", "tor:a.test:80"),
    ("tor:a.test:80:socksPort=9050", "tor:a.test:80,socks=9050"),
    ("tcp:host=a.test:port=80", "tcp:a.test:80"),
    ("ssl:a.test:443", "tls:a.test:443"),
])
def test_strings_of_twisted(theirs, ours):
    r = run("forward", "tcp::0", theirs)
    assert r.returncode == 78 and f"here it is {ours})" in r.stderr, r.stderr


# --- no DNS -------------------------------------------------------------------------------------------------------

SNIFFER = r"""
import os, socket, struct, subprocess, sys
with open("/etc/resolv.conf", "w") as f:
    f.write("nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
count = 0
sniffer.setblocking(False)
try:
    while True:
        packet = sniffer.recv(4096)
        at = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
        count += packet[0] >> 4 in (4, 6) and 53 in struct.unpack("!HH", packet[at:at + 4])
except BlockingIOError:
    pass
print(count, done.returncode, (done.stdout + done.stderr).decode().replace("\n", " "))
"""


def dns_packets(*args):
    """Packets from or to port 53 while netkit runs in a network of its own, where every question would be seen."""
    need_root()
    for name in ("unshare", "ip"):
        need_command(name)
    script = ("set -e; cp /etc/resolv.conf /dev/shm/nk-resolv.$$ 2>/dev/null || : >/dev/shm/nk-resolv.$$; "
              "mount --bind /dev/shm/nk-resolv.$$ /etc/resolv.conf; rm -f /dev/shm/nk-resolv.$$; exec \"$@\"")
    out = subprocess.run(["unshare", "-n", "-m", "sh", "-c", script, "sh", "/usr/bin/python3", "-c", SNIFFER,
                          NETKIT, *args], capture_output=True, text=True, timeout=TOR_PATIENCE, check=False)
    if out.returncode != 0:
        missing_peer(f"a network namespace: {out.stderr.strip()}")
    count, rc, text = out.stdout.split(" ", 2)
    return int(count), int(rc), text


def test_the_sniffer_sees_what_a_resolver_would_do():
    count, rc, _ = dns_packets("forward", "stdio:", "tcp:some.name.test:80")
    assert count > 0 and rc != 0


def test_nothing_asks_a_resolver(client, echo):
    place = str(client.socks_socket)  # a path: it is there in every network
    for args, status in ((("tor", "resolve", "--socks", place, "a.test", "b.test", "nx.test"), 69),
                         (("tor", "ptr", "--socks", place, "192.0.2.5"), 0),
                         (("tor", "connect", "--linger", "1s", "--socks", place, f"exit.test:{echo.port}"), 0),
                         (("tor", "connect", "--socks", place, f"{NOBODY}:80"), 69),
                         (("forward", "stdio:", f"tor:exit.test:{echo.port},linger=1s,socks={place}"), 0),
                         (("forward", "stdio:", f"socks5+unix:{place},to=exit.test:{echo.port}"), 0),
                         (("forward", "stdio:", f"tcp:{NOBODY}:80"), 78),
                         (("forward", "stdio:", f"tor:{V2}:80,socks={place}"), 78)):
        count, rc, text = dns_packets(*args)
        assert (count, rc) == (0, status), (args, text)
