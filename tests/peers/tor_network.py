#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A private Tor network on the loopback interface: authority, relays (all of them exits), one client.

    with TorNetwork() as net:                # 10 to 15 s, keys of the authority cached under build/
        net.client.control                   # "127.0.0.1:PORT"; also .control_socket .socks .socks_socket .cookie
        net.client.connect()                 # an authenticated tor_offline.Control
        net.torrc                            # the lines that a tor of your own needs to join the network
        net.torrc_args()                     # the same as ["--torrc", LINE, ...]
        net.seed(datadir)                    # directory information, so that a new tor is ready in 0.2 s
        net.relays                           # {nickname: fingerprint}
        net.dns_log()                        # the questions that exits asked, as ["A name", ...]
        with net.tor(["SocksPort auto"]) as tor: tor.restart()     # a further client that a test may end
        with net.bridge() as bridge: bridge.line             # a bridge, and the line of torrc for its clients

Names that exits resolve: X.test is 127.0.0.1, A-B-C-D.ip.test is A.B.C.D, six.test has also 2001:db8::6,
192.0.2.N is host-N.test; all others do not exist. Exits reach 127.0.0.0/8.

Every process ends with its parent (parent-death signal) or, for `start` as a program, after LIFE seconds at the
latest. As a program: tor_network.py start|stop|status|torrc DIR, seed DIR DATADIR.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from tor_offline import TOR, Control

GENCERT = shutil.which("tor-gencert") or shutil.which("tor-gencert", path="/usr/sbin:/usr/local/bin:/usr/bin")
CACHE = pathlib.Path(__file__).resolve().parents[2] / "build" / "tor-network"
LIFE = 1800  # seconds after which every process of the network ends whatever happens
PATIENCE = 150.0  # seconds for the network to come up on a busy machine
ENDING = 10.0  # seconds for a tor to end after SIGTERM, then it is killed
ATTEMPTS = 3  # starts, when somebody took a port that was free before
KEY_AGE = 180 * 86400  # seconds until cached keys are made anew: certificates are made for twelve months
KNOWS_RELAYS = 75  # per cent of bootstrapping: the consensus and the descriptors in it are there
PORTS = range(12000, 32000)  # below the ephemeral ports, which begin at 32768

# Voting intervals in seconds: the first must be at least 2+2+1 and divide half an hour, later ones at
# least 10 and divide a day. The offset puts the first consensus LEAD seconds into the future: voting
# begins 4 s before that, which leaves the relays 2 to 3 s to upload their descriptors.
INITIAL, LATER, LEAD = 6, 20, 7

COMMON = """
TestingTorNetwork 1
LogTimeGranularity 1
SafeLogging 0
ShutdownWaitLength 0
ConnLimit 60
DisableDebuggerAttachment 0
PathsNeededToBuildCircuits 0.67
AvoidDiskWrites 1
TestingDirConnectionMaxStall 5 seconds
ClientUseIPv6 0
"""
RELAY = """
Address 127.0.0.1
AssumeReachable 1
SocksPort 0
ServerDNSDetectHijacking 0
ServerDNSTestAddresses
ServerDNSAllowNonRFC953Hostnames 1
PublishServerDescriptor v3
BandwidthRate 1 GB
BandwidthBurst 1 GB
"""
AUTHORITY = """
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo nobody
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVoteDelay 2
V3AuthDistDelay 2
V3AuthNIntervalsValid 3
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
AuthDirMaxServersPerAddr 0
MinUptimeHidServDirectoryV2 0
TestingAuthDirTimeToLearnReachability 0
AuthDirTestEd25519LinkKeys 0
ExitPolicy reject *:*
"""
EXIT = """
ExitRelay 1
ExitPolicyRejectPrivate 0
ExitPolicy accept 127.0.0.0/8:*
ExitPolicy accept *:*
"""
# What a circuit may take is not learnt from those of a quiet moment: the machine may get busy.
CLIENT = """
CookieAuthentication 1
ClientOnly 1
AutomapHostsOnResolve 1
LearnCircuitBuildTimeout 0
CircuitBuildTimeout 60
"""
SINGLE_HOP = ["HiddenServiceNonAnonymousMode 1", "HiddenServiceSingleHopMode 1", "SocksPort 0"]


