# SPDX-License-Identifier: MIT
"""ssh_config: netkit's settings for a host are those of OpenSSH's `ssh -G`, over files written for the
purpose and over many that are put together at random (always the same ones)."""

import json
import os
import pwd
import random
import subprocess

import pytest

import support

HOME = pwd.getpwuid(os.geteuid()).pw_dir
USER = pwd.getpwuid(os.geteuid()).pw_name

# What the two programs have each their own idea of: algorithms, and defaults that netkit chose itself.
OWN = {"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms", "casignaturealgorithms",
       "requiredrsasize"}
# Paths are printed as they are used; ssh prints these as they were written.
RAW = {"identityfile", "certificatefile", "revokedhostkeys", "identityagent"}


def settings(text):
    out = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        out.setdefault(key, []).append(value)
    return out


def of_ssh(*args):
    ssh = support.need_command("ssh")
    done = subprocess.run([ssh, "-G", *args], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=support.PATIENCE)
    return done.returncode, settings(done.stdout), done.stderr


def of_netkit(*args):
    env = support.clean_env(HOME=HOME, USER=USER)
    done = support.run("ssh-key", "config", "--plain", *args, env=env)
    return done.returncode, settings(done.stdout), done.stderr


def same(args):
    code, theirs, why = of_ssh(*args)
    ours_code, ours, ours_why = of_netkit(*args)
    assert (code != 0) == (ours_code != 0), (why, ours_why)
    if code != 0:
        return
    for key in sorted((set(ours) | set(theirs)) & keywords()):
        a, b = ours.get(key, []), theirs.get(key, [])
        if key in RAW:
            b = [v.replace("~", HOME, 1) if v.startswith("~") else v for v in b]
            b = [v.replace("%d", HOME).replace("%h", theirs["hostname"][0]) for v in b]
            if key == "identityfile" and len(b) > 5:  # nothing was said
                continue
        if key == "sendenv":  # ssh repeats what is repeated
            b = list(dict.fromkeys(b))
        if key == "serveraliveinterval" and b == ["300"] and theirs["batchmode"] == ["yes"]:
            continue  # Debian's own default
        if key == "dynamicforward" and any(v.startswith("/") for v in theirs.get("localforward", [])):
            continue  # ssh prints those here, too
        assert a == b, (key, a, b)


def keywords():
    """Those that netkit prints for something, without its own ones."""
    return {"host", "user", "hostname", "port", "addressfamily", "batchmode", "clearallforwardings",
            "exitonforwardfailure", "gatewayports", "hashknownhosts", "identitiesonly", "kbdinteractiveauthentication",
            "passwordauthentication", "pubkeyauthentication", "requesttty", "sessiontype", "stdinnull",
            "forkafterauthentication", "streamlocalbindunlink", "stricthostkeychecking", "tcpkeepalive",
            "connectionattempts", "numberofpasswordprompts", "serveralivecountmax", "serveraliveinterval",
            "bindaddress", "bindinterface", "hostkeyalias", "identityagent", "ignoreunknown", "loglevel", "preferredauthentications",
            "revokedhostkeys", "dynamicforward", "localforward", "remoteforward", "identityfile", "certificatefile",
            "globalknownhostsfile", "userknownhostsfile", "sendenv", "setenv", "permitremoteopen", "forwardagent",
            "connecttimeout", "escapechar", "rekeylimit", "streamlocalbindmask", "proxycommand", "proxyjump",
            "remotecommand", "updatehostkeys"} - OWN


