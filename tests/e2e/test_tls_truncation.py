# SPDX-License-Identifier: MIT
"""What is cut never looks whole: ends without close_notify, resets, time that is over. On the other side of netkit tls
and of forward they are resets, in both directions, and they are counted."""

import json
import re
import socket
import ssl
import struct
import subprocess
import sys

import pytest

from server_support import LocalServer
from support import NETKIT, PATIENCE, need_command, need_root, run, wait_until

from test_tls_tunnel import LISTENING, certs, client, context, echo, server  # noqa: F401  (fixtures)

PART = b"the first half"


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def outcome(conn):
    """What is read, and how it ends."""
    got = b""
    try:
        while part := conn.recv(65536):
            got += part
    except ConnectionResetError:
        return got, "reset"
    return got, "end"


@pytest.fixture
def target():
    """A listener without TLS; accept() gives the connection that netkit made."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        s.settimeout(PATIENCE)

        class Target:
            port = s.getsockname()[1]
            where = f"tcp:127.0.0.1:{port}"

            @staticmethod
            def accept():
                conn = s.accept()[0]
                conn.settimeout(PATIENCE)
                return conn

        yield Target


def tls_client(port, certs):
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return context(certs, certs.alice).wrap_socket(raw, server_hostname="srv.test", suppress_ragged_eofs=False)


def tls_server(certs, conn):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(certs.srv.cert_path, certs.srv.key_path)
    return ctx.wrap_socket(conn, server_side=True, suppress_ragged_eofs=False)


class ByHand:
    """A TLS connection over a socket that is seen: its last bytes can be left out, and its reset is no mere end."""

    def __init__(self, port, certs):
        self.raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(certs, certs.alice).wrap_bio(self.inward, self.outward, server_hostname="srv.test")
        self._until(self.tls.do_handshake)
        self.raw.sendall(self.outward.read())

    def _until(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.raw.sendall(self.outward.read())
                part = self.raw.recv(65536)
                self.inward.write(part) if part else self.inward.write_eof()

    def send(self, data, leave_out=0):
        self.tls.write(data)
        record = self.outward.read()
        self.raw.sendall(record[:len(record) - leave_out])

    def recv(self, n):
        return self._until(lambda: self.tls.read(n))


def test_client_without_close_notify(server, certs, target):
    """In front of a server: what came arrives, then a reset; the log says whose side it was, once."""
    port = server("--allow-all", target=target.where)
    with tls_client(port, certs) as s, target.accept() as plain:
        s.sendall(PART)
        assert plain.recv(len(PART)) == PART
        s.close()  # Python sends close_notify in unwrap() only
        assert outcome(plain) == (b"", "reset")
    server.program.wait_line(r"warn tls: 127\.0\.0\.1:\d+: cut off on the client's side: TLS ended without close_notify "
                             r"\(hint: .*truncation=end")
    assert server.program.stop() == 0
    assert server.program.stderr().count("close_notify") == 1


def test_server_without_close_notify(client, certs, target):
    local = client(target.port)
    with socket.create_connection(("127.0.0.1", local), PATIENCE) as plain, tls_server(certs, target.accept()) as s:
        s.sendall(PART)
        assert plain.recv(len(PART)) == PART
        s.close()
        assert outcome(plain) == (b"", "reset")
    client.program.wait_line("cut off on the target's side: TLS ended without close_notify")


def test_resets_reach_the_side_with_tls(server, client, certs, target):
    """No close_notify and no orderly end there: a reset, also for those who take an end without it for one."""
    s = ByHand(server("--allow-all", target=target.where), certs)
    plain = target.accept()
    plain.sendall(PART)
    assert s.recv(len(PART)) == PART
    reset(plain)
    assert outcome(s.raw) == (b"", "reset")
    server.program.wait_line("cut off on the target's side: Connection reset by peer")
    local = client(target.port)
    plain = socket.create_connection(("127.0.0.1", local), PATIENCE)
    with tls_server(certs, target.accept()) as s:
        plain.sendall(PART)
        assert s.recv(len(PART)) == PART
        reset(plain)
        with pytest.raises(ssl.SSLEOFError):  # Python's name for a reset, too
            s.recv(1)
    client.program.wait_line("cut off on the client's side: Connection reset by peer")


@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_end(server, certs, target, version):
    """--truncation end: between two records that is an end; within one it is none."""
    port = server("--allow-all", "--truncation", "end", "--min-version", version, target=target.where)
    for leave_out, how in ((0, "end"), (5, "reset")):
        half = ByHand(port, certs)
        with target.accept() as plain:
            half.send(PART)
            assert plain.recv(len(PART)) == PART
            half.send(PART, leave_out)
            half.raw.close()
            assert outcome(plain) == (PART if how == "end" else b"", how)
    server.program.wait_line("close_notify")
    assert server.program.stop() == 0
    assert server.program.stderr().count("close_notify") == 1


def test_client_end(client, certs, target):
    local = client(target.port, "--truncation", "end")
    with socket.create_connection(("127.0.0.1", local), PATIENCE) as plain, tls_server(certs, target.accept()) as s:
        s.sendall(PART)
        s.close()
        assert outcome(plain) == (PART, "end")


@pytest.mark.parametrize("parameter, how", [("", "reset"), (",truncation=end", "end")])
def test_endpoint_parameter(programs, certs, target, parameter, how):
    p = programs([NETKIT, "forward", "tcp:127.0.0.1:0",
                  f"tls:{target.where[4:]},ca={certs.ca.cert_path},name=srv.test{parameter}"])
    port = int(p.wait_line(LISTENING)[1])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain, tls_server(certs, target.accept()) as s:
        s.sendall(PART)
        assert plain.recv(len(PART)) == PART
        s.close()
        assert outcome(plain) == (b"", how)


def test_resets_through_forward(programs, target, work):
    """Both ways, and counted; a unix socket has no resets, its peer sees an end at once."""
    ini = work / "netkit.ini"
    ini.write_text(f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {target.where}\n"
                   f"[forward b]\nlisten = unix:{work}/s\nconnect = {target.where}\n")
    p = programs([NETKIT, "--state-dir", work, "-c", ini, "run"])
    port = int(p.wait_line(LISTENING)[1])
    for first in range(2):
        ends = [socket.create_connection(("127.0.0.1", port), PATIENCE), target.accept()]
        ends[first].sendall(PART)
        assert ends[1 - first].recv(len(PART)) == PART
        reset(ends[first])
        assert outcome(ends[1 - first]) == (b"", "reset")
    with socket.socket(socket.AF_UNIX) as conn:
        wait_until((work / "s").exists)
        conn.settimeout(PATIENCE)
        conn.connect(str(work / "s"))
        conn.sendall(PART)
        other = target.accept()
        assert other.recv(len(PART)) == PART
        reset(other)
        assert outcome(conn) == (b"", "end")

    def counted():
        told = json.loads(run("--state-dir", work, "status", "--json").stdout)
        return told["forward a"]["cut"] == 2 and told["forward b"]["cut"] == 1 and told["forward a"]["failed"] == 0

    wait_until(counted)
    assert p.stop() == 0


def test_time_that_is_over(server, certs, target):
    """The end of what was idle for too long, or open when the service ends, is no end of a file."""
    port = server("--allow-all", "--idle", "200ms", target=target.where)
    s = ByHand(port, certs)
    with target.accept() as plain:
        assert outcome(plain) == (b"", "reset")
        assert outcome(s.raw) == (b"", "reset")
    s = ByHand(server("--allow-all", "--drain", "0", target=target.where), certs)
    with target.accept() as plain:
        s.send(PART)
        assert plain.recv(len(PART)) == PART
        server.program.proc.terminate()
        assert outcome(plain) == (b"", "reset")
        assert outcome(s.raw) == (b"", "reset")


def test_target_that_is_not_there(server, certs):
    """Let in, and then nothing to be connected to: that is no empty answer."""
    s = ByHand(server("--allow-all", target="tcp:127.0.0.1:1"), certs)
    assert outcome(s.raw)[1] == "reset"
    server.program.wait_line("tcp:127.0.0.1:1: Connection refused")


class Late(LocalServer):
    """Answers with a file, and ends, when the request has ended."""

    size = 1 << 20

    def talk(self, conn):
        while conn.recv(65536):
            pass
        conn.sendall(bytes(self.size))


# With small buffers in the kernel the end of the answer waits in netkit when both directions have ended already.
SMALL = """
import socket, subprocess, sys, time
sys.path.insert(0, sys.argv[2])
import test_tls_truncation as t
subprocess.run("ip link set lo up && sysctl -q -w net.ipv4.tcp_wmem='4096 16384 20000' net.ipv4.tcp_rmem='4096 8192 8192'",
               shell=True, check=True)
