# SPDX-License-Identifier: MIT
"""TLS and certificates against OpenSSL: every suite, client certificates, resumption, KeyUpdate."""

import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from server_support import Echo, is_reset
from support import NETKIT, PATIENCE, check_error, need_command, run

LISTENING = r"listening on tls\+tcp:127\.0\.0\.1:(\d+)"
BULK = 1 << 20


def lines_of(n):
    """About n bytes of lines that no openssl command takes for an order of its own."""
    return b"".join(b"x%07x" % i + os.urandom(28).hex().encode() + b"\n" for i in range(n // 65))


@pytest.fixture(scope="module")
def openssl():
    return need_command("openssl")


@pytest.fixture(scope="module")
def creds(tmp_path_factory, openssl):
    """ca/, leaf/ (signed, srv.test), alice/ and mallory/ (clients), and rsa/ made by openssl."""
    base = tmp_path_factory.mktemp("creds")
    for name in ("leaf", "alice", "mallory"):
        (base / name).mkdir()
    (base / "rsa").mkdir()
    for ca in ("ca", "other"):
        (base / ca).mkdir()
        subprocess.run([openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={ca}",
                        "-keyout", base / ca / "key.pem", "-out", base / ca / "certificate.pem"],
                       check=True, capture_output=True)
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=rsa", "-addext", "subjectAltName=DNS:srv.test", "-keyout",
                    base / "rsa/key.pem", "-out", base / "rsa/certificate.pem"],
                   check=True, capture_output=True)
    for name, ca, cn in (("leaf", "ca", "srv.test"), ("alice", "ca", "alice"),
                         ("mallory", "other", "mallory")):
        done = run("cert", "new", "--cn", cn, "--ca", base / ca / "certificate.pem", "--ca-key",
                   base / ca / "key.pem", "-o", base / name)
        assert done.returncode == 0, done.stderr
    return base


@pytest.fixture
def server(programs, creds):
    """start(options) -> port of a TLS listener in front of an echo server."""
    echoes = []

    def start(more="", cert="leaf"):
        echo = Echo()
        echo.__enter__()
        echoes.append(echo)
        p = programs([NETKIT, "forward",
                      f"tls:127.0.0.1:0,cert={creds}/{cert}/certificate.pem,"
                      f"key={creds}/{cert}/key.pem{more}", f"tcp:127.0.0.1:{echo.port}"])
        start.program = p
        return int(p.wait_line(LISTENING).group(1))

    yield start
    for echo in echoes:
        echo.__exit__()


def read_n(stream, n):
    got = bytearray()
    while len(got) < n:
        part = stream.read1(n - len(got))
        if not part:
            break
        got += part
    return bytes(got)


def bulk_through(program, data):
    """Write data while reading as much back."""
    writer = threading.Thread(target=lambda: (program.proc.stdin.write(data),
                                              program.proc.stdin.flush()))
    writer.start()
    got = read_n(program.proc.stdout, len(data))
    writer.join(PATIENCE)
    return got


SUITES = [("-tls1_3", "TLS_AES_256_GCM_SHA384", "leaf"),
          ("-tls1_3", "TLS_CHACHA20_POLY1305_SHA256", "leaf"),
          ("-tls1_3", "TLS_AES_128_GCM_SHA256", "leaf"),
          ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384", "leaf"),
          ("-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305", "leaf"),
          ("-tls1_2", "ECDHE-RSA-AES256-GCM-SHA384", "rsa"),
          ("-tls1_2", "ECDHE-RSA-CHACHA20-POLY1305", "rsa")]


def suite_option(version, suite):
    return ["-ciphersuites" if version == "-tls1_3" else "-cipher", suite]