WHOLE = [
    # the first value wins; lists grow
    "Port 1\nPort 2\nIdentityFile ~/a\nIdentityFile ~/b\nIdentityFile ~/a\nSendEnv A B\nSendEnv C A\n",
    "Host other\n Port 1\nHost foo\n Port 2\nHost *\n Port 3\n User all\n",
    "Host * !foo\n Port 1\nHost f?o bar\n Port 2\nHost FOO\n User upper\n",
    "  Port=1\n\tUser = a b\n",
    "Port = 77\nUser=\"a\"\nHostname \"x.%h\"\n",
    "\"Port\" 5\nUSER x\npOrT 9\n",
    "# c\n\nUser a # behind\nPort 5 #x\nHostKeyAlias a#b\n",
    "UserKnownHostsFile ~/a \"/b c\" %d/x '/q\\'r' /s\\ t\n",
    "Match host foo\n Port 1\nMatch host x.foo\n Port 2\n",
    "Hostname x.%h\nMatch host x.foo\n Port 2\nMatch originalhost foo\n User o\n",
    "Match host foo user bob\n Port 1\nMatch user root,bob\n Port 2\nMatch localuser " + USER + "\n Port 3\n",
    "Match !host foo\n Port 1\nMatch all\n Port 2\n",
    "Match final all\n Port 1\nHost *\n User early\n SendEnv X\n IdentityFile ~/one\n",
    "Hostname bar\nMatch final host bar\n Port 1\nHost bar\n Port 2\nHost foo\n Port 3\n LocalForward 1 a:2\n",
    "Match canonical\n Port 1\nMatch host FOO\n Port 2\n",
    "ProxyCommand nc %h %p # not a comment\nProxyJump a\n",
    "ProxyJump a,b@c:22\nProxyCommand nc\n",
    "ProxyCommand none\n",
    "LocalForward 80 a:1\nLocalForward 80 a:1\nLocalForward [::1]:81 [fe80::1]:80\nLocalForward *:82 b:2\n"
    "LocalForward /s/x /s/y\nLocalForward 83 /s/y\nLocalForward /s/x a:3\nLocalForward h:84 /s\n",
    "RemoteForward 1\nRemoteForward a:2\nRemoteForward 0 a:1\nRemoteForward [::]:3 b:4\nRemoteForward /s a:1\n",
    "DynamicForward 1080\nDynamicForward *:1081\nDynamicForward [::1]:1082\n",
    "ClearAllForwardings yes\nLocalForward 80 a:1\n",
    "RekeyLimit 1G 1h\n", "RekeyLimit default none\n", "RekeyLimit 16\n", "RekeyLimit 500K 90\n",
    "ServerAliveInterval 1m\nConnectTimeout 1h30m\nServerAliveCountMax 0\n",
    "StreamLocalBindMask 0117\nEscapeChar none\nLogLevel debug3\nFORWARDAGENT /x\n",
    "StrictHostKeyChecking off\nRequestTTY yes\nSessionType none\nPubkeyAuthentication no\n",
    "StrictHostKeyChecking accept-new\nAddressFamily inet6\nUserKnownHostsFile none\n",
    "SetEnv A=b C=\"d e\"\nSetEnv F=g\nPermitRemoteOpen a:1 b:*\nPermitRemoteOpen c:1\n",
    "IgnoreUnknown Foo*,bar\nFoobar x\nBar unbalanced\nPort 3\n",
    "ChallengeResponseAuthentication no\nKeepAlive no\n",
    "GSSAPIAuthentication yes\nControlMaster auto\nControlPath ~/.ssh/%C\nKerberosAuthentication yes\n"
    "ForwardX11 yes\nXAuthLocation /x\nVisualHostKey yes\nCompression yes\nPort 4\n",
    "IdentityAgent $SSH_AUTH_SOCK\n", "IdentityAgent none\nIdentityFile none\n",
    "RemoteCommand echo '#x' \"y\"\nRequestTTY force\n",
    "BatchMode yes\nNumberOfPasswordPrompts 1\nHashKnownHosts yes\n",
]

