# SPDX-License-Identifier: MIT
"""netkit hs apply, netkit hs watch: directories of keys are checked before a real tor reads them."""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading

import pytest

import hs_support
import support
from hs_support import LOCK, authorized, base32, line, put_client, random_key
from tor_offline import DIED_AT_RELOAD, OfflineTor, TorEnded


@pytest.fixture
def web(work):
    return hs_support.service(work)


@pytest.fixture
def client_dir(work):
    path = work / "onion_auth"
    path.mkdir(mode=0o700)
    return path


def apply(tor, *args, **kw):
    return support.run("hs", "apply", *args, "--pid", tor.pid, **kw)


def add_key(path, name, address, key=None):
    file = path / name
    file.write_text(f"{address}:descriptor:x25519:{base32(key or random_key())}", encoding="ascii")
    file.chmod(0o600)
    return file


def address_of(web):
    return (web / "hostname").read_text(encoding="ascii").strip().removesuffix(".onion")


def test_tor_reads_what_was_checked(work, web, client_dir):
    put_client(web, "alice.auth", line(random_key()))
    with OfflineTor(work, services=[web], client_auth=client_dir) as tor:
        assert tor.clients_loaded(web) == ["alice.auth"]
        put_client(web, "bob.auth", line(random_key()))
        address = address_of(web)
        add_key(client_dir, "a.auth_private", address)
        done = apply(tor, web, client_dir)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{web}: 2 clients authorized\n{client_dir}: keys for 1 services\n"
        assert tor.reloads() == 1
        tor.barrier()
        assert tor.clients_loaded(web) == ["alice.auth", "bob.auth"]
        assert list(tor.client_keys()) == [address]
        # one file that is broken shuts out one client; the others are applied
        put_client(web, "bob.auth", "nonsense")
        done = apply(tor, web, "--json")
        doc = json.loads(done.stdout)
        assert doc["applied"] and doc["directories"][0]["authorized"] == 1
        tor.barrier()
        assert tor.clients_loaded(web) == ["alice.auth"]


def test_what_would_kill_tor_never_reaches_it(work, web, client_dir):
    address = address_of(web)
    add_key(client_dir, "a.auth_private", address)
    with OfflineTor(work, services=[web], client_auth=client_dir) as tor:
        second = add_key(client_dir, "b.auth_private", address.upper())
        done = apply(tor, client_dir)
        assert done.returncode == 1 and "a running one ends at SIGHUP" in done.stderr
        assert tor.alive() and tor.reloads() == 0
        # that is what would have happened
        with pytest.raises(TorEnded) as end:
            tor.reload()
        assert "Duplicate authorization" in end.value.log and second.exists()
        tor.wait_line(DIED_AT_RELOAD)


def damage_cut(web):
    (web / "hs_ed25519_public_key").unlink()
    os.truncate(web / "hs_ed25519_secret_key", 95)


def damage_raw(web):
    (web / "hs_ed25519_public_key").unlink()
    secret = web / "hs_ed25519_secret_key"
    secret.write_bytes(secret.read_bytes()[32:])


def damage_other(web):
    (web / "hs_ed25519_public_key").write_bytes(b"== ed25519v1-public: type0 ==\0\0\0" + bytes([1]) + bytes(31))


@pytest.mark.parametrize("damage", [damage_cut, damage_raw, damage_other])
def test_keys_that_tor_would_destroy(work, web, damage):
    with OfflineTor(work, services=[web]) as tor:
        damage(web)
        before = {p.name: p.read_bytes() for p in web.iterdir() if p.is_file()}
        done = apply(tor, web)
        assert done.returncode == 1 and "hs_ed25519_" in done.stderr
        assert tor.reloads() == 0
        assert {p.name: p.read_bytes() for p in web.iterdir() if p.is_file()} == before


def test_an_emptied_list_never_goes_public(work, web):
    put_client(web, "alice.auth", line(random_key()))
    with OfflineTor(work, services=[web]) as tor:
        # broken: tor would open the service
        put_client(web, "alice.auth", line(random_key()) + "====")
        done = apply(tor, web)
        assert done.returncode == 1 and "everybody" in done.stderr
        assert apply(tor, web, "--allow-public").returncode == 1
        assert tor.reloads() == 0
        assert apply(tor, web, "--restrict").returncode == 0
        tor.barrier()
        assert tor.clients_loaded(web) == [f"{LOCK}.auth"]
        # set aside by hand
        (authorized(web) / f"{LOCK}.auth").unlink()
        (web / "disabled_clients").mkdir(mode=0o700)
        (authorized(web) / "alice.auth").rename(web / "disabled_clients" / "alice.auth")
        assert apply(tor, web).returncode == 1
        assert tor.reloads() == 1
        done = apply(tor, web, "--allow-public")
        assert done.returncode == 0 and done.stdout == f"{web}: open to everybody\n"
        support.check_error(apply(tor, web, "--allow-public", "--restrict"), 2, "contradict")