@pytest.mark.parametrize("version,suite,cert", SUITES)
def test_server_suites(programs, server, creds, openssl, version, suite, cert):
    port = server(",min_version=1.2", cert)
    ca = creds / ("ca" if cert == "leaf" else cert) / "certificate.pem"
    data = lines_of(BULK)
    client = programs([openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", version,
                       *suite_option(version, suite), "-CAfile", ca, "-verify_return_error",
                       "-verify_hostname", "srv.test"],
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert bulk_through(client, data) == data


@pytest.fixture
def s_server(programs, openssl, creds):
    """start(args) -> (program, port) of openssl s_server."""

    def start(*args, cert="leaf"):
        p = programs([openssl, "s_server", "-accept", "127.0.0.1:0", "-cert",
                      creds / cert / "certificate.pem", "-key", creds / cert / "key.pem", *args],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = p.proc.stdout.readline()
        while line and not line.startswith(b"ACCEPT"):
            line = p.proc.stdout.readline()
        port = re.match(rb"ACCEPT .*:(\d+)", line)
        if not port:
            pytest.skip("this openssl s_server does not say which port it took")
        return p, int(port.group(1))

    return start


def netkit_client(programs, port, options):
    return programs([NETKIT, "forward", "stdio:", f"tls:127.0.0.1:{port},{options}"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize("version,suite,cert", SUITES)
def test_client_suites(programs, s_server, creds, version, suite, cert):
    _, port = s_server("-rev", version, *suite_option(version, suite), cert=cert)
    ca = creds / ("ca" if cert == "leaf" else cert) / "certificate.pem"
    client = netkit_client(programs, port, f"ca={ca},name=srv.test,min_version=1.2")
    data = lines_of(BULK)
    want = b"".join(line[::-1] + b"\n" for line in data.splitlines())
    assert bulk_through(client, data) == want


@pytest.mark.parametrize("option", [("-record_padding", "512"), ("-record_padding", "16384"),
                                    ("-max_send_frag", "512"), ("-max_send_frag", "16384")])
def test_padding_and_sizes(programs, server, openssl, creds, option):
    """Records of TLS 1.3 with padding (RFC 8446 §5.4), small ones and the largest."""
    port = server()
    data = lines_of(BULK)
    client = programs([openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", "-tls1_3",
                       *option, "-CAfile", creds / "ca/certificate.pem", "-verify_return_error"],
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert bulk_through(client, data) == data


def refused(programs, port, options, *words):
    done = run("forward", "stdio:", f"tls:127.0.0.1:{port},{options}", input="secret")
    return check_error(done, 77, *words)


def test_client_verifies(programs, s_server, creds):
    _, port = s_server("-rev")
    ca, other = creds / "ca/certificate.pem", creds / "other/certificate.pem"
    refused(programs, port, f"ca={ca},name=evil.test", "not for 'evil.test'", "DNS:srv.test")
    refused(programs, port, f"ca={other},name=srv.test", "issued by CN=ca", "pin=sha256:")
    refused(programs, port, "pin=" + "0" * 64, "does not match the pin")
    pin = run("cert", "fingerprint", creds / "leaf/certificate.pem").stdout.split()[0]
    client = netkit_client(programs, port, f"pin={pin}")
    assert bulk_through(client, b"abc\n") == b"cba\n"


def test_ip_names(programs, openssl, creds, work, s_server):
    """The address that was dialled is looked for among the certificate's IP names."""
    done = run("cert", "new", "--cn", "ip", "--san", "IP:127.0.0.1", "--san", "DNS:127.0.0.2", "-o",
               work / "ip")
    assert done.returncode == 0
    p = programs([openssl, "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert",
                  work / "ip/certificate.pem", "-key", work / "ip/key.pem"], stdout=subprocess.PIPE)
    line = p.proc.stdout.readline()
    while not line.startswith(b"ACCEPT"):
        line = p.proc.stdout.readline()
    port = int(line.rsplit(b":", 1)[1])
    ca = f"ca={work}/ip/certificate.pem"
    first = netkit_client(programs, port, ca)
    assert bulk_through(first, b"ab\n") == b"ba\n"
    first.kill()  # openssl serves one at a time
    refused(programs, port, f"{ca},name=127.0.0.2", "not for '127.0.0.2'")


def python_client(creds, cert=None):
    ctx = ssl.create_default_context(cafile=creds / "ca/certificate.pem")
    if cert:
        ctx.load_cert_chain(creds / cert / "certificate.pem", creds / cert / "key.pem")
    return ctx


def talk(ctx, port, data):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw:
        with ctx.wrap_socket(raw, server_hostname="srv.test") as conn:
            conn.sendall(data)
            got = b""
            while len(got) < len(data):
                part = conn.recv(65536)
                if not part:
                    break
                got += part
            return got


def test_client_certificates(server, creds):
    port = server(f",ca={creds}/ca/certificate.pem")
    assert talk(python_client(creds, "alice"), port, b"hello") == b"hello"
    for who in (None, "mallory"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk(python_client(creds, who), port, b"hello")
    pin = run("cert", "fingerprint", creds / "mallory/certificate.pem").stdout.split()[0]
    port = server(f",pin={pin}")
    assert talk(python_client(creds, "mallory"), port, b"hello") == b"hello"
    for who in (None, "alice"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk(python_client(creds, who), port, b"hello")


def test_python_default_context(server, creds):
    """A self-signed certificate is its own anchor also for Python, which looks at it strictly."""
    work = creds / "self"
    if not work.exists():
        assert run("cert", "new", "-o", work).returncode == 0
    port = server(cert="self")
    ctx = ssl.create_default_context(cafile=work / "certificate.pem")
    ctx.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw:
        with ctx.wrap_socket(raw, server_hostname="default") as conn:
            conn.sendall(b"x")
            assert conn.recv(1) == b"x"
            assert conn.version() == "TLSv1.3"


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_resumption(server, openssl, work, version):
    port = server(",min_version=1.2")
    base = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", version]
    first = subprocess.run([*base, "-sess_out", work / "s"], input=b"hello\nQ\n", capture_output=True,
                           timeout=PATIENCE, check=False)
    assert b"New, TLSv1" in first.stdout
    if not (work / "s").exists():
        # the ticket of TLS 1.3 comes after the handshake: leave time for it
        with subprocess.Popen([*base, "-sess_out", work / "s"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
            p.stdin.write(b"hello\n")
            p.stdin.flush()
            while b"hello" not in p.stdout.readline():
                pass
            p.stdin.write(b"Q\n")
            p.stdin.flush()
    again = subprocess.run([*base, "-sess_in", work / "s"], input=b"Q\n", capture_output=True,
                           timeout=PATIENCE, check=False)
    assert b"Reused, TLSv1" in again.stdout


def reused(s_server_program, port):
    """One connection through a forward; whether OpenSSL's server says that it resumed a session."""
    out, seen = s_server_program.proc.stdout, []
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(b"one line\n")
        while b"one line" not in (seen[-1] if seen else b""):
            seen.append(out.readline())
            assert seen[-1], seen
        s_server_program.proc.stdin.write(b"an answer\n")
        s_server_program.proc.stdin.flush()
        assert sock.recv(100)  # tickets come before it
    assert any(b"CIPHER is" in line for line in seen), seen
    return any(b"Reused session-id" in line for line in seen)


@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_dials_resume(programs, s_server, creds, work, version):
    """Each dial of a string resumes the last one's session, until the file of CAs is another one."""
    server, port = s_server(version)
    ca = work / "ca.pem"
    first, second = ((creds / name / "certificate.pem").read_bytes() for name in ("ca", "other"))
    ca.write_bytes(first)
    p = programs([NETKIT, "forward", "tcp:127.0.0.1:0",
                  f"tls:127.0.0.1:{port},ca={ca},name=srv.test,min_version=1.2"])
    listen = int(p.wait_line(r"listening on tcp:127\.0\.0\.1:(\d+)").group(1))
    assert [reused(server, listen) for _ in range(3)] == [False, True, True]
    ca.write_bytes(first + second)
    assert [reused(server, listen) for _ in range(2)] == [False, True]
    ca.write_bytes(second)
    assert is_reset(listen)
    p.wait_line("trust|verif|unknown|author")
    assert p.stop() == 0


def served_certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)


def test_reload_of_a_listeners_certificate(programs, creds, work):
    """HUP reads the files again, though the listener's text is the same; a broken one changes
    nothing."""
    key, cert = work / "key.pem", work / "certificate.pem"

    def use(name):
        key.unlink(missing_ok=True)
        key.touch(0o600)
        key.write_bytes((creds / name / "key.pem").read_bytes())
        cert.write_bytes((creds / name / "certificate.pem").read_bytes())

    def reload(said):
        mark = p.mark()
        p.proc.send_signal(signal.SIGHUP)
        assert said in p.wait_line(r".*event=reload.*", mark)[0]
        return served_certificate(port)

    use("leaf")
    with Echo() as echo:
        p = programs([NETKIT, "forward", f"tls:127.0.0.1:0,cert={cert},key={key}",
                      f"tcp:127.0.0.1:{echo.port}"])
        port = int(p.wait_line(LISTENING).group(1))
        first = served_certificate(port)
        use("rsa")
        second = reload("new configuration is in force")
        assert second != first
        cert.write_bytes((creds / "leaf" / "certificate.pem").read_bytes())
        assert reload("old configuration stays in force") == second
        assert p.stop() == 0


def test_plain_http_is_refused(server):
    port = server()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\n\r\n")
        conn.settimeout(PATIENCE)
        try:
            while conn.recv(1000):
                pass
        except ConnectionResetError:
            pass


class Conversation:
    """Numbered lines into one side, expected at the other in that order."""

    def __init__(self, send, echoed):
        self.send = send
        self.echoed = echoed
        self.sent = 0

    def burst(self, n):
        want = []
        for _ in range(n):
            line = b"x%08d" % self.sent + b"y" * 200 + b"\n"
            self.sent += 1
            want.append(line)
            self.send.write(line)
            self.send.flush()
        seen = b""
        while want:
            line = self.echoed.readline()
            assert line, "the connection ended"
            # openssl prints words of its own in between, also within a line
            seen = re.sub(rb"SSL_do_handshake -> 1\n|Read BLOCK\n|KEYUPDATE\n", b"", seen + line)
            while want and want[0] in seen:
                seen = seen[seen.index(want[0]) + len(want.pop(0)):]


def order(program, letter):
    """K or k alone in what openssl reads, so that it is taken as an order; wait until it was."""
    mark = program.mark()
    program.proc.stdin.write(letter)
    program.proc.stdin.flush()
    program.wait_line("KEYUPDATE", mark)


@pytest.mark.parametrize("letter", [b"K\n", b"k\n"])
def test_keyupdate_as_server(programs, server, openssl, creds, letter):
    """k updates openssl's key, K asks us for an update as well; between them data, both ways."""
    port = server()
    client = programs([openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-CAfile",
                       creds / "ca/certificate.pem"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    c = Conversation(client.proc.stdin, client.proc.stdout)
    for _ in range(5):
        c.burst(20)
        order(client, letter)
        order(client, letter)
    c.burst(20)


@pytest.mark.parametrize("letter", [b"K\n", b"k\n"])
def test_keyupdate_as_client(programs, s_server, creds, letter):
    """The same with openssl as the server, and while our data flow the other way."""
    server_program, port = s_server("-tls1_3")
    client = netkit_client(programs, port, f"ca={creds}/ca/certificate.pem,name=srv.test")
    up = Conversation(client.proc.stdin, server_program.proc.stdout)
    down = Conversation(server_program.proc.stdin, client.proc.stdout)
    for _ in range(5):
        flow = threading.Thread(target=up.burst, args=(500,), daemon=True)
        down.burst(20)
        flow.start()
        server_program.proc.stdin.write(letter)
        server_program.proc.stdin.flush()
        flow.join(PATIENCE)
        assert not flow.is_alive()
        up.burst(1)  # openssl looks at its input first: the order was taken before this line
    down.burst(20)
    up.burst(20)


# --- netkit cert --------------------------------------------------------------------------------


def test_cert_new_files(work, openssl):
    out = work / "c"
    done = run("cert", "new", "--cn", "a, b", "--org", "O=1", "--email", "x@y", "--unit", "U",
               "--country", "CA", "--state", "S", "--locality", "L", "--serial", "4711", "--days", "9",
               "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    assert (out / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (out / "certificate.pem").stat().st_mode & 0o777 == 0o644
    text = subprocess.run([openssl, "x509", "-in", out / "certificate.pem", "-noout", "-subject",
                           "-serial", "-nameopt", "RFC2253"], capture_output=True, text=True,
                          check=True).stdout
    assert r"CN=a\, b" in text and "O=O\\=1" in text or "O=O=1" in text
    assert "serial=1267" in text
    subprocess.run([openssl, "verify", "-x509_strict", "-CAfile", out / "certificate.pem",
                    out / "certificate.pem"], check=True, capture_output=True)
    before = (out / "key.pem").read_bytes()
    check_error(run("cert", "new", "-o", out), 73, "exists", "--force")
    (out / "key.pem").unlink()
    check_error(run("cert", "new", "-o", out), 73, "certificate.pem exists")
    assert not (out / "key.pem").exists()
    assert run("cert", "new", "-o", out, "--force").returncode == 0
    assert (out / "key.pem").read_bytes() != before


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """cert ca's directory."""
    place = tmp_path_factory.mktemp("authority") / "ca"
    assert run("cert", "ca", "-o", place, "--cn", "my CA").returncode == 0
    return place


def ask(openssl, work, name, *words):
    """A request for a certificate, made by openssl."""
    subprocess.run([openssl, "req", "-new", "-nodes", "-keyout", work / "k.pem", "-out", work / name, *words],
                   check=True, capture_output=True)
    return work / name


P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


def test_cert_ca(authority, openssl):
    assert (authority / "key.pem").stat().st_mode & 0o777 == 0o600
    text = subprocess.run([openssl, "x509", "-in", authority / "certificate.pem", "-noout", "-ext",
                           "basicConstraints,keyUsage"], capture_output=True, text=True, check=True).stdout
    assert "CA:TRUE, pathlen:0" in text and "Certificate Sign" in text
    before = (authority / "key.pem").read_bytes()
    check_error(run("cert", "ca", "-o", authority), 73, "exists", "--force")
    assert (authority / "key.pem").read_bytes() == before


@pytest.mark.parametrize("usage", ["server", "client", "both"])
@pytest.mark.parametrize("key", [P256, ["-newkey", "rsa:2048"]], ids=["ec", "rsa"])
def test_cert_sign_request(authority, openssl, work, usage, key):
    names = "subjectAltName=DNS:bob.example,URI:spiffe://a/b,IP:10.0.0.1,email:a@b.c"
    request = ask(openssl, work, "r.csr", *key, "-subj", "/O=Org/CN=bob", "-addext", names, "-addext",
                  "basicConstraints=CA:TRUE")
    done = run("cert", "sign", "--ca", authority, "--usage", usage, "-o", work / "c.pem", request, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["names"] == "DNS:bob.example, URI:spiffe://a/b, IP:10.0.0.1, EMAIL:a@b.c"
    assert said["subject"] == "O=Org, CN=bob" and not said["ca"]  # which it had asked for
    for purpose in ("server", "client"):
        ok = subprocess.run([openssl, "verify", "-x509_strict", "-purpose", f"ssl{purpose}", "-CAfile",
                             authority / "certificate.pem", work / "c.pem"], capture_output=True).returncode == 0
        assert ok == (usage in (purpose, "both"))
    check_error(run("cert", "sign", "--ca", authority, "-o", work / "c.pem", request), 73, "exists")


def test_cert_sign_other_names(authority, openssl, work):
    check_error(run("cert", "sign", "--ca", authority, ask(openssl, work, "e.csr", *P256, "-subj", "/")), 78,
                "names no subject")
    request = ask(openssl, work, "r.csr", *P256, "-subj", "/CN=alice")
    done = run("cert", "sign", "--ca", authority, "--cn", "bob", "--san", "bob.test", "-", stdin=open(request))
    assert done.returncode == 0, done.stderr
    (work / "c.pem").write_text(done.stdout)  # standard output has the certificate and nothing else
    assert run("cert", "verify", "--ca", authority / "certificate.pem", "--name", "bob.test",
               work / "c.pem").returncode == 0


def test_cert_sign_refuses(authority, openssl, work):
    weak = ask(openssl, work, "weak.csr", "-newkey", "rsa:1024", "-subj", "/CN=a")
    check_error(run("cert", "sign", "--ca", authority, weak), 78, "less than 2048 bits")
    good = ask(openssl, work, "good.csr", *P256, "-subj", "/CN=alice", "-outform", "DER").read_bytes()
    (work / "bad.csr").write_bytes(good.replace(b"alice", b"admin"))
    check_error(run("cert", "sign", "--ca", authority, work / "bad.csr"), 77, "not signed by the key")
    for junk in (b"", b"\0" * 100, b"-----BEGIN CERTIFICATE REQUEST-----\n", os.urandom(70000)):
        (work / "junk").write_bytes(junk)
        assert run("cert", "sign", "--ca", authority, "-o", work / "none", work / "junk").returncode == 1
    odd = ask(openssl, work, "odd.csr", *P256, "-subj", "/CN=a", "-addext", "subjectAltName=RID:1.2.3")
    assert run("cert", "sign", "--ca", authority, "-o", work / "none", odd).returncode != 0
    assert not (work / "none").exists()
    check_error(run("cert", "sign", "--ca", authority), 2, "--cn and --output")


def test_cert_sign_with_a_new_key(authority, openssl, work):
    words = ["cert", "sign", "--cn", "srv", "--san", "srv.test", "--days", "10", "--usage", "server"]
    assert run(*words, "--ca", authority, "-o", work / "srv").returncode == 0
    assert (work / "srv/key.pem").stat().st_mode & 0o777 == 0o600
    subprocess.run([openssl, "verify", "-x509_strict", "-CAfile", authority / "certificate.pem",
                    work / "srv/certificate.pem"], check=True, capture_output=True)
    check_error(run(*words, "--ca", work / "srv", "-o", work / "below"), 78, "not a CA")
    done = run("cert", "expiry", "--warn", "5", "--json", authority, work / "srv")
    assert done.returncode == 0, done.stderr
    days = [c["days"] for c in json.loads(done.stdout)]
    assert days[0] in (3649, 3650) and days[1] in (9, 10)  # the second may have changed
    done = run("cert", "expiry", work / "srv", authority)
    assert done.returncode == 1 and "1 of 2 certificates" in done.stderr
    assert len(done.stdout.splitlines()) == 2
    (work / "empty").mkdir()
    check_error(run("cert", "expiry", work / "empty"), 1, "no certificate found")
    assert run("cert", "expiry", work / "srv/key.pem").returncode == 1


def test_cert_verify(creds, work):
    ca, leaf = creds / "ca/certificate.pem", creds / "leaf/certificate.pem"
    assert run("cert", "verify", "--ca", ca, "--name", "srv.test", leaf).returncode == 0
    check_error(run("cert", "verify", "--ca", ca, "--name", "other.test", leaf), 77, "not for 'other.test'")
    check_error(run("cert", "verify", "--ca", creds / "other/certificate.pem", leaf), 77, "not trusted")
    (work / "junk").write_text("junk")
    assert run("cert", "show", work / "junk").returncode == 1
    assert run("cert", "show", work / "none").returncode != 0


def test_cert_fingerprint_is_openssls(creds, openssl):
    leaf = creds / "leaf/certificate.pem"
    spki, cert = (line.split()[0] for line in run("cert", "fingerprint", leaf).stdout.splitlines())
    want = subprocess.run([openssl, "x509", "-in", leaf, "-noout", "-fingerprint", "-sha256"],
                          capture_output=True, text=True, check=True).stdout
    assert cert == "sha256:" + want.split("=")[1].strip().replace(":", "").lower()
    key = subprocess.run([openssl, "x509", "-in", leaf, "-noout", "-pubkey"], capture_output=True,
                         check=True).stdout
    der = subprocess.run([openssl, "pkey", "-pubin", "-outform", "DER"], input=key,
                         capture_output=True, check=True).stdout
    assert spki == "sha256:" + __import__("hashlib").sha256(der).hexdigest()


def test_cert_dir(work):
    done = run("cert", "dir", "--create", "--state-dir", work)
    assert done.stdout.strip() == f"{work}/credentials"
    assert pathlib.Path(f"{work}/credentials").stat().st_mode & 0o777 == 0o700


def test_cert_ask(work):
    """The dialogue runs on the terminal, whatever stdin is."""
    import pty
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(NETKIT, ["netkit", "cert", "new", "--ask", "-o", str(work / "a")])
    answers = [b"my.host\n", b"me@x\n", b"\n", b"-\n", b"CA\n", b"\n", b"\n", b"30\n"]
    seen = b""
    for answer in answers:
        while not seen.endswith(b"]: "):
            seen += os.read(fd, 1000)
        os.write(fd, answer)
        seen = b""
    try:
        while os.read(fd, 1000):
            pass
    except OSError:
        pass  # the terminal is gone with the program
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    shown = run("cert", "show", work / "a/certificate.pem").stdout
    assert "CN=my.host" in shown and "DNS:my.host" in shown and "me@x" in shown
