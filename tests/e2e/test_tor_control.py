# SPDX-License-Identifier: MIT
"""netkit tor status, info, cmd, signal, newnym, hash-password, wait: with a real tor, and with control
ports that are none."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

import support
from tor_offline import OfflineTor

PASSWORD = 'se"cr\\et \xe9 password'


@pytest.fixture
def tor(work):
    with OfflineTor(work) as tor:
        yield tor


def netkit(tor, *args, **kw):
    return support.run("tor", *args, "--control", tor.base / "control", **kw)


def test_values(tor):
    done = netkit(tor, "info", "version")
    assert done.returncode == 0, done.stderr
    version = done.stdout.rstrip("\n")
    assert version == tor.control.command("GETINFO version")[0].removeprefix("version=")
    done = netkit(tor, "info", "version", "process/pid", "config-text")
    assert done.stdout.startswith(f"version={version}\nprocess/pid={tor.pid}\nconfig-text=\n")
    assert "DisableNetwork 1\n" in done.stdout
    done = netkit(tor, "info", "--json", "version", "config-text")
    info = json.loads(done.stdout)["info"]
    assert info["version"] == version and "DisableNetwork 1\n" in info["config-text"]
    assert netkit(tor, "info", "info/names").stdout.count("\n") > 100
    support.check_error(netkit(tor, "info", "nosuch"), 1, "552", "nosuch", "info/names")
    support.check_error(netkit(tor, "info", "version\r\nSIGNAL HALT"), 2, "is no key")
    assert tor.alive()


def test_status(tor):
    done = netkit(tor, "status")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^process +{tor.pid}$", done.stdout, re.M)
    doc = json.loads(netkit(tor, "status", "--json").stdout)
    assert doc["pid"] == tor.pid and doc["schema"] == 1 and doc["circuits"] == 0
    assert doc["bootstrap"]["percent"] == 0 and doc["bootstrap"]["tag"] == "starting"
    assert doc["control"] == [f"unix:{tor.base}/control"] and doc["authentication"] == "NULL"


def test_raw_commands(tor):
    done = netkit(tor, "cmd", "GETINFO version", "GETCONF nosuch", "getinfo config-text")
    assert done.returncode == 1 and not done.stderr
    assert "\n552 Unrecognized configuration key" in done.stdout
    assert "250+config-text=\n" in done.stdout and done.stdout.endswith(".\n250 OK\n")
    script = "SETCONF Nickname=abc\r\n\n+LOADCONF\nDisableNetwork 1\nNickname ..dots\n.\nGETCONF Nickname"
    done = netkit(tor, "cmd", "-", "--json", input=script)
    docs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [d["command"] for d in docs] == ["SETCONF Nickname=abc", "LOADCONF", "GETCONF Nickname"]
    assert docs[0]["code"] == 250 and docs[1]["code"] in (513, 552, 553) and done.returncode == 1
    assert docs[2]["lines"] == [{"code": 250, "text": "Nickname=abc"}]
    done = netkit(tor, "cmd", input="GETINFO version\n" * 500)
    assert done.returncode == 0 and done.stdout.count("250 OK\n") == 500


@pytest.mark.parametrize("option", [(), ("--json",)], ids=["text", "json"])
def test_a_program_talks_to_tor(tor, programs, option):
    """Each command is answered as it comes, while the input stays open; a block is sent when it is whole."""
    there, ours = os.pipe()
    program = programs([support.NETKIT, "tor", "cmd", "-", *option, "--control", tor.base / "control"], stdin=there,
                       stdout=subprocess.PIPE)
    os.close(there)
    with open(ours, "wb", buffering=0) as say:

        def reply():
            line = program.proc.stdout.readline().decode()
            return json.loads(line)["lines"][0]["text"] if option else line.strip()[4:]

        def end():
            return option or program.proc.stdout.readline() == b"250 OK\n"

        for name in ("alice", "bob"):
            say.write(f"SETCONF Nickname={name}\n".encode())
            assert reply() == "OK"
            say.write(b"GETCONF Nick")
            say.write(b"name\r\nGETINFO version\n")  # two at once, the first one in pieces
            assert reply() == f"Nickname={name}"
            assert reply().startswith("version=") and end()
        say.write(b"+LOADCONF\nNosuch 1\n")
        say.write(b".\nGETCONF Nickname")  # ends with the input
        assert "Unknown option 'Nosuch'" in reply()
    assert reply() == "Nickname=bob"
    assert program.wait() == 1


def test_commands_that_tor_leaves_unanswered_are_not_sent(tor):
    for line in ("ADD_ONION NEW:BEST Port=80 ClientAuth=alice", "add_onion NEW:BEST clientauth=x Port=1"):
        support.check_error(netkit(tor, "cmd", line), 2, "does not answer", "ClientAuthV3")
    support.check_error(netkit(tor, "cmd", "-", input="+HSPOST\nx\n.\n"), 2, "HSADDRESS")
    support.check_error(netkit(tor, "cmd", "+GETINFO version"), 2, "'+'")
    support.check_error(netkit(tor, "cmd", "GETINFO version\nSIGNAL HALT"), 2, "CR, LF")
    assert tor.alive()


def test_signals(tor):
    mark = tor.mark()
    assert netkit(tor, "signal", "reload").returncode == 0
    tor.wait_reload(mark)
    support.check_error(netkit(tor, "signal", "FOO"), 1, "552", "signal/names")
    support.check_error(netkit(tor, "newnym"), 1, "ignores it")
    assert netkit(tor, "signal", "HALT").returncode == 0
    tor.proc.wait(support.PATIENCE)


def test_newnym_is_waited_for(work):
    with OfflineTor(work) as tor:
        tor.control.command(f'SETCONF SocksPort="unix:{work}/socks"')
        assert netkit(tor, "newnym").returncode == 0
        start = time.monotonic()
        done = netkit(tor, "newnym", "--json", timeout=60)
        took = time.monotonic() - start
        delay = json.loads(done.stdout)["delayed_s"]
        assert 1 <= delay <= 10 and took > delay - 2, (delay, took)
        assert f"delays it by {delay} s" in done.stderr
        support.check_error(netkit(tor, "newnym", "--timeout", "1s", "-q"), 75, "time allowed")


def test_password(work):
    file = work / "password"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    file.chmod(0o600)
    done = support.run("tor", "hash-password", "--password-file", file)
    assert re.fullmatch(r"HashedControlPassword 16:[0-9A-F]{58}\n", done.stdout), done.stderr
    again = json.loads(support.run("tor", "hash-password", "--password-file", file, "--json").stdout)
    assert again["hash"] != done.stdout.split()[1]  # salted
    other = work / "other"
    other.write_text("another password\n", encoding="utf-8")
    other.chmod(0o600)
    with OfflineTor(work, torrc=["CookieAuthentication 0"]) as tor:
        tor.control.command("SETCONF HashedControlPassword=" + again["hash"])
        done = netkit(tor, "info", "version", "--password-file", file)
        assert done.returncode == 0, done.stderr
        support.check_error(netkit(tor, "info", "version", "--password-file", other), 77, "refuses the password")
        support.check_error(netkit(tor, "info", "version"), 77, "wants a password", "--password-file")


def test_cookies(work):
    cookie = work / 'a "strange" \xe9 cookie'
    quoted = json.dumps(str(cookie), ensure_ascii=False)
    with OfflineTor(work) as tor:
        tor.control.command(f"SETCONF CookieAuthFile={quoted} CookieAuthentication=1")
        doc = json.loads(netkit(tor, "status", "--json").stdout)
        assert doc["authentication"] == "SAFECOOKIE"
        moved = work / "moved"
        cookie.rename(moved)
        support.check_error(netkit(tor, "info", "version"), 77, str(cookie), "does not exist here", "--password-file")
        assert netkit(tor, "info", "version", "--cookie-file", moved).returncode == 0
        moved.write_bytes(os.urandom(32))  # the cookie of another tor
        support.check_error(netkit(tor, "info", "version", "--cookie-file", moved), 77, "does not know")
        moved.write_bytes(os.urandom(31))
        support.check_error(netkit(tor, "info", "version", "--cookie-file", moved), 77, "32 bytes")


def test_a_cookie_for_others(work):
    support.need_root()
    cookie = work / "cookie"
    with OfflineTor(work) as tor:
        tor.control.command(f'SETCONF CookieAuthFile="{cookie}" CookieAuthentication=1')
        for path in (tor.base, tor.base / "control", *work.absolute().parents[:-1], work):
            path.chmod(path.stat().st_mode | 0o005 | (0o002 if path.is_socket() else 0))
        copy = pathlib.Path(work) / "netkit"
        copy.write_bytes(pathlib.Path(support.NETKIT).read_bytes())
        copy.chmod(0o755)

        def as_nobody(*args):
            import subprocess
            return subprocess.run([copy, "tor", *args, "--control", tor.base / "control"], user=65534, group=65534,
                                  extra_groups=[], env={"PATH": "/usr/bin", "HOME": "/", "NETKIT_STATE_DIR": "/nonexistent"},
                                  capture_output=True, text=True, timeout=support.PATIENCE, check=False)

        done = as_nobody("info", "version")
        assert done.returncode == 77, done.stderr
        for word in (str(cookie), "owner root", "group root", "mode 0600", "CookieAuthFileGroupReadable 1"):
            assert word in done.stderr, (word, done.stderr)
        cookie.chmod(0o640)
        assert "adduser nobody root" in as_nobody("info", "version").stderr
        (tor.base / "control").chmod(0o660)
        done = as_nobody("info", "version")
        assert done.returncode == 77 and "may not be used" in done.stderr and "mode 0660" in done.stderr


def test_wait(tor, work):
    support.check_error(netkit(tor, "wait", "--timeout", "1s"), 75, "time allowed")
    support.check_error(netkit(tor, "wait", "sunrise"), 2, "bootstrap", "circuit")
    support.check_error(support.run("tor", "wait", "--control", work / "nothing", "--timeout", "1s"), 75)


def test_nothing_there(work):
    support.check_error(support.run("tor", "status", "--control", work / "nothing"), 69, "nothing")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    support.check_error(support.run("tor", "info", "version", "--control", port), 69, "refused")


# --- control ports that are none ----------------------------------------------------------------


@contextlib.contextmanager
def impostor(work, play):
    """play(socket) with each connection, on a thread of its own."""
    path = work / "impostor"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(8)
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            try:
                conn, _ = server.accept()
            except OSError:
                return
            with conn, contextlib.suppress(OSError):
                conn.settimeout(support.PATIENCE)
                play(conn)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(support.PATIENCE)


def login(conn):
    """A tor that wants nothing; returns the file to read commands from."""
    lines = conn.makefile("rb")
    assert lines.readline() == b"PROTOCOLINFO 1\r\n"
    conn.sendall(b'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.11"\r\n250 OK\r\n')
    assert lines.readline() == b"AUTHENTICATE\r\n"
    conn.sendall(b"250 OK\r\n")
    return lines


def flood(conn, block, total=64 << 20):
    for _ in range(total // len(block)):
        conn.sendall(block)


HOSTILE = {
    "no tor": (lambda c: c.sendall(b"220 mail.example ESMTP\r\n"), 76, "how to authenticate"),
    "endless line": (lambda c: flood(c, b"x" * 65536), 76, "longer than 4 MiB"),
    "endless reply": (lambda c: (login(c).readline(), flood(c, b"250-" + b"y" * 1000 + b"\r\n")), 76, "larger than 16 MiB"),
    "endless lines": (lambda c: (login(c).readline(), flood(c, b"250-\r\n" * 8192)), 76, "larger than 16 MiB"),
    "endless block": (lambda c: (login(c).readline(), c.sendall(b"250+x=\r\n"), flood(c, b"z" * 1000 + b"\r\n")), 76, "16 MiB"),
    "replies to nothing": (lambda c: (login(c).readline(), c.sendall(b"250 OK\r\n" * 3)), 76, "left out"),
    "event in a reply": (lambda c: (login(c).readline(), c.sendall(b"250-x=1\r\n650 INFO x\r\n")), 76, "within a reply"),
    "cut off": (lambda c: (login(c).readline(), c.sendall(b"250-vers")), 76, "within a reply"),
    "hangs up": (lambda c: login(c).readline(), 69, "closed"),
    "cookie elsewhere": (lambda c: (c.recv(100), c.sendall(
        b'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="/etc/passwd"\r\n250 OK\r\n'),
        c.recv(100)), 77, "no cookie of tor"),
    "no methods": (lambda c: (c.recv(100), c.sendall(b"250-PROTOCOLINFO 1\r\n250 OK\r\n"), c.recv(9)), 77, "no way"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(work, name):
    play, code, word = HOSTILE[name]
    with impostor(work, play) as path:
        done = support.run("tor", "info", "--json", "version", "--control", path, timeout=60)
        assert done.returncode == code, done.stderr
        doc = json.loads(done.stderr.splitlines()[-1])
        assert word in doc["message"], doc
        assert not done.stdout


def test_wrong_hash_ends_it(work):
    """A cookie that we can read, and a control port that does not know it: nothing secret is sent."""
    cookie = work / "cookie"
    secret = os.urandom(32)
    cookie.write_bytes(secret)
    seen = []

    def play(conn):
        lines = conn.makefile("rb")
        lines.readline()
        conn.sendall(f'250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE,NULL COOKIEFILE="{cookie}"\r\n250 OK\r\n'
                     .encode())
        seen.append(lines.readline())
        conn.sendall(b"250 AUTHCHALLENGE SERVERHASH=" + b"00" * 32 + b" SERVERNONCE=" + b"11" * 32 + b"\r\n")
        seen.append(lines.read())

    with impostor(work, play) as path:
        support.check_error(support.run("tor", "info", "version", "--control", path), 77, "does not know tor's cookie")
    assert seen[0].startswith(b"AUTHCHALLENGE SAFECOOKIE ") and seen[1] == b"" and len(seen) == 2


def test_a_storm_of_events(work):
    """2 million bytes of events between two replies, and the answer is still found."""
    def play(conn):
        lines = login(conn)
        lines.readline()
        conn.sendall(b"650 BW 1 2\r\n" * 200000 + b"250-version=x\r\n250 OK\r\n")
        lines.read()

    with impostor(work, play) as path:
        done = support.run("tor", "info", "version", "--control", path, timeout=60)
        assert (done.returncode, done.stdout) == (0, "x\n"), done.stderr


def test_silence_is_bounded(work):
    with impostor(work, lambda c: c.recv(100) and c.recv(100)) as path:
        start = time.monotonic()
        support.check_error(support.run("tor", "info", "version", "--control", path, "--timeout", "1s"), 75)
        assert time.monotonic() - start < 10


def test_terminal_escapes_stay_out_of_terminals(work):
    def play(conn):
        lines = login(conn)
        lines.readline()
        conn.sendall(b"250-version=a\x1b[31mb\r\n250 OK\r\n")
        lines.read()

    master, slave = os.openpty()
    try:
        with impostor(work, play) as path:
            assert support.run("tor", "info", "version", "--control", path, stdout=slave).returncode == 0
        assert os.read(master, 100) == b"a\\x1b[31mb\r\n"
    finally:
        os.close(master)
        os.close(slave)


# --- on a network ---------------------------------------------------------------------------------


def test_wait_and_newnym_on_a_network(tor_network):
    address = ("--control", tor_network.client.control)
    done = support.run("tor", "wait", *address, "--timeout", "60s", "--json", timeout=90)
    assert json.loads(done.stdout) == {"schema": 1, "reached": "bootstrap"}, done.stderr
    assert support.run("tor", "wait", "circuit", *address, "--timeout", "60s", timeout=90).returncode == 0
    doc = json.loads(support.run("tor", "status", *address, "--json").stdout)
    assert doc["bootstrap"]["percent"] == 100 and doc["circuit_established"] and doc["socks"]
    done = support.run("tor", "info", "ns/all", *address)
    assert done.returncode == 0 and done.stdout.count("\nr ") + done.stdout.startswith("r ") >= 4


def test_wait_for_a_tor_that_starts(tor_network, programs):
    """It is not there, then it begins, then it is at 100 %: the steps are told, and the end is the end."""
    with tor_network.tor() as tor:
        tor.stop()
        program = programs([support.NETKIT, "tor", "wait", "--control", tor.control, "--timeout", "60s", "--progress",
                            "json"])
        assert program.alive()
        tor.start()
        assert program.wait(90) == 0, program.stderr()
        steps = [json.loads(line) for line in program.stderr().splitlines() if line.startswith("{")]
        percents = [step["percent"] for step in steps]
        assert percents[-1] == 100 and percents == sorted(percents), steps