def test_a_service_without_clients_is_public(work, web):
    with OfflineTor(work, services=[web]) as tor:
        done = apply(tor, web)
        assert done.returncode == 0 and done.stdout == f"{web}: open to everybody\n"
        done = apply(tor, web, "--restrict", "--dry-run")
        assert done.returncode == 0 and "0 clients authorized" in done.stdout
        assert not list(authorized(web).iterdir()) and tor.reloads() == 1


def test_weak_keys_are_refused(work, web):
    put_client(web, "alice.auth", line(random_key()))
    with OfflineTor(work, services=[web]) as tor:
        put_client(web, "zero.auth", line(bytes(32)))
        done = apply(tor, web)
        assert done.returncode == 1 and "zero.auth" in done.stderr
        assert tor.reloads() == 0


def test_only_a_tor_of_ours_is_told(work, web, programs):
    sleeper = programs(["sleep", "60"])
    done = support.run("hs", "apply", web, "--pid", sleeper.pid)
    support.check_error(done, 77, "is no tor", "'sleep'")
    assert sleeper.alive()
    # a program of that name that does not catch the signal
    copy = work / "bin" / "tor"
    copy.parent.mkdir()
    shutil.copy(shutil.which("sleep"), copy)
    false_tor = programs([copy, "60"])
    support.check_error(support.run("hs", "apply", web, "--pid", false_tor.pid), 75, "does not catch SIGHUP")
    assert false_tor.alive()
    false_tor.kill()
    support.check_error(support.run("hs", "apply", web, "--pid", false_tor.pid), 1, "does not run")
    support.check_error(support.run("hs", "apply", web), 2, "--pid")
    pid_file = work / "pid"
    pid_file.write_text("none\n", encoding="ascii")
    support.check_error(support.run("hs", "apply", web, "--pid-file", pid_file), 1, "no number of a process")
    support.check_error(support.run("hs", "apply", work / "bin", "--pid", os.getpid()), 2)


def test_owner_of_tor(work, web):
    support.need_root()
    with OfflineTor(work, services=[web]) as tor:
        os.chown(web, 12345, 12345)
        support.check_error(apply(tor, web), 77, "user 12345")
        assert tor.reloads() == 0


def test_pid_file_and_a_tor_that_does_not_read(work, web):
    other = hs_support.service(work, "other")
    pid_file = work / "tor.pid"
    with OfflineTor(work, services=[web], torrc=[f"PidFile {pid_file}"]) as tor:
        done = support.run("hs", "apply", web, "--pid-file", pid_file)
        assert done.returncode == 0, done.stderr
        done = support.run("hs", "apply", other, "--pid-file", pid_file, "--wait", "500ms")
        support.check_error(done, 75, "did not read", "other")
        assert tor.reloads() == 2


def test_a_tor_that_ends_is_noticed(work, web, client_dir):
    """What is wrong elsewhere in its configuration cannot be seen beforehand."""
    with OfflineTor(work, services=[web]) as tor:
        tor.configure([web], torrc=["NoSuchOption 1"])
        support.check_error(apply(tor, web), 69, "ended at the reload")
        assert tor.proc.wait(support.PATIENCE) != 0


# --- watch ------------------------------------------------------------------------------------


class Watch:
    """`netkit hs watch --json`, its events as they come."""

    def __init__(self, programs, *args):
        self.program = programs([support.NETKIT, "hs", "watch", *args, "--json", "--debounce", "100ms"],
                                stdout=subprocess.PIPE)
        self._events = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.first = self.event("ready")

    def _read(self):
        for line_ in self.program.proc.stdout:
            self._events.put(json.loads(line_))

    def event(self, name):
        got = self._events.get(timeout=support.PATIENCE)
        assert got["event"] == name, got
        return got

    def silent(self):
        return self._events.empty()

    def stop(self):
        code = self.program.stop()
        self._reader.join(support.PATIENCE)
        assert self.silent()
        return code