class NetworkError(RuntimeError):
    """The network did not come up; what was logged."""


class PortTaken(NetworkError):
    """Somebody took a port between our looking and tor's binding."""


def missing():
    """The program that is not there, or None."""
    return "the program tor" if not TOR else "the program tor-gencert" if not GENCERT else None


def quoted(path):
    return json.dumps(str(path))


def wait_for(what, message, nodes=(), patience=PATIENCE):
    """Poll another process's files and ports, for which there is no event here."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not (found := what()):
        for node in nodes:
            node.check()
        if time.monotonic() > deadline:
            raise NetworkError(f"{message} in {patience:.0f} s\n" + "\n".join(n.log()[-2000:] for n in nodes))
        pause.wait(0.03)
    return found


def read(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def free_ports(count):
    """Different ports of 127.0.0.1 that are free now, for TCP and UDP."""
    found, held = [], contextlib.ExitStack()
    with held:
        for port in random.SystemRandom().sample(PORTS, len(PORTS)):
            if len(found) == count:
                return found
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    held.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    raise NetworkError("no free ports")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- processes


class Process:
    """A bounded process: it ends after LIFE seconds, and with the thread that started it unless `stays`."""

    def __init__(self, argv, mark, out, stays=False, pass_fds=()):
        bound = ["timeout", "-k", "5", str(LIFE), *map(str, argv)]
        if not stays:
            bound = ["setpriv", "--pdeathsig", "TERM", *bound]
        self.mark = str(mark)
        self.proc = subprocess.Popen(bound, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                     pass_fds=pass_fds, start_new_session=stays)
        self.pid = self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def inner(self):
        """The pid of the program itself, below timeout; None when it has ended."""
        return inner(self.pid)

    def signal(self, number):
        pid = self.inner()
        if pid:
            os.kill(pid, number)

    def ask(self):
        if self.alive():
            self.proc.terminate()

    def wait(self):
        try:
            self.proc.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.proc.wait(ENDING)


def inner(pid):
    """The one child of a process."""
    words = read(pathlib.Path(f"/proc/{pid}/task/{pid}/children")).split()
    return int(words[0]) if words else None


def is_ours(pid, mark):
    """Whether pid still is a process that has this mark (a path) among its arguments."""
    words = pathlib.Path(f"/proc/{pid}/cmdline")
    try:
        return mark.encode() in words.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Node:
    """One tor in base/name. Ports are given; `lines` is everything of its torrc but what each has."""

    def __init__(self, network, name, lines, stays=False):
        self.name = name
        self.dir = network.base / name
        self.dir.mkdir(mode=0o700, exist_ok=True)
        self._stays = stays
        self._torrc = self.dir / "torrc"
        self._log = self.dir / "notice.log"
        self._out = self.dir / "out"
        text = [*lines, f"DataDirectory {quoted(self.dir)}", f"Log notice file {self._log}",
                f"GeoIPFile {network.base}/geoip", f"GeoIPv6File {network.base}/geoip6"]
        self._torrc.write_text("\n".join([*text, ""]), encoding="utf-8")
        self._empty = network.base / "empty"
        self._process = None

    def start(self):
        self._log.unlink(missing_ok=True)
        with open(self._out, "wb") as out:
            argv = [TOR, "-f", self._torrc, "--defaults-torrc", self._empty, "--hush"]
            self._process = Process(argv, self.dir, out, self._stays)

    def alive(self):
        return self._process is not None and self._process.alive()

    @property
    def pid(self):
        """The pid of tor itself."""
        return self._process.inner()

    @property
    def outer_pid(self):
        return self._process.pid

    def log(self):
        """Notices and above, and what it printed before it had a log."""
        return f"{self.name}:\n" + read(self._log) + read(self._out)

    def check(self):
        if not self.alive():
            kind = PortTaken if "Address already in use" in self.log() else NetworkError
            raise kind(f"{self.name} ended\n{self.log()[-2000:]}")

    def bootstrapped(self, percent=100):
        return any(int(done) >= percent for done in re.findall(r"Bootstrapped (\d+)%", read(self._log)))

    def signal(self, number):
        self._process.signal(number)

    def ask(self):
        if self._process:
            self._process.ask()

    def stop(self):
        if self._process:
            self._process.ask()
            self._process.wait()


class Bridge(Node):
    """A relay that no directory tells of, used with `with`; `line` is what its clients have in their torrc."""

    def __init__(self, network, name, port):
        lines = [*COMMON.split("\n"), *RELAY.replace("Descriptor v3", "Descriptor 0").split("\n"), *network.authorities,
                 f"Nickname {name}", "BridgeRelay 1", f"ORPort 127.0.0.1:{port} IPv4Only", "ExitRelay 0"]
        super().__init__(network, name, lines)
        self._network = network
        self._port = port

    @property
    def line(self):
        return f"Bridge 127.0.0.1:{self._port} {self.fingerprint}"

    @property
    def fingerprint(self):
        return (self.dir / "fingerprint").read_text(encoding="ascii").split()[1]

    def __enter__(self):
        self._network.seed(self.dir)
        self.start()
        try:
            wait_for(lambda: listens(self._port) and self.bootstrapped(), f"{self.name} is not at 100 %", [self])
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class Client(Node):
    """A client tor with control port, control socket, cookie and, unless it is for single-hop services only, which
    tor does not allow together with clients, SOCKS on TCP and unix."""

    def __init__(self, network, name, ports, lines=(), stays=False, single_hop=False):
        self._network = network
        base = network.base / name
        self.control = f"127.0.0.1:{ports[0]}"
        self.socks = f"127.0.0.1:{ports[1]}"
        self.control_socket = base / "control.sock"
        self.socks_socket = base / "socks.sock"
        self.cookie = base / "control_auth_cookie"
        self.client_auth = base / "onion_auth"  # its ClientOnionAuthDir
        own = [*COMMON.split("\n"), *CLIENT.split("\n"), *network.authorities, f"ControlPort {self.control}",
               f"ControlSocket unix:{quoted(self.control_socket)}", f"ClientOnionAuthDir {quoted(self.client_auth)}"]
        own += SINGLE_HOP if single_hop else [f"SocksPort {self.socks}", f"SocksPort unix:{quoted(self.socks_socket)}"]
        own += lines
        super().__init__(network, name, own, stays)
        self.client_auth.mkdir(mode=0o700, exist_ok=True)

    def start(self):
        self._network.seed(self.dir)
        super().start()

    def connect(self):
        """An authenticated control connection (tor_offline.Control)."""
        control = Control(self.control_socket)
        control.command(f"AUTHENTICATE {self.cookie.read_bytes().hex()}")
        return control

    def wait(self):
        wait_for(self.bootstrapped, f"{self.name} is not at 100 %", [self])

    def restart(self, number=signal.SIGTERM):
        """End it with a signal, start it again with the same files, wait until it is ready."""
        self.signal(number)
        self._process.wait()
        self.start()
        self.wait()

    def __enter__(self):
        self.start()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


# --- keys of authorities


def make_keys(name, where):
    """Relay keys by tor and authority keys by tor-gencert, both at once: RSA of 3072 bits takes its time."""
    keys, empty = where / "keys", where / "empty"
    keys.mkdir(mode=0o700)
    empty.touch()
    argv = [TOR, "-f", empty, "--defaults-torrc", empty, "--list-fingerprint", "--ORPort", "1", "--Nickname", name,
            "--DirAuthority", "x 127.0.0.1:1 " + "f" * 40, "--DataDirectory", where, "--hush"]
    with open(where / "fp", "wb") as fp, subprocess.Popen(argv, stdout=fp, stderr=subprocess.PIPE) as tor:
        subprocess.run([GENCERT, "--create-identity-key", "-m", "12", "--passphrase-fd", "0",
                        "-i", keys / "authority_identity_key", "-s", keys / "authority_signing_key",
                        "-c", keys / "authority_certificate"],
                       input=b"unused\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
                       timeout=PATIENCE)
        _, error = tor.communicate(timeout=PATIENCE)
        if tor.returncode:
            raise NetworkError(f"no keys for {name}: {error.decode(errors='replace')}")
    for rest in ("lock", "state"):
        (where / rest).unlink(missing_ok=True)


def cached_keys(name, cache):
    """The folder with the keys of an authority: made once, then shared by everybody who runs tests here."""
    cache.mkdir(parents=True, exist_ok=True)
    done = cache / name
    with open(cache / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and time.time() - done.stat().st_mtime > KEY_AGE:
            shutil.rmtree(done)
        if not done.exists():
            fresh = pathlib.Path(tempfile.mkdtemp(prefix="new-", dir=cache))
            try:
                make_keys(name, fresh)
                fresh.rename(done)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return done


# --- the network


class TorNetwork:
    """base: a folder of its own with a short name (default: a temporary one that is removed at the end).
    stays: the processes outlive this one (see `start` as a program)."""

    def __init__(self, base=None, authorities=1, relays=3, stays=False, cache=CACHE):
        absent = missing()
        if absent:
            raise FileNotFoundError(absent)
        self._temporary = base is None
        self.base = pathlib.Path(base or tempfile.mkdtemp(prefix="nk-tor-")).absolute()
        self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._counts = authorities, relays
        self._stays = stays
        self._cache = cache
        self._further = 0
        self._clear()

    def _clear(self):
        self.nodes, self.relays, self.authorities = [], {}, []
        self.client = self._dns = None

    def start(self):
        for attempt in range(ATTEMPTS):
            try:
                self._start()
                return self
            except PortTaken:
                self.stop()
                for node in self.nodes:
                    shutil.rmtree(node.dir)  # an old consensus would look like a new one
                self._clear()
                if attempt == ATTEMPTS - 1:
                    self._remove()
                    raise
            except BaseException:
                self.close()
                raise
        return self

    def _start(self):
        authorities, relays = self._counts
        ports = free_ports(2 * (authorities + relays) + 2)
        for name in ("empty", "geoip6"):
            (self.base / name).touch()
        # loopback and documentation ranges, so that tor knows the country of an address
        (self.base / "geoip").write_text("2130706432,2147483647,ZZ\n3221225984,3221226239,AA\n", encoding="ascii")
        self._start_dns()
        places = []
        for i in range(authorities):
            places.append(self._authority(f"a{i}", ports[2 * i], ports[2 * i + 1]))
        offset = (int(time.time()) + LEAD) % INITIAL
        timing = [f"TestingV3AuthInitialVotingInterval {INITIAL}", f"TestingV3AuthVotingStartOffset {offset}",
                  f"V3AuthVotingInterval {LATER}"]
        first = [self._relay(*place, [*AUTHORITY.split("\n"), *timing]) for place in places]
        # an upload to a port that does not listen yet would be tried again a minute later
        wait_for(lambda: all(listens(place[2]) for place in places), "the authorities do not listen", first)
        for i in range(relays):
            at = 2 * (authorities + i)
            self._relay(f"r{i}", ports[at], ports[at + 1], EXIT.split("\n"))
        consensus = self.base / "a0" / "cached-microdesc-consensus"
        wait_for(lambda: len(re.findall("^r ", read(consensus), re.M)) == authorities + relays,
                 "there is no full consensus", self.nodes)
        for node in self.nodes:
            self.relays[node.name] = (node.dir / "fingerprint").read_text(encoding="ascii").split()[1]
        self.client = Client(self, "c0", ports[-2:], stays=self._stays)
        self.nodes.append(self.client)
        self.client.start()
        self.client.wait()
        # a relay fetches the consensus seconds later than this client; an exit refuses the streams that come over
        # relays which it does not know
        wait_for(lambda: all(node.bootstrapped(KNOWS_RELAYS) for node in self.nodes), "some relay has no consensus",
                 self.nodes)

    def _start_dns(self):
        """The name server of the exits, on a socket that is bound here."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, open(self.base / "dns.log", "wb") as log:
            udp.bind(("127.0.0.1", free_ports(1)[0]))
            address = "{}:{}".format(*udp.getsockname())
            fd = udp.fileno()
            self._dns = Process([sys.executable, os.path.abspath(__file__), "dns", fd, self.base], self.base, log,
                                self._stays, pass_fds=[fd])
        (self.base / "resolv.conf").write_text(f"nameserver {address}\n", encoding="ascii")

    def _authority(self, name, or_port, dir_port):
        made = cached_keys(name, self._cache)
        shutil.copytree(made / "keys", self.base / name / "keys", dirs_exist_ok=True)
        (self.base / name).chmod(0o700)
        own = re.search(rf"^{name} (.*)$", read(made / "fp"), re.M).group(1).replace(" ", "")
        v3 = re.search(r"^fingerprint (\S+)$", read(made / "keys" / "authority_certificate"), re.M).group(1)
        self.authorities.append(f"DirAuthority {name} orport={or_port} no-v2 v3ident={v3} 127.0.0.1:{dir_port} {own}")
        return name, or_port, dir_port

    def _relay(self, name, or_port, dir_port, lines):
        lines = [*COMMON.split("\n"), *RELAY.split("\n"), *self.authorities, f"Nickname {name}",
                 f"ORPort 127.0.0.1:{or_port} IPv4Only", f"DirPort 127.0.0.1:{dir_port}",
                 f"ServerDNSResolvConfFile {self.base}/resolv.conf", *lines]
        node = Node(self, name, lines, self._stays)
        self.nodes.append(node)
        node.start()
        return node

    # --- for tors of others

    @property
    def torrc(self):
        """Lines with which a client tor joins this network."""
        return [line for line in COMMON.split("\n") if line] + self.authorities

    def torrc_args(self):
        return [word for line in self.torrc for word in ("--torrc", line)]

    def seed(self, datadir):
        """Copy the directory information of the authority: a client then has nothing to fetch (a relay may
        lack some of it at first, and a client's next try comes 10 s later)."""
        datadir = pathlib.Path(datadir)
        datadir.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = self.base / "a0"
        for name in ("cached-certs", "cached-microdesc-consensus"):
            shutil.copyfile(source / name, datadir / name)
        text = read(source / "cached-microdescs") + read(source / "cached-microdescs.new")
        (datadir / "cached-microdescs.new").write_text(text, encoding="utf-8")

    def tor(self, lines=(), single_hop=False):
        """A further client, to be used with `with`; lines are added to its torrc."""
        self._further += 1
        return Client(self, f"t{self._further}", free_ports(2), lines, single_hop=single_hop)

    def bridge(self):
        """A bridge, to be used with `with`."""
        self._further += 1
        return Bridge(self, f"b{self._further}", free_ports(1)[0])

    def dns_log(self):
        return read(self.base / "dns.log").splitlines()

    # --- its end

    def describe(self):
        """What `start` prints, and what `stop` needs."""
        client = self.client
        return {"directory": str(self.base), "control": client.control, "control_socket": str(client.control_socket),
                "socks": client.socks, "socks_socket": str(client.socks_socket), "cookie": str(client.cookie),
                "relays": self.relays, "torrc": self.torrc,
                "pids": [self._dns.pid, *(node.outer_pid for node in self.nodes)]}

    def stop(self):
        for node in self.nodes:
            node.ask()
        for node in self.nodes:
            node.stop()
        if self._dns:
            self._dns.ask()
            self._dns.wait()

    def _remove(self):
        if self._temporary:
            shutil.rmtree(self.base, ignore_errors=True)

    def close(self):
        self.stop()
        self._remove()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