BAD = [
    "Port 0\n", "Port 65536\n", "Port x\n", "Port\n", "Port 1 2\n", "BatchMode maybe\n", "Match\n", "Match host\n",
    "Host\n", "User \"a\n", "LocalForward 1\n", "LocalForward x a:1\n", "LocalForward 1 a\n", "RemoteForward a:b:c:d:e\n",
    "RekeyLimit 1\n", "RekeyLimit x\n", "ConnectTimeout x\n", "StreamLocalBindMask 9\n", "StreamLocalBindMask 1000\n",
    "AddressFamily ipx\n", "LogLevel loud\n", "Match all host foo\n", "StrictHostKeyChecking what\n", "SetEnv A\n",
    "ServerAliveInterval 1x\n", "Include\n", "EscapeChar ab\n", "RemoteCommand\n",
]


@pytest.mark.parametrize("number", range(len(WHOLE)))
def test_same_settings(work, number):
    file = work / "config"
    file.write_text(WHOLE[number])
    same(["-F", str(file), "foo"])
    same(["-F", str(file), "-l", "bob", "foo"])
    same(["-F", str(file), "-p", "99", "-o", "User=carol", "-o", "StrictHostKeyChecking yes", "bar"])


@pytest.mark.parametrize("number", range(len(BAD)))
def test_both_refuse(work, number):
    file = work / "config"
    file.write_text("\n" + BAD[number])
    code, _, _ = of_ssh("-F", str(file), "foo")
    assert code != 0
    done = support.run("ssh-key", "config", "-F", file, "foo")
    support.check_error(done, 78, f"{file}:2:")


LINES = [
    "Port {n}", "User u{n}", "Hostname h{n}.%h", "HostKeyAlias k{n}", "IdentityFile ~/i{n}", "CertificateFile /c{n}",
    "SendEnv E{n} F{n}", "SetEnv S{n}=1", "LocalForward {n} a:{n}", "RemoteForward {n} b:{n}", "DynamicForward {n}",
    "ServerAliveInterval {n}", "ConnectTimeout {n}m", "ProxyJump j{n}", "ProxyCommand nc {n} %h", "BatchMode yes",
    "StrictHostKeyChecking accept-new", "UserKnownHostsFile ~/k{n} /k{n}", "LogLevel VERBOSE", "RequestTTY no",
    "BindAddress 10.0.0.{n}", "BindInterface if{n}", "IdentitiesOnly yes", "GatewayPorts yes", "RekeyLimit {n}M", "TCPKeepAlive no",
    "PreferredAuthentications p{n}", "ForwardAgent yes", "ConnectionAttempts {n}", "ExitOnForwardFailure yes",
]
BLOCKS = [
    "Host *", "Host foo", "Host bar foo", "Host * !foo", "Host h?.foo", "Match all", "Match host foo",
    "Match host h*.foo", "Match originalhost foo", "Match user u1,u2,u3,bob", "Match !user bob host *foo",
    "Match localuser " + USER, "Match final host *", "Match !final host *",
]


def some_file(chance, includes):
    out = []
    for _ in range(chance.randrange(2, 7)):
        if chance.random() < 0.8:
            out.append(chance.choice(BLOCKS))
        for _ in range(chance.randrange(0, 6)):
            out.append("  " + chance.choice(LINES).format(n=chance.randrange(1, 5)))
        if includes and chance.random() < 0.3:
            out.append("  Include " + str(chance.choice(includes)))
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("seed", range(60))
def test_at_random(work, seed):
    chance = random.Random(seed)
    inner = [work / "one", work / "two"]
    for file in inner:
        file.write_text(some_file(chance, []))
    (work / "config").write_text(some_file(chance, [*inner, work / "t*", work / "absent"]))
    args = ["-F", str(work / "config")]
    if chance.random() < 0.3:
        args += ["-l", "bob"]
    if chance.random() < 0.3:
        args += ["-o", chance.choice(LINES).format(n=9)]
    same([*args, chance.choice(["foo", "bar", "h1.foo"])])


EXEC = [
    "Match exec true\n Port 1\nMatch !exec false\n User u\n",
    "Match exec \"test %h = foo\"\n Port 1\nMatch exec false host foo\n Port 2\n",
    "Match exec \"test -e /nowhere\"\n Port 1\nMatch exec \"test -d /\"\n Port 2\n",
    "Match host bar exec /nowhere/at/all\n Port 1\n",
]


