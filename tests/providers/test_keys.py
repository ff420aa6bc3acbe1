"""Where a key comes from, what is said where there is none, and where it never turns up."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness.config import load
from harness.errors import ConfigError, MissingKey
from harness.providers.keys import find_key, variables_to_hide
from harness.simulator import Fault
from tests.conftest import Start
from tests.e2e.lab import ROOT, Lab, Script, call, result_text, results

SECRET = "sk-0123456789-secret"
HERE = {"PATH": os.environ["PATH"]}


def private(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def refused(ask: Callable[[], object], pattern: str) -> None:
    """It says what is wrong, in one line, and the key is nowhere in what a traceback would show."""
    with pytest.raises(ConfigError, match=pattern) as caught:
        ask()
    shown = "".join(traceback.format_exception(caught.value))
    # what the source line says is no leak
    assert SECRET not in shown.replace(repr(SECRET), "")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ where it is from


def test_the_variable_comes_first_then_the_file_then_the_command(tmp_path: Path) -> None:
    file = private(tmp_path / "key", "from-file\n")
    command = python("print('from-command')")

    assert find_key("anthropic", "K", HERE | {"K": " from-variable\n"}, file, command) == "from-variable"
    assert find_key("anthropic", "K", HERE | {"K": "  "}, file, command) == "from-file"
    assert find_key("anthropic", "K", HERE, None, command) == "from-command"
    with pytest.raises(MissingKey, match=r"set K, or try `harness demo`"):
        find_key("anthropic", "K", HERE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_a_file_that_others_may_open_is_refused_unread(tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "key", SECRET, mode)

    refused(lambda: find_key("anthropic", "K", HERE, file), r"can be read by others; run: chmod 600 ")


def test_a_file_that_is_only_the_persons_is_read(tmp_path: Path) -> None:
    for mode in (0o600, 0o400):
        assert find_key("anthropic", "K", HERE, private(tmp_path / f"key{mode}", SECRET, mode)) == SECRET


def test_what_is_no_key_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    private(tmp_path / "empty", " \n")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    (tmp_path / "latin").chmod(0o600)

    for name, pattern in {
        "none": "No such file",
        "folder": "not a regular file",
        "fifo": "not a regular file",
        "empty": "is empty",
        "latin": "no API key: it is not UTF-8",
    }.items():
        refused(partial(find_key, "anthropic", "K", HERE, str(tmp_path / name)), pattern)


@pytest.mark.parametrize("odd", [f"{SECRET} {SECRET}", f"{SECRET}\n{SECRET}", f"{SECRET}é", f"{SECRET}\x1b[31m"])
def test_what_cannot_be_a_key_is_not_shown(tmp_path: Path, odd: str) -> None:
    file = private(tmp_path / "key", odd)

    refused(lambda: find_key("anthropic", "K", {"K": odd}), "what K gives is no API key")
    refused(lambda: find_key("anthropic", "K", HERE, file), "is no API key")
    refused(lambda: find_key("anthropic", "K", HERE, None, python(f"print({odd!r})")), "is no API key")


# ------------------------------------------------------------------------------------------------- the key command


def test_a_noisy_command_gives_its_key_and_its_noise_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    noisy = python(f"import sys; sys.stderr.write('{SECRET} noise' * 100_000); print('the-key')")

    assert find_key("anthropic", "K", HERE, None, noisy) == "the-key"
    assert capfd.readouterr() == ("", "")


def test_a_failing_command_is_named_and_what_it_printed_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    failing = python(f"import sys; print('{SECRET}'); sys.stderr.write('{SECRET}'); sys.exit(3)")

    refused(lambda: find_key("anthropic", "K", HERE, None, failing), "failed with exit code 3; run it by hand")
    assert capfd.readouterr() == ("", "")


def test_a_slow_command_is_given_up() -> None:
    slow = python(f"import time; print('{SECRET}', flush=True); time.sleep(60)")

    refused(lambda: find_key("anthropic", "K", HERE, None, slow, patience=0.3), r"took longer than 0\.3 s")


def test_other_commands_that_give_none() -> None:
    for command, pattern in (
        (["/no/such/program", SECRET], "`/no/such/program` cannot be run: No such file"),
        (["nul\0byte"], "cannot be run"),
        (python("pass"), "printed nothing"),
        (python("import sys; sys.stdout.buffer.write(b'sk-\\xff')"), "no API key: it is not UTF-8"),
        (python("import os; os.kill(os.getpid(), 9)"), "failed with exit code -9"),
    ):
        refused(partial(find_key, "anthropic", "K", HERE, None, command), pattern)


def test_a_command_gets_the_persons_environment_and_not_what_is_piped_to_us(tmp_path: Path) -> None:
    given = tmp_path / "stdin"
    given.write_text("the task")
    code = (
        "from harness.providers.keys import find_key\n"
        "command = ['sh', '-c', 'echo \"$VAULT-$(cat)-end\"']\n"
        "print(find_key('anthropic', 'K', {'PATH': '/usr/bin:/bin', 'VAULT': 'mine'}, None, command))"
    )
    with given.open() as stdin:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=stdin,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )

    assert done.stdout == "mine--end\n"


# --------------------------------------------------------------------------------------- settings that name a key


def test_settings_that_hold_a_key_by_mistake_are_refused_without_showing_it(isolation: Path, tmp_path: Path) -> None:
    config = isolation / ".config" / "harness" / "config.toml"
    config.parent.mkdir(parents=True)
    environment = {"HOME": str(isolation)}
    for line in (
        f'api_key_env = "{SECRET}"',
        f'base_url = "https://me:{SECRET}@gateway.example"',
        f'headers = "x-key: {SECRET}"',
        f'api_key_command = ["{SECRET}", 1]',
        f'api_key_file = ["{SECRET}"]',
    ):
        config.write_text(f"[providers.anthropic]\n{line}\n")
        refused(lambda: load(environment, tmp_path, tmp_path, {}), r"config\.toml:2: ")
    config.write_text(f'[providers]\nanthropic = "{SECRET}"\n')
    refused(lambda: load(environment, tmp_path, tmp_path, {}), r"config\.toml:2: ")
    config.unlink()
    base_url = {"ANTHROPIC_BASE_URL": f"https://me:{SECRET}@gateway.example"}
    refused(lambda: load(environment | base_url, tmp_path, tmp_path, {}), "no user and password")


# ------------------------------------------------------------------------------------------------ where it must not be


def test_variables_that_name_or_hold_a_key() -> None:
    environment = {"MINE": SECRET, "COPY": f"Bearer {SECRET}", "OTHER": "x", "PLACEHOLDER": "demo"}

    assert variables_to_hide(SECRET, ["NAMED"], environment) == ("NAMED", "MINE", "COPY")
    assert variables_to_hide("demo", [], environment) == ()


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation)
    made.project.mkdir()
    return made


FROM: dict[str, tuple[str, dict[str, str | None]]] = {
    "variable": ("", {"ANTHROPIC_API_KEY": SECRET}),
    "variable of another name": ('api_key_env = "WORK"', {"WORK": SECRET}),
    "file": ('api_key_file = "key"', {}),
    "command": (f"api_key_command = {['cat', 'KEYFILE']}", {}),
    "command that repeats a variable": ("api_key_command = " + str(["sh", "-c", "echo $VAULT"]), {"VAULT": SECRET}),
}


@pytest.mark.parametrize("source", FROM)
def test_no_tool_no_argument_and_no_file_ever_holds_it(source: str, lab: Lab, simulator: Start) -> None:
    setting, environment = FROM[source]
    file = lab.home / ".config" / "harness" / "key"
    lab.config(f"[providers.anthropic]\n{setting.replace('KEYFILE', str(file))}\n")
    private(file, SECRET)
    look = "env; for one in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $one 2>/dev/null; done; true"
    sim = simulator(Script([call("shell", command=look)], "done"), minimum=1)
    lab.url = sim.url

    ran = lab.run("-p", "look", "--permission-mode", "yolo", env={"ANTHROPIC_API_KEY": None, **environment})

    assert ran.code == 0, ran.err
    assert sim.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    seen = result_text(results(sim.requests[1].json)[0])
    assert "PATH=" in seen
    assert SECRET not in seen
    assert SECRET not in ran.out + ran.err
    kept = [path for path in lab.state.rglob("*") if path.is_file()]
    assert kept
    assert not any(SECRET.encode() in path.read_bytes() for path in kept)


@pytest.mark.refusals("a gateway refuses the key and quotes it")
def test_a_refusal_that_quotes_it(lab: Lab, simulator: Start) -> None:
    sim = simulator(Script())
    sim.fault(Fault("status", status=401, message=f"no such key: {SECRET}"))
    lab.url = sim.url
    lab.config(f'[providers.anthropic]\napi_key_command = "echo {shlex.quote(SECRET)}"\n')

    ran = lab.run("-p", "look", env={"ANTHROPIC_API_KEY": None})

    assert ran.code == 1
    assert "401" in ran.err
    assert SECRET not in ran.out + ran.err
    assert not any(SECRET.encode() in path.read_bytes() for path in lab.state.rglob("*") if path.is_file())