# --- the name server

TYPE_A, TYPE_PTR, TYPE_AAAA = 1, 12, 28
NXDOMAIN = 3
TTL = 60


def labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def answers(name, kind):
    """The answers as (type, data) to a question in lower case; None when the name does not exist."""
    ip = re.fullmatch(r"(\d+)-(\d+)-(\d+)-(\d+)\.ip\.test", name)
    pointer = re.fullmatch(r"(\d+)\.2\.0\.192\.in-addr\.arpa", name)
    if pointer:
        return [(TYPE_PTR, labels(f"host-{pointer.group(1)}.test"))] if kind == TYPE_PTR else []
    if not name.endswith(".test") or name == "nx.test":
        return None
    if kind == TYPE_A:
        return [(TYPE_A, bytes(map(int, ip.groups())) if ip else bytes([127, 0, 0, 1]))]
    if kind == TYPE_AAAA and name == "six.test":
        return [(TYPE_AAAA, ipaddress.ip_address("2001:db8::6").packed)]
    return []


def answer(packet, log):
    """One DNS message (RFC 1035 section 4.1); the question goes back byte by byte, since tor checks the
    case of its letters, which it chooses at random."""
    at, parts = 12, []
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    question = packet[12:at + 5]
    name, kind = ".".join(parts).lower(), int.from_bytes(packet[at + 1:at + 3], "big")
    print({TYPE_A: "A", TYPE_PTR: "PTR", TYPE_AAAA: "AAAA"}.get(kind, kind), name, file=log, flush=True)
    found = answers(name, kind)
    flags = 0x8580 | (NXDOMAIN if found is None else 0)
    out = packet[:2] + flags.to_bytes(2, "big") + b"\0\1" + len(found or ()).to_bytes(2, "big") + b"\0\0\0\0" + question
    for rtype, data in found or ():
        out += b"\xc0\x0c" + rtype.to_bytes(2, "big") + b"\0\1" + TTL.to_bytes(4, "big")
        out += len(data).to_bytes(2, "big") + data
    return out


