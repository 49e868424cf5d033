# SPDX-License-Identifier: MIT
"""netkit tunnel and [tunnel NAME]: a port of another machine; with RPyC and plumbum as their users know them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from server_support import Echo, exchange, free_port, rest, up_to
from support import NETKIT, clean_env, missing_peer, run, wait_until
from test_ssh_endpoint import ENV, LOGINS, alias
from test_ssh_forward import check, connect, serving, sessions, socks5, Parrot, TcpServer

CLIENT = "import rpyc, sys; c = rpyc.connect('127.0.0.1', int(sys.argv[1])); print(c.root.add(40, 2)); c.close()"


@pytest.fixture(name="sshd", scope="module")
def _sshd(ssh_servers):
    return ssh_servers.start("openssh")


@pytest.fixture(name="config")
def _config(work, ssh_servers, sshd):
    path = work / "config"
    path.write_text(alias(ssh_servers, sshd), encoding="ascii")
    path.chmod(0o600)
    return path


@pytest.fixture(name="service", scope="module")
def _service():
    """The port of an RPyC server on the loopback interface."""
    try:
        import rpyc  # pylint: disable=import-outside-toplevel
        from rpyc.utils.server import ThreadedServer  # pylint: disable=import-outside-toplevel
    except ImportError:
        missing_peer("the Python module rpyc")

    class Adder(rpyc.Service):
        def exposed_add(self, a, b):
            return a + b

        def exposed_echo(self, data):
            return data

    server = ThreadedServer(Adder, hostname="127.0.0.1", port=0, logger=None)
    threading.Thread(target=server.start, daemon=True).start()
    yield server.port
    server.close()


def tunnel(programs, config, *words, **kw):
    return programs([NETKIT, "tunnel", "-F", config, *words], env=clean_env(**ENV), stdout=subprocess.PIPE, **kw)


def test_rpyc(programs, config, service):
    import rpyc  # pylint: disable=import-outside-toplevel
    p = tunnel(programs, config, "there", service)
    port = int(p.proc.stdout.readline())
    with contextlib.closing(rpyc.connect("127.0.0.1", port)) as c:
        assert c.root.add(40, 2) == 42
        data = os.urandom(1_000_000)
        assert c.root.echo(data) == data
    assert p.stop() == 0


def test_around_a_program(config, service):
    words = ["tunnel", "-F", config, "there", service, "--"]
    done = run(*words, sys.executable, "-c", CLIENT, "{port}", env=clean_env(**ENV))
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    done = run(*words, "sh", "-c", "echo $NETKIT_TUNNEL_PORT x{port}y{port}; exit 7", env=clean_env(**ENV))
    port = done.stdout.split()[0]
    assert (done.returncode, done.stdout) == (7, f"{port} x{port}y{port}\n"), done.stderr
    assert run(*words, "/nonexistent", env=clean_env(**ENV)).returncode == 127
    assert run(*words, "sh", "-c", "kill -KILL $$", env=clean_env(**ENV)).returncode == 137


def test_signals_reach_the_program(programs, config):
    p = tunnel(programs, config, "there", 1, "--", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    assert p.proc.stdout.readline() == b"ready\n"
    assert p.stop(signal.SIGTERM) == 9


def test_ready_fd_and_json(programs, config):
    r, w = os.pipe()
    with Echo(b"hello ") as echo:
        p = tunnel(programs, config, "--json", "there", echo.port, "--ready-fd", w, pass_fds=[w])
        os.close(w)
        with open(r, encoding="ascii") as f:
            port = int(f.readline())
        assert exchange(port, b"x") == b"hello x"
        told = json.loads(p.proc.stdout.readline())
        assert (told["port"], told["address"], told["host"]) == (port, "127.0.0.1", "there")
        assert p.stop(signal.SIGINT) == 0


def test_what_goes_wrong(config, sshd):
    env = clean_env(**ENV)
    done = run("tunnel", "-F", config, "-o", "HostKeyAlias=unknown", "there", 1, env=env)
    assert done.returncode == 77 and not done.stdout, done
    done = run("tunnel", "-F", "none", "-p", 1, "127.0.0.1", 1, env=env)
    assert done.returncode == 69 and "refused" in done.stderr, done
    done = run("tunnel", "-F", config, "there", 1, "--local-port", sshd.port, env=env)
    assert done.returncode == 69 and "in use" in done.stderr, done


def test_server_ends(programs, ssh_servers, work):
    server = ssh_servers.start("openssh")
    path = work / "other"
    path.write_text(alias(ssh_servers, server), encoding="ascii")
    with Echo() as echo:
        p = tunnel(programs, path, "there", echo.port)
        port = int(p.proc.stdout.readline())
        assert exchange(port, b"x") == b"x"
        q = tunnel(programs, path, "there", echo.port, "--reconnect")
        kept = int(q.proc.stdout.readline())
        r = tunnel(programs, path, "there", echo.port, "--", "sh", "-c", "echo; while :; do sleep 0.05; done")
        r.proc.stdout.readline()
        server.stop()
        assert p.wait() != 0
        assert r.wait() != 0
        q.wait_line("lost the connection")
        server.restart()
        assert exchange(kept, b"y") == b"y"  # it waits until the host is there again
        assert q.stop() == 0


def test_helper_of_proxy_command(programs, ssh_servers, sshd, work):
    """RPyC's ssh_env and ssh_cwd."""
    (work / "way").write_text(f'#!/bin/sh\nprintf %s "$NK_ONE" > seen\nexec {NETKIT} forward stdio: tcp:$1:$2\n',
                              encoding="ascii")
    (work / "way").chmod(0o700)
    path = work / "other"
    path.write_text(alias(ssh_servers, sshd, ProxyCommand="./way %h %p"), encoding="ascii")
    with Echo() as echo:
        p = tunnel(programs, path, "there", echo.port, "--ssh-env", "NK_ONE=1", "--ssh-cwd", work)
        assert exchange(int(p.proc.stdout.readline()), b"x") == b"x"
        assert (work / "seen").read_text(encoding="ascii") == "1"