@pytest.mark.parametrize("number", range(len(EXEC)))
def test_match_exec(work, number):
    file = work / "config"
    file.write_text(EXEC[number])
    for host in ("foo", "bar"):
        args = ["-F", str(file), host]
        code, theirs, why = of_ssh(*args)
        assert code == 0, why
        code, ours, _ = of_netkit("--match-exec", *args)
        assert code == 0
        for key in ("port", "user"):
            assert ours[key] == theirs[key], key


def test_match_exec_is_asked_for(work):
    """Nothing is run without the word, and never a shell."""
    file, made = work / "config", work / "made"
    file.write_text(f"Match exec \"touch {made}\"\n Port 1\n")
    _, ours, why = of_netkit("-F", str(file), "foo")
    assert ours["port"] == ["22"] and "is not run" in why and not made.exists()
    assert of_netkit("--match-exec", "-F", str(file), "foo")[1]["port"] == ["1"] and made.exists()
    made.unlink()
    for line in (f"true; touch {made}", f"$(touch {made})", f"touch {made} | true", f"true\n touch {made}"):
        file.write_text(f"Match exec \"{line}\"\n Port 1\n")
        _, ours, why = of_netkit("--match-exec", "-F", str(file), "foo")
        assert ours.get("port", ["22"]) == ["22"] and not made.exists(), why


def test_missed_keywords(work):
    file = work / "config"
    file.write_text("CanonicalizeHostname yes\nKnownHostsCommand /bin/keys\nVerifyHostKeyDNS no\n"
                    "Host other\n PKCS11Provider /x\n")
    code, _, why = of_netkit("-F", str(file), "foo")
    assert code == 0 and f"{file}:1: CanonicalizeHostname" in why and f"{file}:2: KnownHostsCommand" in why
    assert "VerifyHostKeyDNS" not in why and "PKCS11Provider" not in why


# --- what is netkit's own --------------------------------------------------------------------------------------


def config(*args, home=None, **kw):
    env = support.clean_env(HOME=str(home) if home else HOME, USER=USER)
    return support.run("ssh-key", "config", *args, env=env, **kw)