netkit, port = sys.argv[1], []
with t.Late() as target:
    ends = []
    for words in ([*sys.argv[3].split(), "--connect", f"tcp:127.0.0.1:{target.port}"], sys.argv[4].split()):
        words += ["--connect", f"tcp:127.0.0.1:{port[-1]}"] if port else []
        p = subprocess.Popen([netkit, "tls", *words, "--listen", "tcp:127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
        ends.append(p)
        port.append(next(int(m[1]) for line in p.stderr if (m := t.re.search(t.LISTENING, line))))
    with socket.create_connection(("127.0.0.1", port[-1]), t.PATIENCE) as conn:
        conn.shutdown(socket.SHUT_WR)
        got = 0
        while part := conn.recv(16384):
            got += len(part)
            time.sleep(0.0002)  # a slow reader
    for p in ends:
        p.terminate()
        p.wait()
    sys.exit(0 if got == target.size else f"{got} bytes")
"""


def test_nothing_is_lost_at_the_end(certs):
    need_root()
    need_command("ip")
    shown = f"server --cert {certs.srv.cert_path} --key {certs.srv.key_path} --client-cert none"
    subprocess.run([need_command("unshare"), "-n", sys.executable, "-c", SMALL, NETKIT, re.sub(r"[^/]*$", "", __file__),
                    shown, f"client --ca {certs.ca.cert_path} --server-name srv.test"],
                   check=True, timeout=2 * PATIENCE)
