# SPDX-License-Identifier: MIT
"""ssh: in endpoint strings: what is reached through a host, what comes from it, and how few connections that takes."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from server_support import Echo, exchange, is_reset
from support import NETKIT, PATIENCE, clean_env, run, wait_until
from test_forward import LISTENING
from test_socks import ask, name_request

BULK = 3_000_000  # more than the first window of 2 MiB
ENV = {"SSH_AUTH_SOCK": "", "HOME": "/nowhere"}
LOGINS = "Accepted publickey"


def alias(servers, server, name="there", **more):
    """Lines of ssh_config."""
    settings = {"HostName": server.host, "Port": server.port, "User": server.user, "IdentitiesOnly": "yes",
                "IdentityFile": servers.identity["ed25519"], "UserKnownHostsFile": servers.known_hosts, **more}
    return f"Host {name}\n" + "".join(f"  {key} {value}\n" for key, value in settings.items())


@pytest.fixture(name="sshd", scope="module")
def _sshd(ssh_servers):
    return ssh_servers.start("openssh")


@pytest.fixture(name="config")
def _config(work, ssh_servers, sshd):
    """config(LINES): the file with these, or with the host `there`."""
    def write(*lines):
        path = work / "config"
        path.write_text("".join(lines or [alias(ssh_servers, sshd)]), encoding="ascii")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture(name="forward")
def _forward(programs):
    """forward(LISTEN, CONNECT): the running program and the port that it listens at."""
    def start(listen, connect, said=LISTENING, **kw):
        p = programs([NETKIT, "forward", listen, connect], env=clean_env(**ENV), **kw)
        return p, int(p.wait_line(said)[1])

    return start


def once(*words, data=b"", **kw):
    return run("forward", "stdio:", *words, input=data, text=False, env=clean_env(**ENV), **kw)


def test_tcp(forward, config, sshd):
    data = os.urandom(BULK)
    before = sshd.log().count(LOGINS)
    with Echo(b"hello ") as echo:
        p, port = forward("tcp:127.0.0.1:0", f"ssh:there/localhost:{echo.port},ssh_config={config()}")
        assert exchange(port, data) == b"hello " + data
        # 20 at a time, and others one after the other: one login
        conns = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(20)]
        for i, conn in enumerate(conns):
            conn.sendall(b"%d" % i)
        for i, conn in enumerate(conns):
            want = b"hello %d" % i
            got = b""
            while len(got) < len(want):
                got += conn.recv(100)
            assert got == want
            conn.close()
        for _ in range(3):
            assert exchange(port, b"x") == b"hello x"
        assert sshd.log().count(LOGINS) == before + 1
        assert p.stop() == 0


def test_all_parameters_in_the_string(forward, ssh_servers, sshd):
    words = (f"identity={ssh_servers.identity['rsa']},ssh_config=none,option=IdentitiesOnly=yes,"
             f"option=UserKnownHostsFile={ssh_servers.known_hosts}")
    with Echo() as echo:
        _, port = forward("tcp:127.0.0.1:0", f"ssh:{sshd.user}@{sshd.host}:{sshd.port}/127.0.0.1:{echo.port},{words}")
        assert exchange(port, b"x") == b"x"


def fingerprint(path):
    return subprocess.run(["ssh-keygen", "-l", "-f", f"{path}.pub"], capture_output=True, text=True,
                          check=True).stdout.split()[1]


def test_fingerprints(ssh_servers, sshd, config):
    path = config(alias(ssh_servers, sshd, UserKnownHostsFile="/dev/null", HostKeyAlgorithms="ssh-ed25519"))
    right, wrong = (fingerprint(k) for k in (ssh_servers.host_key["ed25519"], ssh_servers.stranger))
    where = f"ssh:there/exec:cat,ssh_config={path}"
    assert once(f"{where},fingerprint={right}", data=b"x").stdout == b"x"
    assert once(f"{where},pin={wrong},pin={right}", data=b"x").stdout == b"x"
    for words in (f"{where},pin={wrong}", where):
        done = once(words, data=b"x")
        assert done.returncode == 77 and not done.stdout, (done.returncode, done.stderr)


def test_configuration_is_read_once(programs, ssh_servers, sshd, work):
    """What was checked at the start is used for all connections; a reload reads it again, and keeps it when it is wrong."""
    other = ssh_servers.start("openssh")
    path, ini = work / "config", work / "netkit.ini"
    path.write_text(alias(ssh_servers, sshd), encoding="ascii")
    with Echo(b"one ") as echo, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        ini.write_text(f"[forward f]\nlisten = tcp:127.0.0.1:{port}\n"
                       f"connect = ssh:there/127.0.0.1:{echo.port},ssh_config={path}\n", encoding="ascii")
        p = programs([NETKIT, "run", "-c", ini, "--state-dir", work / "state"], env=clean_env(**ENV))
        p.wait_line("forward: listening on")
        before = sshd.log().count(LOGINS), other.log().count(LOGINS)
        path.unlink()
        for _ in range(2):
            assert exchange(port, b"x") == b"one x"
        assert sshd.log().count(LOGINS) == before[0] + 1
        p.proc.send_signal(signal.SIGHUP)
        p.wait_line(f"{path}")
        assert exchange(port, b"x") == b"one x"
        path.write_text(alias(ssh_servers, other), encoding="ascii")
        assert exchange(port, b"x") == b"one x"
        assert other.log().count(LOGINS) == before[1]
        mark = p.mark()
        p.proc.send_signal(signal.SIGHUP)
        p.wait_line("reload", mark)
        assert exchange(port, b"x") == b"one x"
        wait_until(lambda: other.log().count(LOGINS) == before[1] + 1)
        assert p.stop() == 0
    other.stop()


def test_password_file(ssh_servers, work):
    server = ssh_servers.get("dropbear")
    path = work / "password"
    path.write_text(server.password, encoding="ascii")
    path.chmod(0o600)
    where = (f"ssh:{server.user}@{server.host}:{server.port}/exec:cat,ssh_config=none,option=PubkeyAuthentication=no,"
             f"option=UserKnownHostsFile={ssh_servers.known_hosts}")
    done = once(f"{where},password_file={path}", data=b"x")
    assert done.stdout == b"x", done.stderr
    done = once(where, data=b"x")
    assert done.returncode != 0 and b"permission denied" in done.stderr.lower(), done.stderr


def test_unix(forward, ssh_servers, config):
    path = ssh_servers.home / "echo"
    with Echo(b"unix ", path):
        path.chmod(0o777)
        _, port = forward("tcp:127.0.0.1:0", f"ssh:there/unix:/srv/{path.parent.name}/echo,ssh_config={config()}")
        assert exchange(port, b"x") == b"unix x"


def test_programs(config, work):
    path = config()
    data = os.urandom(BULK)
    done = once(f"ssh:there/exec:cat,ssh_config={path}", data=data)
    assert (done.returncode, done.stdout) == (0, data), done.stderr
    done = once(f"ssh:there/exec:printf %27%25s|%27 $0 a%2Cb,ssh_config={path}")
    assert done.stdout.endswith(b"a,b|"), done
    (work / "from").write_text("text", encoding="ascii")
    done = run("sftp", "get", "--connect", f"ssh:there/subsystem:sftp,ssh_config={path}", ":/etc/passwd", work / "to",
               env=clean_env(**ENV))
    assert done.returncode == 0 and "root:" in (work / "to").read_text(encoding="utf-8"), done.stderr
    done = once(f"ssh:there/subsystem:nothing,ssh_config={path}")
    assert done.returncode != 0 and not done.stdout


@pytest.mark.parametrize("name", ["openssh-backports", "dropbear", "asyncssh", "conch"])
def test_servers(forward, ssh_servers, config, name):
    server = ssh_servers.get(name)
    data = os.urandom(BULK)
    path = config(alias(ssh_servers, server))
    with Echo() as echo:
        _, port = forward("tcp:127.0.0.1:0", f"ssh:there/127.0.0.1:{echo.port},ssh_config={path}")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:  # Conch does not pass half-closes on
            threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
            back = b""
            while len(back) < len(data):
                back += s.recv(65536)
            assert back == data


def test_jump_hosts(forward, ssh_servers, sshd, config):
    """Each is verified under its own name; jump= comes before what the file says."""
    other = ssh_servers.get("dropbear")
    path = config(alias(ssh_servers, sshd, "first"), alias(ssh_servers, other, "second"),
                  alias(ssh_servers, other, "third", HostKeyAlias="unknown"))
    before = sshd.log().count(LOGINS)
    with Echo() as echo:
        p, port = forward("tcp:127.0.0.1:0", f"ssh:second/127.0.0.1:{echo.port},jump=first,ssh_config={path}")
        assert exchange(port, b"x") == b"x"
        assert sshd.log().count(LOGINS) == before + 1
        p.stop()
    done = once(f"ssh:third/exec:cat,jump=first,ssh_config={path}")
    assert done.returncode == 77, done.stderr


def test_socks(forward, sshd, config):
    before = sshd.log().count(LOGINS)
    with Echo(b"far ") as echo:
        p, port = forward("socks5:127.0.0.1:0", f"ssh:there,ssh_config={config()}",
                          said=r"listening on socks5\+tcp:127\.0\.0\.1:(\d+)")
        for name in ("localhost", "127.0.0.1"):
            conn, code = ask(port, name_request(name, echo.port))
            with conn:
                assert code == 0 and conn.recv(4) == b"far "
        conn, code = ask(port, name_request("127.0.0.1", 1))
        conn.close()
        assert code == 5  # refused, as the host has said
        assert sshd.log().count(LOGINS) == before + 1
        assert p.stop() == 0


def test_tls_over_it(forward, config, work):
    done = run("cert", "new", "--cn", "localhost", "-o", work / "tls")
    assert done.returncode == 0, done.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "tls" / "certificate.pem", work / "tls" / "key.pem")
    with socket.create_server(("127.0.0.2", 0)) as listener:  # a name that the certificate does not have
        def serve():
            while True:
                try:
                    conn, _ = listener.accept()
                    with context.wrap_socket(conn, server_side=True) as s:
                        s.sendall(b"tls " + s.recv(100))
                        s.unwrap()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        more = f"ca={work}/tls/certificate.pem,ssh_config={config()}"
        _, local = forward("tcp:127.0.0.1:0", f"tls+ssh:there/127.0.0.2:{port},name=localhost,{more}")
        with socket.create_connection(("127.0.0.1", local), PATIENCE) as s:
            s.sendall(b"x")
            assert s.recv(100) == b"tls x"
        done = once(f"tls+ssh:there/127.0.0.2:{port},{more}")
        assert done.returncode == 77 and b"127.0.0.2" in done.stderr, done.stderr
        listener.shutdown(socket.SHUT_RDWR)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("where", ["0", "localhost:0", "127.0.0.1:0"])
def test_listen(forward, config, where):
    with Echo(b"here ") as echo:
        p, port = forward(f"ssh:there/listen:{where},ssh_config={config()}", f"tcp:127.0.0.1:{echo.port}",
                          said=r"ssh: ssh:there/listen:\S*?(\d+): ready")
        data = os.urandom(BULK)
        assert exchange(port, data) == b"here " + data
        assert p.stop() == 0
        wait_until(lambda: not listens(port))


def test_listen_later(programs, ssh_servers, work):
    """Ready is said only when the host listens, with the port that it has chosen."""
    server = ssh_servers.start("openssh")
    server.stop()
    path = work / "config"
    path.write_text(alias(ssh_servers, server), encoding="ascii")
    with Echo(b"here ") as echo:
        p = programs([NETKIT, "forward", f"ssh:there/listen:0,ssh_config={path}", f"tcp:127.0.0.1:{echo.port}"],
                     env=clean_env(**ENV))
        p.wait_line("no connection to there: .*refused")
        assert "listening" not in p.stderr()
        server.restart()
        port = int(p.wait_line(r"forward: listening on ssh:there/listen:localhost:(\d+), forwarding to")[1])
        assert exchange(port, b"x") == b"here x"
        assert p.stop() == 0
    server.stop()


def test_never_usable(ssh_servers, sshd, work):
    """A service whose listener there will never be ends, with the reason."""
    path = work / "config"
    path.write_text(alias(ssh_servers, sshd, HostKeyAlias="unknown"), encoding="ascii")
    done = run("forward", f"ssh:there/listen:0,ssh_config={path}", "tcp:127.0.0.1:1", env=clean_env(**ENV))
    assert done.returncode == 77 and "there" in done.stderr and "listening" not in done.stderr, done
    done = run("cert", "new", "--cn", "localhost", "-o", work / "tls")
    assert done.returncode == 0, done.stderr
    done = run("tls", "server", "--listen", f"ssh:there/listen:0,ssh_config={path}", "--connect", "tcp:127.0.0.1:1",
               "--cert", work / "tls/certificate.pem", "--key", work / "tls/key.pem", "--client-cert", "none",
               env=clean_env(**ENV))
    assert done.returncode == 77 and "listening" not in done.stderr, done
    done = run("forward", f"tls+ssh:there/listen:0,ssh_config={path},cert={work}/tls/certificate.pem,"
               f"key={work}/tls/key.pem", "tcp:127.0.0.1:1", env=clean_env(**ENV))
    assert done.returncode == 77 and "listening" not in done.stderr, done


def test_listen_at_a_socket(programs, ssh_servers, config):
    path = ssh_servers.home / "listener"
    with Echo(b"here ") as echo:
        p = programs([NETKIT, "forward", f"ssh:there/listen:unix:/srv/{path.parent.name}/listener,ssh_config={config()}",
                      f"tcp:127.0.0.1:{echo.port}"], env=clean_env(**ENV))
        p.wait_line("ssh: ssh:there/listen:unix:/srv/.*: ready")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            s.sendall(b"x")
            assert s.recv(5) == b"here "
        assert p.stop() == 0


def test_targets_that_refuse(forward, config):
    p, port = forward("tcp:127.0.0.1:0", f"ssh:there/127.0.0.1:1,ssh_config={config()}")
    assert is_reset(port)
    p.wait_line("warn forward: .*refused")
    assert p.stop(signal.SIGINT) == 0


def test_no_server():
    done = once("ssh:127.0.0.1:1/exec:cat,ssh_config=none")
    assert done.returncode == 69 and re.search(rb"127\.0\.0\.1:1: Connection refused", done.stderr), done