def test_watch_applies_what_changes(work, web, client_dir, programs):
    put_client(web, "alice.auth", line(random_key()))
    with OfflineTor(work, services=[web], client_auth=client_dir) as tor:
        watch = Watch(programs, web, client_dir, "--pid", tor.pid)
        assert [d["kind"] for d in watch.first["directories"]] == ["service", "clients"]
        mark = tor.mark()
        done = support.run("hs", "auth", "import", "--dir", web, "--nickname", "bob", line(random_key()))
        assert done.returncode == 0
        assert watch.event("applied")["directories"][0]["authorized"] == 2
        tor.wait_reload(mark)
        assert tor.clients_loaded(web) == ["alice.auth", "bob.auth", f"{LOCK}.auth"]
        # the same keys in other words: nothing happens, which the next event shows
        bob = authorized(web) / "bob.auth"
        bob.write_text(bob.read_text(encoding="ascii").strip().lower() + "\r\n", encoding="ascii")
        bob.rename(authorized(web) / "robert.auth")
        mark = tor.mark()
        address = address_of(web)
        add_key(client_dir, "a.auth_private", address)
        assert watch.event("applied")["directories"][1]["keys"] == 1
        tor.wait_reload(mark)
        assert list(tor.client_keys()) == [address]
        assert tor.reloads() == 2
        assert watch.stop() == 0


def test_watch_keeps_an_emptied_service_closed(work, web, programs):
    alice = put_client(web, "alice.auth", line(random_key()))
    with OfflineTor(work, services=[web]) as tor:
        watch = Watch(programs, web, "--pid", tor.pid)
        mark = tor.mark()
        alice.unlink()  # by hand
        sight = watch.event("applied")["directories"][0]
        assert sight["restricted"] and sight["authorized"] == 0
        tor.wait_reload(mark)
        assert tor.clients_loaded(web) == [f"{LOCK}.auth"]
        assert watch.stop() == 0


def test_watch_opens_it_only_when_told(work, web, programs):
    alice = put_client(web, "alice.auth", line(random_key()))
    with OfflineTor(work, services=[web]) as tor:
        watch = Watch(programs, web, "--pid", tor.pid, "--allow-public")
        mark = tor.mark()
        alice.unlink()
        assert not watch.event("applied")["directories"][0]["restricted"]
        tor.wait_reload(mark)
        assert tor.clients_loaded(web) == []


def test_watch_refuses_what_would_kill_tor(work, web, client_dir, programs):
    add_key(client_dir, "a.auth_private", address_of(web))
    with OfflineTor(work, services=[web], client_auth=client_dir) as tor:
        watch = Watch(programs, client_dir, "--pid", tor.pid)
        second = add_key(client_dir, "b.auth_private", address_of(web))
        findings = watch.event("refused")["findings"]
        assert any("a running one ends at SIGHUP" in f["reason"] for f in findings)
        assert tor.alive() and tor.reloads() == 0
        mark = tor.mark()
        (client_dir / "a.auth_private").unlink()
        watch.event("applied")
        tor.wait_reload(mark)
        assert second.exists()


def test_watch_restricts_and_survives_tor(work, web, programs):
    pid_file = work / "tor.pid"
    with OfflineTor(work, services=[web], torrc=[f"PidFile {pid_file}"]) as tor:
        mark = tor.mark()
        watch = Watch(programs, web, "--pid-file", pid_file, "--restrict")
        assert watch.event("applied")["directories"][0]["restricted"]
        tor.wait_reload(mark)
        assert tor.clients_loaded(web) == [f"{LOCK}.auth"]
        pid = tor.pid
    assert watch.event("ended")["pid"] == pid
    put_client(web, "alice.auth", line(random_key()))
    watch.event("absent")
    second = work / "second"
    second.mkdir(mode=0o700)
    with OfflineTor(second, services=[web], torrc=[f"PidFile {pid_file}"]) as tor:
        assert tor.clients_loaded(web) == ["alice.auth", f"{LOCK}.auth"]
        shutil.rmtree(authorized(web))  # the whole folder goes and comes back
        assert watch.event("applied")["directories"][0]["authorized"] == 0
        put_client(web, "bob.auth", line(random_key()))
        assert watch.event("applied")["directories"][0]["authorized"] == 1
        watch.program.proc.send_signal(signal.SIGHUP)  # its own reload finds nothing new
        watch.program.wait_line("reload")
        assert watch.stop() == 0


def test_watch_needs_to_know_tor(web):
    support.check_error(support.run("hs", "watch", web), 2, "--pid")
    support.check_error(support.run("hs", "watch", web.parent, "--pid", 1), 2)