def test_section(programs, config, service, work):
    import rpyc  # pylint: disable=import-outside-toplevel
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    ini = work / "netkit.ini"
    ini.write_text(f"[tunnel rpc]\nhost = there\nssh_config = config\nlocal = 127.0.0.1:{port}:localhost:{service}\n",
                   encoding="ascii")
    state = work / "state"
    p = programs([NETKIT, "run", "-c", ini, "--state-dir", state], env=clean_env(**ENV))
    p.wait_line("ready")
    with contextlib.closing(rpyc.connect("127.0.0.1", port)) as c:
        assert c.root.add(1, 2) == 3
        status = json.loads(run("status", "--json", "--state-dir", state).stdout)
        found = json.dumps(status)
        assert '"connection": "up"' in found and '"state": "listening"' in found and '"active": 1' in found, found
    assert p.stop() == 0


def test_parameters_of_rpyc(programs, ssh_servers, sshd, work):
    """user, port and keyfile of SshContext, without a configuration; a key that nobody knows there."""
    key = ssh_servers.identity["ed25519"]
    words = ["-F", "none", "-o", f"UserKnownHostsFile={ssh_servers.known_hosts}", "-o", "IdentitiesOnly=yes",
             "--port", sshd.port, "--keyfile"]
    with Echo() as echo:
        p = programs([NETKIT, "tunnel", *words, key, "--user", sshd.user, sshd.host, echo.port], env=clean_env(**ENV),
                     stdout=subprocess.PIPE)
        assert exchange(int(p.proc.stdout.readline()), b"x") == b"x"
        assert p.stop() == 0
    ssh_servers.make_key(work / "other")
    done = run("tunnel", *words, work / "other", f"{sshd.user}@{sshd.host}", 1, env=clean_env(**ENV))
    assert done.returncode == 77 and not done.stdout, done
    done = run("tunnel", *words, key, "--user", "nobody-here", sshd.host, 1, env=clean_env(**ENV))
    assert done.returncode == 77 and not done.stdout, done


