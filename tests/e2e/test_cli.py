# SPDX-License-Identifier: MIT
"""The program as users meet it: names, exit codes, broken standard streams, an empty root."""

import json
import os
import re
import shutil
import subprocess

import pytest

import support
from support import NETKIT, check_error, clean_env, need_command, need_root, run

EXIT_USAGE, EXIT_IO, EXIT_CONFIG, EXIT_NOTFOUND = 2, 74, 78, 127


def commands():
    return run("list").stdout


# --- asking for help -------------------------------------------------------------------------


def test_overview_without_arguments():
    done = run()
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith("netkit")
    assert "usage:" in done.stdout


@pytest.mark.parametrize("args", [("--help",), ("-h",), ("help",)])
def test_top_level_help(args):
    done = run(*args)
    assert done.returncode == 0 and not done.stderr and "usage:" in done.stdout


def test_help_is_the_same_text_however_it_is_asked_for():
    texts = {run(*args).stdout for args in (("help", "config", "check"), ("config", "check", "--help"),
                                            ("config", "check", "-h"), ("config", "help", "check"))}
    assert len(texts) == 1
    assert "config check" in texts.pop()


def test_every_command_answers_help():
    names = [c["name"] for c in json.loads(run("list", "--json").stdout)["commands"]]
    assert len(names) > 5
    for name in names:
        done = run(*name.split(), "--help")
        assert done.returncode == 0 and not done.stderr, name
        assert name in done.stdout.splitlines()[0], name


@pytest.mark.parametrize("args", [("--version",), ("-V",), ("version",)])
def test_version(args):
    done = run(*args)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"netkit \d+\.\d+\.\d+", lines[0])
    for library in ("mbedtls", "libsodium", "libuv"):
        assert any(re.match(rf"{library} \d", line) for line in lines[1:]), done.stdout


# --- wrong usage -----------------------------------------------------------------------------


def test_unknown_command():
    check_error(run("nosuch"), EXIT_NOTFOUND, "nosuch")
    assert "'config'" in check_error(run("confg"), EXIT_NOTFOUND)  # a suggestion
    check_error(run("config", "chekc"), EXIT_NOTFOUND, "check")


def test_unknown_option():
    line = check_error(run("config", "check", "--bogus"), EXIT_USAGE, "--bogus")
    assert "--help" in line


def test_options_are_never_abbreviated():
    check_error(run("config", "check", "--verb"), EXIT_USAGE, "--verb")


def test_hostile_arguments_stay_on_one_line():
    done = run("a\nnetkit: all is well\x1b[2J%n%s")
    line = check_error(done, EXIT_NOTFOUND)
    assert "\x1b" not in line


def test_very_long_arguments():
    check_error(run("x" * 100_000), EXIT_NOTFOUND)
    check_error(run("config", "check", "--" + "y" * 100_000), EXIT_USAGE)


# --- C14, C15: names and argv ----------------------------------------------------------------


def with_argv(exec_argv, *argv):
    return subprocess.run([exec_argv, NETKIT, *argv], capture_output=True, text=True,
                          timeout=support.PATIENCE, env=clean_env(), stdin=subprocess.DEVNULL)


def test_no_argv_at_all(exec_argv):
    done = with_argv(exec_argv)
    assert done.returncode in (0, EXIT_USAGE)
    assert "usage:" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "-", "/", ".exe", "nk-", "netkit-", "-.exe", "nk-nosuch"])
def test_odd_argv0_is_subcommand_mode(exec_argv, name):
    done = with_argv(exec_argv, name, "--version")
    assert done.returncode == 0 and done.stdout.startswith("netkit "), done.stderr


NAMES = ["nk-list", "netkit-list", "list", "-list", "list.exe", "/a/b/list", "/a/b/nk-list.exe"]