def test_origins(work):
    inner = work / "inner"
    inner.write_text("Port 5\n")
    (work / "config").write_text(f"# comment\nHost foo\n  User alice\n  Include {inner}\n")
    done = config("-F", work / "config", "-o", "BatchMode=yes", "foo", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["host"] == "foo"
    s = answer["settings"]
    assert s["user"] == {"value": "alice", "from": f"{work}/config:3"}
    assert s["port"] == {"value": "5", "from": f"{inner}:1"}
    assert s["batchmode"] == {"value": "yes", "from": "command line"}
    assert s["tcpkeepalive"] == {"value": "yes"}
    assert s["identityfile"]["value"] == [f"{HOME}/.ssh/id_ed25519", f"{HOME}/.ssh/id_ecdsa", f"{HOME}/.ssh/id_rsa"]
    text = config("-F", work / "config", "foo").stdout.splitlines()
    assert f"port 5  # {inner}:1" in text


def test_home(work):
    ssh = work / ".ssh"
    ssh.mkdir(mode=0o700)
    (ssh / "config").write_text("Include sub/*\nPort 1\n")
    (ssh / "config").chmod(0o600)
    (ssh / "sub").mkdir()
    for name, text in (("a", "Port 7\n"), ("b", "Port 8\nUser b\n")):
        (ssh / "sub" / name).write_text(text)
        (ssh / "sub" / name).chmod(0o600)
    got = settings(config("--plain", "foo", home=work).stdout)
    assert (got["port"], got["user"]) == (["7"], ["b"])
    (ssh / "sub" / "b").chmod(0o666)
    support.check_error(config("foo", home=work), 77, "sub/b", "0666")
    (ssh / "sub" / "b").chmod(0o600)
    (ssh / "config").write_text("Include config\n")
    support.check_error(config("foo", home=work), 78, "include each other")


def test_warnings_do_not_stop(work):
    (work / "config").write_text("Frobnicate yes\nMatch exec true\n Port 1\nMatch tagged x\n Port 2\nHost *\n Port 3\n"
                                 "Ciphers aes128-cbc,aes256-ctr\n")
    done = config("-F", work / "config", "--plain", "foo")
    assert done.returncode == 0
    assert settings(done.stdout)["port"] == ["3"]
    assert settings(done.stdout)["ciphers"] == ["aes256-ctr"]
    for words in ("config:1: 'Frobnicate'", "config:2: Match exec", "config:4: Match tagged"):
        assert words in done.stderr
    support.check_error(config("-o", "Frobnicate=yes", "foo"), 2, "Frobnicate")


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a;b", "$(id)", "a`b`", "a b", "a|b", "a\nb", "a\\b", "'a'", ""])
def test_hostile_hosts(host):
    done = support.run("ssh-key", "config", "-F", "none", "--", host)
    assert done.returncode == 2
    done = support.run("ssh-key", "config", "-F", "none", "-o", f"Hostname={host.replace(chr(39), '')};", "--", "foo")
    assert done.returncode == 2


@pytest.mark.parametrize("user", ["-x", "a;b", "$(id)", "a`b`", "a\\b", "a$b", "a|b", "a\nb", "a b"])
def test_hostile_users(user):
    for args in (["-l", user, "foo"], [f"{user}@foo"]):
        done = support.run("ssh-key", "config", "-F", "none", "--", *args) if args[0] != "-l" else support.run(
            "ssh-key", "config", "-F", "none", f"--login={user}", "foo")
        assert done.returncode == 2, done.stdout


def test_user_of_a_domain(work):
    (work / "config").write_text("User CORP\\\\alice\n")
    assert settings(config("-F", work / "config", "--plain", "foo").stdout)["user"] == ["CORP\\alice"]


def test_pipe():
    """As bash gives it for -F <(..)."""
    ours, theirs = os.pipe()
    os.write(theirs, b"Port 7\n")
    os.close(theirs)
    done = config("-F", f"/dev/fd/{ours}", "--plain", "foo", pass_fds=[ours])
    os.close(ours)
    assert settings(done.stdout)["port"] == ["7"]


def test_included_directories(work):
    (work / "sub").mkdir()
    (work / "config").write_text(f"Include {work}/*\nPort 7\n")
    (work / "config").rename(work / "sub" / "config")
    assert settings(config("-F", work / "sub" / "config", "--plain", "foo").stdout)["port"] == ["7"]
    assert config("-F", work, "foo").returncode != 0


def test_missing_file(work):
    support.check_error(config("-F", work / "absent", "foo"), 78, "absent")
    assert config("-F", "none", "foo").returncode == 0


def test_tokens(work):
    (work / "config").write_text("Hostname real\nPort 44\nUser rob\nHostKeyAlias al\nProxyJump hop\n"
                                 "IdentityFile /%n/%h/%p/%r/%u/%k/%j/%i/%%/%d\nCertificateFile ${NK_T}/x\n")
    env = support.clean_env(HOME=HOME, USER=USER, NK_T="/env")
    done = support.run("ssh-key", "config", "-F", work / "config", "--plain", "foo", env=env)
    got = settings(done.stdout)
    assert got["identityfile"] == [f"/foo/real/44/rob/{USER}/al/hop/{os.getuid()}/%/{HOME}"]
    assert got["certificatefile"] == ["/env/x"]
    (work / "config").write_text("IdentityFile /%z\n")
    support.check_error(config("-F", work / "config", "foo"), 78, "%z")
    (work / "config").write_text("IdentityFile ${NK_NOT_SET}/x\n")
    support.check_error(config("-F", work / "config", "foo"), 78, "NK_NOT_SET")