class Sections:
    """netkit run with sections [tunnel NAME] over the host `there`, which may be written anew."""

    def __init__(self, programs, work, config, **sections):
        self.ini, self.state, self.config = work / "netkit.ini", work / "state", config
        self.write(**sections)
        self.p = programs([NETKIT, "run", "-c", self.ini, "--state-dir", self.state], env=clean_env(**ENV))

    def write(self, **sections):
        text = ""
        for name, keys in sections.items():
            keys = {"host": "there", "ssh_config": self.config, **keys}
            rows = [(k, v) for k, all_ in keys.items() for v in (all_ if isinstance(all_, list) else [all_])]
            text += f"[tunnel {name}]\n" + "".join(f"{k} = {v}\n" for k, v in rows)
        self.ini.write_text(text, encoding="ascii")

    def reload(self, said="reload"):
        mark = self.p.mark()
        self.p.proc.send_signal(signal.SIGHUP)
        return self.p.wait_line(said, mark)

    def status(self):
        return json.loads(run("status", "--json", "--state-dir", self.state).stdout)

    def forwards(self, name):
        return {f["kind"]: f for f in self.status()[f"tunnel {name}"]["forwards"]}


@pytest.fixture(name="parrot", scope="module")
def _parrot():
    with serving(TcpServer(("127.0.0.1", 0), Parrot)) as server:
        yield server.server_address[1]


def test_section_of_every_kind(programs, work, config, parrot):
    local, remote, dynamic = free_port(), free_port(), free_port()
    s = Sections(programs, work, config, t={"local": f"{local}:127.0.0.1:{parrot}", "dynamic": dynamic,
                                            "remote": [f"{remote}:127.0.0.1:{parrot}", f"0:127.0.0.1:{parrot}"]})
    s.p.wait_line("service: ready")
    check(local, ends=False)
    check(remote, ends=False)
    check(dynamic, prepare=socks5(parrot), ends=False)
    found = s.status()["tunnel t"]["forwards"]
    assert [f["state"] for f in found] == ["listening"] * 4, found
    chosen = [f["listen"] for f in found if f["forward"].startswith("0 ")]
    check(int(chosen[0].rpartition(":")[2]), ends=False)
    assert s.p.stop() == 0


def test_section_whose_host_is_silent(programs, work, ssh_servers, parrot):
    """keepalive: it is noticed, and the next connection has the forwards."""
    server, local, path = ssh_servers.start("openssh"), free_port(), work / "other"
    path.write_text(alias(ssh_servers, server), encoding="ascii")
    s = Sections(programs, work, path, t={"local": f"{local}:127.0.0.1:{parrot}", "keepalive": "1s",
                                          "option": "ServerAliveCountMax=1"})
    s.p.wait_line("service: ready")
    check(local, ends=False)
    frozen = sessions(server)
    assert frozen
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        s.p.wait_line("lost the connection")
        s.p.wait_line("connected to there again")
        check(local, ends=False)
        assert s.status()["tunnel t"]["connected"] == 2
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGKILL)
    assert s.p.stop() == 0
    server.stop()


def test_section_without_connection(programs, work, ssh_servers, parrot):
    """hold: connections wait, or with 0 are refused; HUP does not wait any longer."""
    server, path = ssh_servers.start("openssh"), work / "other"
    path.write_text(alias(ssh_servers, server), encoding="ascii")
    holds, refuses = free_port(), free_port()
    s = Sections(programs, work, path, holds={"local": f"{holds}:127.0.0.1:{parrot}"},
                 refuses={"local": f"{refuses}:127.0.0.1:{parrot}", "hold": 0})
    s.p.wait_line("service: ready")
    server.stop()
    wait_until(lambda: s.p.stderr().count("lost the connection") == 2)
    with connect(holds) as held:
        with contextlib.suppress(ConnectionResetError), connect(refuses) as refused:
            assert rest(refused) == b""
        server.restart()
        s.p.proc.send_signal(signal.SIGHUP)
        check(held, ends=False)
    wait_until(lambda: s.p.stderr().count("connected to there again") == 2)
    check(refuses, ends=False)
    assert s.p.stop() == 0
    server.stop()