@pytest.mark.parametrize("name", NAMES)
def test_argv0_names_the_command(exec_argv, name):
    want = run("list", "--help").stdout
    done = with_argv(exec_argv, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == want


@pytest.mark.parametrize("name", ["netkit", "netkit-1.2", "app", "init", "entrypoint", "/sbin/x", "LIST"])
def test_renamed_binary_takes_subcommands(exec_argv, name):
    done = with_argv(exec_argv, name, "list")
    assert done.returncode == 0 and done.stdout == commands()


def test_links(work):
    for name in ("nk-list", "app"):
        (work / name).symlink_to(NETKIT)
    by_link = subprocess.run([work / "nk-list"], capture_output=True, text=True, env=clean_env(),
                             check=True)
    renamed = subprocess.run([work / "app", "list"], capture_output=True, text=True,
                             env=clean_env(), check=True)
    assert by_link.stdout == renamed.stdout == commands()


# --- C11, C12, C13: broken standard streams --------------------------------------------------


@pytest.mark.parametrize("args", [("--help",), ("list",), ("--list",), ("--version",),
                                  ("help", "config", "check"), ("config", "init"), ("licenses",),
                                  ("man",), ("completion", "bash")])
def test_full_output_is_an_error(args):
    assert run(*args).stdout, "nothing to write: this would prove nothing"
    with open("/dev/full", "wb") as full:
        done = run(*args, stdout=full)
    assert done.returncode == EXIT_IO
    assert done.stderr.startswith("netkit") and len(done.stderr.splitlines()) == 1


def test_full_output_in_the_end_of_a_long_text(work):
    """Also when the first writes went well."""
    need_command("sh")
    done = subprocess.run(["sh", "-c", f"ulimit -f 1; trap '' XFSZ; exec '{NETKIT}' licenses >out"],
                          capture_output=True, text=True, env=clean_env(), cwd=work)
    assert done.returncode == EXIT_IO, done.stderr


@pytest.mark.parametrize("close", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_streams(work, close):
    """Nothing that netkit opens may get the number of a standard stream, and no text may land there."""
    need_command("sh")
    config = work / "netkit.ini"
    config.write_text("[nosuch]\n", encoding="ascii")
    done = subprocess.run(["sh", "-c", f"exec '{NETKIT}' config check -c '{config}' {close}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=support.PATIENCE, env=clean_env())
    assert done.returncode == EXIT_CONFIG, done.stderr
    assert config.read_text(encoding="ascii") == "[nosuch]\n"
    if "2>&-" not in close:
        assert "nosuch" in done.stderr + done.stdout


def test_closed_stdout_is_reported():
    done = subprocess.run(["sh", "-c", f"exec '{NETKIT}' list >&-"], stderr=subprocess.PIPE,
                          text=True, timeout=support.PATIENCE, env=clean_env())
    assert done.returncode != 0 and done.stderr.startswith("netkit")


def test_reader_that_goes_away(work):
    """netkit ... | head -1: no noise, and the exit code that a shell shows for it."""
    for args in ("list", "licenses", "help"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"'{NETKIT}' {args} | head -1"],
            capture_output=True, text=True, timeout=support.PATIENCE, env=clean_env())
        assert done.returncode in (0, 141), (args, done.returncode)
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 1


# --- C1, C40: an empty root, no network, no privileges ---------------------------------------


@pytest.fixture
def empty_root(work):
    need_root()
    shutil.copy(NETKIT, work / "netkit")
    return work


def in_root(root, *args, user=None, env=None):
    return subprocess.run(
        [need_command("chroot"), *([f"--userspec={user}"] if user else []), str(root), "/netkit",
         *args],
        capture_output=True, text=True, timeout=support.PATIENCE, env=env or {},
        stdin=subprocess.DEVNULL)


def only_when_static():
    """A debug build needs its shared libraries; the program that is released needs none."""
    if b"INTERP" in subprocess.run([need_command("readelf"), "-lW", NETKIT], capture_output=True,
                                   check=True).stdout:
        pytest.skip("not the release program: it is linked dynamically")


def test_empty_root(empty_root):
    only_when_static()
    os.chmod(empty_root, 0o755)
    for user in (None, "12345:0"):
        done = in_root(empty_root, "--version", user=user)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("netkit ")
        done = in_root(empty_root, "list", user=user)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", commands())


def test_install_without_proc_and_dev(empty_root):
    only_when_static()
    (empty_root / "bin").mkdir()
    done = in_root(empty_root, "install", "/bin")
    assert done.returncode == 0, done.stderr
    links = sorted(os.listdir(empty_root / "bin"))
    assert links and all(name.startswith("nk-") for name in links)
    for name in links:
        assert os.readlink(empty_root / "bin" / name) == "/netkit"


def test_without_network_and_privileges():
    need_command("unshare")
    for flags in (["-n"], ["-r", "-n"]):
        if flags == ["-n"]:
            need_root()
        probe = subprocess.run(["unshare", *flags, "true"], capture_output=True)
        if probe.returncode != 0:
            support.missing_peer(f"unshare {' '.join(flags)}")
        done = subprocess.run(["unshare", *flags, NETKIT, "list"], capture_output=True, text=True,
                              env=clean_env(), timeout=support.PATIENCE)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout == commands()


# --- C37: what the file is --------------------------------------------------------------------


def test_the_released_file():
    readelf = need_command("readelf")
    only_when_static()

    def show(*flags):
        return subprocess.run([readelf, "-W", *flags, NETKIT], capture_output=True, text=True,
                              check=True).stdout

    dynamic = show("-d")
    assert "NEEDED" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic
    assert "PIE" in dynamic and ("BIND_NOW" in dynamic or "NOW" in dynamic)
    segments = show("-l")
    assert "GNU_RELRO" in segments
    stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
    assert stack and "E" not in stack[0].split()[-2]


# --- configuration that cannot be used -------------------------------------------------------


def test_config_file_problems(work):
    good = work / "good.ini"
    good.write_text("", encoding="ascii")
    assert run("config", "check", "-c", good).returncode == 0
    for what in ("missing", "directory", "fifo"):
        path = work / what
        if what == "directory":
            path.mkdir()
        elif what == "fifo":
            os.mkfifo(path)
        done = run("config", "check", "-c", path, timeout=5)
        assert done.returncode in (EXIT_CONFIG, 77), (what, done)
        assert str(path) in done.stderr


def test_all_errors_in_one_run(work):
    path = work / "netkit.ini"
    path.write_text("[nosuch]\nx = 1\n\n[unterminated\nnothing here\n", encoding="ascii")
    done = run("config", "check", "-c", path)
    assert done.returncode == EXIT_CONFIG
    numbers = [int(n) for n in re.findall(rf"{re.escape(str(path))}:(\d+): ", done.stderr)]
    assert numbers == sorted(numbers) and {1, 4, 5} <= set(numbers), done.stderr


def test_config_check_changes_nothing(work):
    state = work / "state"
    state.mkdir()
    (state / "file").write_text("x", encoding="ascii")
    before = [(p, os.stat(p).st_mtime_ns) for p in (state, state / "file")]
    config = work / "netkit.ini"
    config.write_text(run("config", "init").stdout, encoding="utf-8")
    done = run("config", "check", "-c", config, "--state-dir", state)
    assert done.returncode == 0, done.stderr
    assert before == [(p, os.stat(p).st_mtime_ns) for p in (state, state / "file")]
    assert os.listdir(state) == ["file"]


# --- installing links (C16) ------------------------------------------------------------------


def test_install_and_uninstall(work):
    bin_dir = work / "bin"
    bin_dir.mkdir()
    dry = run("install", "--dry-run", bin_dir)
    assert dry.returncode == 0 and not os.listdir(bin_dir)
    assert run("install", bin_dir).returncode == 0
    links = sorted(os.listdir(bin_dir))
    assert links
    assert run("install", bin_dir).returncode == 0  # again: the same links
    (bin_dir / links[0]).unlink()
    (bin_dir / links[0]).write_text("somebody else's", encoding="ascii")
    refused = run("install", bin_dir)
    assert refused.returncode == 1 and links[0] in refused.stderr
    assert (bin_dir / links[0]).read_text(encoding="ascii") == "somebody else's"
    assert run("uninstall", bin_dir).returncode in (0, 1)
    assert os.listdir(bin_dir) == [links[0]]
    assert run("install", "--force", bin_dir).returncode == 0
    assert sorted(os.listdir(bin_dir)) == links
    assert run("uninstall", bin_dir).returncode == 0 and not os.listdir(bin_dir)
    assert run("install", work / "nowhere").returncode == 1
