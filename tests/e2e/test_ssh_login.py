# SPDX-License-Identifier: MIT
"""How `netkit ssh` logs in: questions of the server, methods one after the other, passphrases, where keys come from, and
what a server whose key has changed does not get."""

import signal
import subprocess

import pytest
import support
from ssh_agent_hostile import SIGN, HostileAgent
from ssh_hostile import HostileServer
from ssh_packets import DISCONNECT, PK_OK, Gone, string, u32
from support import NETKIT, Program, clean_env
from terminal_support import Terminal

FAILED = 255
PASSPHRASE = "open sesame"


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory):
    """A directory with the keys user, a few and other."""
    support.need_command("ssh-keygen")
    path = tmp_path_factory.mktemp("keys")
    path.chmod(0o700)
    for name in ("user", "few1", "few2", "few3", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path / name], check=True)
    return path


@pytest.fixture(name="words")
def fixture_words(work):
    """words(SERVER, OPTION=..): those of ssh up to the host, with no key and no agent unless they are asked for."""

    def make(server, **settings):
        (work / "known_hosts").write_text(server.known_hosts_line(), encoding="ascii")
        settings = {"UserKnownHostsFile": work / "known_hosts", "GlobalKnownHostsFile": "none", "StrictHostKeyChecking": "yes",
                    **settings}
        return ["-F", "none", "-p", server.port, "-l", "me", *(w for k, v in settings.items() for w in ("-o", f"{k}={v}"))]

    return make


def ssh(work, *argv, data=b"hello", env=None, **kw):
    env = clean_env(**{"HOME": str(work), "SSH_AUTH_SOCK": "", **(env or {})})
    return subprocess.run([NETKIT, "ssh", *map(str, argv), "127.0.0.1", "cat"], input=data, capture_output=True, env=env,
                          timeout=support.PATIENCE, check=False, **kw)


def secret(path, text):
    path.write_text(text + "\n", encoding="ascii")
    path.chmod(0o600)
    return path


def logged_in(done):
    assert (done.returncode, done.stdout) == (0, b"hello"), done


def refused(done, *words):
    assert done.returncode == FAILED and done.stdout == b"", done
    for word in words:
        assert word in done.stderr.decode(), done.stderr.decode()


# --- questions ------------------------------------------------------------------------------------------

ROUNDS = [[("Password: ", False), ("Colour: ", True)], [], [("Code: ", False)]]
ANSWERS = [["tulip", "red"], [], ["123456"]]


def ask_rounds(got):
    """A login that asks ROUNDS of questions."""

    def login(session):
        method, _, _ = session.asked()
        if method != b"keyboard-interactive":
            return session.fail(b"keyboard-interactive")
        for questions in ROUNDS:
            prompts = [(text.encode(), shown) for text, shown in questions]
            got.append([a.decode() for a in session.questions(*prompts, name=b"Name\x07", instruction=b"Say \x1b[2Jit")])
        return True

    return login


def test_questions_on_a_terminal(work, words):
    """Several at once and several rounds, one of them without any; what is secret is not shown."""
    got = []
    with HostileServer(login=ask_rounds(got)) as server:
        with Terminal("ssh", "-T", *words(server), "127.0.0.1", "cat", SSH_AUTH_SOCK="", HOME=str(work)) as t:
            t.wait("Name")
            for questions, answers in zip(ROUNDS, ANSWERS):
                for (question, _), answer in zip(questions, answers):
                    t.wait(f"\\(me@127.0.0.1\\) {question}")
                    t.press(answer + "\r")
            support.wait_until(lambda: "request" in server.reached)
            t.press("\x04")
            assert t.ended() == 0
            assert got == ANSWERS
            assert "tulip" not in t.text and "123456" not in t.text and "\x1b" not in t.text and "\x07" not in t.text