def serve_dns(fd):
    with socket.socket(fileno=fd) as udp:
        while True:
            packet, peer = udp.recvfrom(4096)
            try:
                udp.sendto(answer(packet, sys.stdout), peer)
            except (IndexError, ValueError):
                print("malformed", flush=True)


# --- as a program


def load(base):
    try:
        return json.loads((base / "network.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        sys.exit(f"tor_network.py: no network runs in {base}")


def program_start(base):
    if (base / "network.json").exists():
        sys.exit(f"tor_network.py: a network runs in {base} already")
    about = TorNetwork(base, stays=True).start().describe()
    (base / "network.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    print(json.dumps(about, indent=1))


def program_stop(base):
    about = load(base)
    pids = [pid for pid in about["pids"] if is_ours(pid, str(base))]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    try:
        wait_for(lambda: not any(is_ours(pid, str(base)) for pid in pids), "it does not end", patience=ENDING)
    except NetworkError:
        for pid in pids:
            below = inner(pid)
            if below and is_ours(below, str(base)):
                os.kill(below, signal.SIGKILL)
    (base / "network.json").unlink()


def program_status(base):
    for pid in load(base)["pids"]:
        print(pid, "runs" if is_ours(pid, str(base)) else "has ended")


def program_seed(base, datadir):
    network = TorNetwork.__new__(TorNetwork)
    network.base = base
    network.seed(datadir)


def main(words):
    if len(words) == 3 and words[0] == "dns":
        return serve_dns(int(words[1]))
    verbs = {"start": program_start, "stop": program_stop, "status": program_status,
             "torrc": lambda base: print("\n".join(load(base)["torrc"]))}
    if len(words) == 2 and words[0] in verbs:
        return verbs[words[0]](pathlib.Path(words[1]).absolute())
    if len(words) == 3 and words[0] == "seed":
        return program_seed(pathlib.Path(words[1]).absolute(), words[2])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