def test_section_reload(programs, work, config, sshd, ssh_servers, parrot):
    """What did not change stays connected; what did is replaced, at the same port, while connections over it go on;
    what is wrong changes nothing."""
    same, other, taken = free_port(), free_port(), free_port()
    keep = {"local": f"{same}:127.0.0.1:{parrot}", "remote": f"0:127.0.0.1:{parrot}"}
    with Echo(b"one ") as one, Echo(b"two ") as two, socket.create_server(("127.0.0.1", taken)):
        s = Sections(programs, work, config, same=keep, other={"local": f"{other}:127.0.0.1:{one.port}"})
        s.p.wait_line("service: ready")
        logins = sshd.log().count(LOGINS)
        port = s.forwards("same")["remote"]["listen"]
        with connect(same) as kept, connect(other) as old:
            kept.sendall(b"x")
            assert up_to(kept, 1) == b"x" and up_to(old, 4) == b"one "
            s.write(same=keep, other={"local": f"{other}:127.0.0.1:{two.port}"})
            s.reload()
            assert exchange(other, b"x") == b"two x"
            for conn in (kept, old):  # over the connection that was there
                conn.sendall(b"y")
                assert up_to(conn, 1) == b"y"
            assert sshd.log().count(LOGINS) == logins
            assert s.forwards("same")["remote"]["listen"] == port
            for said, keys in (("no forwarding", {"local": "nothing"}), ("Port", {"option": "Port=x"}),
                               ("in use", {"local": f"{taken}:127.0.0.1:{two.port}"})):
                s.write(same=keep, other={"local": f"{other}:127.0.0.1:{one.port}", **keys})
                s.reload(f"error .*{said}")
                assert exchange(other, b"x") == b"two x"
            assert sshd.log().count(LOGINS) == logins
            # another way to the host: a connection of its own
            s.write(same=keep, other={"local": f"{other}:127.0.0.1:{one.port}", "keepalive": "20s"})
            s.reload()
            assert exchange(other, b"x") == b"one x"
            wait_until(lambda: sshd.log().count(LOGINS) == logins + 1)
            kept.sendall(b"z")
            assert up_to(kept, 1) == b"z"
        s.write(same=keep)
        assert s.p.stop() == 0


# --- netkit as the ssh of plumbum ---------------------------------------------------------------------


@pytest.fixture(name="machine")
def _machine(work, config):
    try:
        import plumbum  # pylint: disable=import-outside-toplevel
    except ImportError:
        missing_peer("the Python module plumbum")
    (work / "nk-ssh").symlink_to(NETKIT)
    command = plumbum.local[str(work / "nk-ssh")]
    with plumbum.local.env(**ENV):
        machine = plumbum.SshMachine("there", ssh_command=command, ssh_opts=["-F", str(config)])
        yield machine
        machine.close()


def test_plumbum(machine):
    assert machine["echo"]("a", "b c") == "a b c\n"
    with machine.cwd("/tmp"):
        assert machine["pwd"]() == "/tmp\n"
    assert machine["false"].run(retcode=None)[0] == 1
    assert machine.env["HOME"].startswith("/srv/")


def test_plumbum_tunnel(machine, service):
    import rpyc  # pylint: disable=import-outside-toplevel
    with Echo(b"hello ") as echo, machine.tunnel(0, echo.port) as t:
        assert exchange(int(t.lport), b"x") == b"hello x"
    with contextlib.closing(rpyc.ssh_connect(machine, service)) as c:
        assert c.root.add(40, 2) == 42


def test_plumbum_tunnel_back(machine):
    with Echo(b"back ") as echo, machine.tunnel(echo.port, 0, reverse=True) as t:
        assert exchange(int(t.dport), b"x") == b"back x"