def test_questions_with_rules(work, words):
    got = []
    rules = [w for pattern, answer in (("pass*", "tulip"), ("*COLOUR*", "red"), ("code: ", "123456"))
             for w in ("--answer", f"{pattern}={secret(work / answer, answer)}")]
    with HostileServer(login=ask_rounds(got)) as server:
        logged_in(ssh(work, *rules, *words(server, BatchMode="yes")))
        assert got == ANSWERS
    with HostileServer(login=ask_rounds(got)) as server:  # one is missing: nothing is answered
        del got[:]
        refused(ssh(work, *rules[:4], *words(server, BatchMode="yes")), "permission denied")
        assert got == ANSWERS[:2]


def test_the_password_is_no_answer_to_everything(work, words):
    """--password-file answers one hidden question, once."""
    path = secret(work / "password", "tulip")
    hidden, shown, two = [(b"Password: ", False)], [(b"Say it: ", True)], [(b"A: ", False), (b"B: ", False)]
    for prompts, good in ((hidden, True), (shown, False), (two, False)):
        got = []

        def login(session, prompts=prompts, got=got):
            if session.asked()[0] != b"keyboard-interactive":
                return session.fail(b"keyboard-interactive")
            got.append(session.questions(*prompts))
            return got[-1] == [b"tulip"] or session.fail(b"keyboard-interactive")

        with HostileServer(login=login) as server:
            done = ssh(work, "--password-file", path, *words(server))
            if good:
                logged_in(done)
            else:
                refused(done, "permission denied")
                assert not any(b"tulip" in answers for answers in got)


# --- one method after the other ---------------------------------------------------------------------------


def two_methods(second, tries):
    """A login that takes a key in part, and then wants the second method."""

    def login(session):
        method, body, whole = session.asked()
        tries.append(method)
        if method == b"publickey":
            return session.public_key(body, whole) and session.fail(second, partial=True)
        if b"publickey" not in tries or method != second:
            return session.fail(b"publickey" if second not in tries else second)
        if method == b"password":
            return (body.u8() == 0 and body.string() == b"tulip") or session.fail(second)
        return session.questions((b"Code: ", False)) == [b"123456"] or session.fail(second)

    return login


@pytest.mark.parametrize("second", ["password", "keyboard-interactive"])
def test_partial_success(work, words, keys, second):
    more = (["--password-file", secret(work / "password", "tulip")] if second == "password" else
            ["--answer", f"code*={secret(work / 'code', '123456')}"])
    tries = []
    with HostileServer(login=two_methods(second.encode(), tries)) as server:
        logged_in(ssh(work, "-i", keys / "user", *more, *words(server, BatchMode="yes")))
        assert tries == [b"publickey", second.encode()]  # the key was signed with at once
    with HostileServer(login=two_methods(second.encode(), [])) as server:
        refused(ssh(work, "-i", keys / "user", *words(server, BatchMode="yes")), "permission denied", second)


def test_partial_success_of_sshd(work, words, keys, ssh_servers):
    support.need_command("ssh-keygen")
    server = ssh_servers.start("openssh", ["AuthenticationMethods publickey,password", "MaxAuthTries 2"])
    path = secret(work / "password", server.password)
    argv = [*server.options(), "--password-file", path]
    logged_in(ssh(work, *argv))
    refused(ssh(work, *server.options()), "permission denied", "password")
    # MaxAuthTries: the server has had enough before the good one comes
    few = [w for name in ("few1", "few2", "few3") for w in ("-i", keys / name)]
    refused(ssh(work, *few, *argv), "oo many authentication failures")


def test_tries_are_limited(work, words, keys):
    """A server that takes no key gets at most so many."""
    tries = []

    def login(session):
        tries.append(session.asked()[0])
        return session.fail()

    for i in range(30):
        (work / f"key{i}").write_bytes((keys / "few1").read_bytes())
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / f"k{i}"], check=True)
    with HostileServer(login=login) as server:
        few = [w for i in range(30) for w in ("-i", work / f"k{i}")]
        refused(ssh(work, *few, *words(server, BatchMode="yes")), "permission denied")
        assert len(tries) < 30, tries


def test_password_change(work, words):
    """RFC 4252 8: a password that has to be changed is a failure that says so."""

    def login(session):
        method, _, _ = session.asked()
        if method != b"password":
            return session.fail(b"password")
        session.send(PK_OK, string(b"Change \x1b[2Jit now"), string(b""))
        return False

    with HostileServer(login=login) as server:
        refused(ssh(work, "--password-file", secret(work / "password", "tulip"), *words(server)), "Change ", "passwd")


def test_too_many_failures(work, words, keys):
    def login(session):
        session.asked()
        session.send(DISCONNECT, u32(2), string(b"Too many authentication failures"), string(b""))
        raise Gone("enough")

    with HostileServer(login=login) as server:
        refused(ssh(work, "-i", keys / "user", *words(server)), "Too many authentication failures")


# --- keys that need a passphrase --------------------------------------------------------------------------

FORMS = {
    "aes256-ctr": ["-t", "ed25519", "-a", "2"],
    "aes128-cbc": ["-t", "ed25519", "-a", "2", "-Z", "aes128-cbc"],
    "aes256-gcm": ["-t", "ed25519", "-a", "2", "-Z", "aes256-gcm@openssh.com"],
    "chacha20-poly1305": ["-t", "ed25519", "-a", "2", "-Z", "chacha20-poly1305@openssh.com"],
    "pem": ["-t", "rsa", "-b", "2048", "-m", "PEM"],
    "pkcs8": ["-t", "ecdsa", "-m", "PKCS8"],
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_passphrase(work, ssh_servers, form):
    """Three tries at the terminal; the right one at the last."""
    server = ssh_servers.get("openssh")
    subprocess.run(["ssh-keygen", "-q", *FORMS[form], "-N", PASSPHRASE, "-f", work / "key"], check=True)
    authorized = ssh_servers.home / ".ssh" / "authorized_keys"
    with open(authorized, "a", encoding="ascii") as f:
        f.write((work / "key.pub").read_text(encoding="ascii"))
    options = [*server.options({"IdentityFile": work / "key", "BatchMode": "no"})]
    argv = ["ssh", "-F", "none", "-o", "PreferredAuthentications=publickey", *options, server.host, "echo in"]
    with Terminal(*argv, SSH_AUTH_SOCK="", HOME=str(work)) as t:
        for typed in ("wrong", "worse", PASSPHRASE):
            t.wait(f"passphrase for key '{work}/key': ")
            t.press(typed + "\r")
        t.wait("in\r\n")
        assert t.ended() == 0
        assert PASSPHRASE not in t.text and "worse" not in t.text


def test_passphrase_three_times_wrong(work, words):
    subprocess.run(["ssh-keygen", "-q", *FORMS["aes256-ctr"], "-N", PASSPHRASE, "-f", work / "key"], check=True)
    for typed in (["wrong"] * 3, [""], ["\x03"]):  # nothing at all: not this key
        with HostileServer() as server:
            argv = [*words(server, PreferredAuthentications="publickey"), "-i", work / "key", "127.0.0.1", "cat"]
            with Terminal("ssh", *argv, SSH_AUTH_SOCK="", HOME=str(work)) as t:
                for text in typed:
                    t.wait("passphrase for key")
                    t.press(text if text == "\x03" else text + "\r")
                assert t.ended() == FAILED
                assert t.text.count("passphrase for key") == len(typed)
            assert "auth" not in server.reached


@pytest.mark.parametrize("program", ["ssh", "sftp"])
def test_nobody_is_asked(work, words, program):
    """Neither for a passphrase nor for a password, an answer, or whether a key is right, although there is a terminal."""
    subprocess.run(["ssh-keygen", "-q", *FORMS["aes256-ctr"], "-N", PASSPHRASE, "-f", work / "key"], check=True)
    for checking in ("yes", "ask"):
        with HostileServer() as server:
            more = {"BatchMode": "yes"} if program == "ssh" else {"User": "me"}
            argv = [*words(server, StrictHostKeyChecking=checking, **more), "-i", work / "key"]
            if checking == "ask":
                (work / "known_hosts").write_text("", encoding="ascii")
            if program == "ssh":
                argv = ["ssh", *argv, "127.0.0.1", "cat"]
            else:
                argv = ["sftp", "get", "--no-input", "-F", "none", "-P", server.port, "-i", work / "key", *argv[argv.index("-o"):],
                        "127.0.0.1:x", work / "x"]
            with Terminal(*argv, SSH_AUTH_SOCK="", HOME=str(work)) as t:
                assert t.ended() in (FAILED, 77)
                assert not any(w in t.text for w in ("assphrase for", "password:", "(yes/no", "What?")), t.text
            assert "auth" not in server.reached


# --- where keys come from -----------------------------------------------------------------------------------


def test_key_of_a_descriptor(work, words, keys):
    with HostileServer() as server, open(keys / "user", "rb") as f:
        logged_in(ssh(work, "-i", f"fd:{f.fileno()}", *words(server), pass_fds=[f.fileno()]))
    with HostileServer() as server:
        refused(ssh(work, "-i", "fd:77", *words(server, BatchMode="yes")), "descriptor 77")


def test_key_of_stdin(work, words, keys):
    with HostileServer() as server:
        done = ssh(work, "-i", "-", *words(server), data=(keys / "user").read_bytes())
        assert (done.returncode, done.stdout) == (0, b""), done


def test_key_of_the_credentials(work, words, keys):
    (work / "credentials").mkdir(mode=0o700)
    (work / "credentials" / "login-key").write_bytes((keys / "user").read_bytes())
    (work / "credentials" / "login-key").chmod(0o400)
    env = {"CREDENTIALS_DIRECTORY": str(work / "credentials")}
    with HostileServer() as server:
        logged_in(ssh(work, "-i", "login-key", *words(server), env=env, cwd=work))
    with HostileServer() as server:
        refused(ssh(work, "-i", "login-key", *words(server, BatchMode="yes"), cwd=work), "login-key")


def test_key_that_others_read(work, words, keys):
    (work / "key").write_bytes((keys / "user").read_bytes())
    (work / "key").chmod(0o644)
    with HostileServer() as server:
        refused(ssh(work, "-i", work / "key", *words(server, BatchMode="yes")), "can be read by others")
        assert "auth" not in server.reached


# --- no program, and a key that has changed -------------------------------------------------------------------


def test_no_program(words, keys):
    """-N: logged in, nothing is opened, until it is ended."""
    with HostileServer() as server:
        p = Program([NETKIT, "ssh", "-v", "-N", "-i", keys / "user", *words(server), "127.0.0.1"],
                    env=clean_env(SSH_AUTH_SOCK=""))
        try:
            support.wait_until(lambda: "auth" in server.reached)
            assert p.stop(signal.SIGTERM) == 128 + signal.SIGTERM
            assert "open" not in server.reached
        finally:
            p.kill()


def changed(work, keys, server):
    other = (keys / "other.pub").read_text(encoding="ascii")
    (work / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {other}", encoding="ascii")


def test_changed_key_with_checking_off(work, words, keys):
    """StrictHostKeyChecking=no goes on, with a warning; but what could be used elsewhere is not given away."""
    with HostileServer() as server:
        argv = words(server, StrictHostKeyChecking="no")
        changed(work, keys, server)
        done = ssh(work, "-i", keys / "user", *argv)
        logged_in(done)
        assert b"CHANGED" in done.stderr
        before = (work / "known_hosts").read_bytes()
        server.reached.clear()
        done = ssh(work, "--password-file", secret(work / "password", "secret"), "--answer", f"*={work}/password", *argv)
        refused(done, "CHANGED", "permission denied")
        assert not {"method password", "method keyboard-interactive", "auth"} & set(server.reached)
        with HostileAgent(work / "agent", "honest") as agent:
            done = ssh(work, *argv, env={"SSH_AUTH_SOCK": str(work / "agent")})
            refused(done, "CHANGED", "permission denied")
            assert SIGN not in agent.asked
        assert (work / "known_hosts").read_bytes() == before
        for how in ("yes", "accept-new", "ask"):
            refused(ssh(work, "-i", keys / "user", *words_of(argv, how)), "CHANGED")


def words_of(argv, how):
    return [f"StrictHostKeyChecking={how}" if str(w).startswith("StrictHostKeyChecking") else w for w in argv]
