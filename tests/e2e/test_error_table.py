"""Every way in which a run cannot even begin to work: one line that says what to do, and the right exit code."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.simulator import Fault
from tests.e2e.conftest import Start
from tests.e2e.lab import Lab, Ran, Script
from tests.waiting import wait_for

QUICK = "[network]\nmax_retries = 1\nidle_timeout = 5\n"


def check(ran: Ran, code: int, pattern: str) -> None:
    """One line of ours on stderr, which fits the pattern; nothing on stdout; the exit code."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert len(ran.lines) == 1, ran.err
    assert re.search(pattern, ran.lines[0]), ran.lines[0]
    assert ran.lines[0].isprintable()


# ------------------------------------------------------------------------------------------ the vendor's answers

ANSWERS: dict[str, tuple[Fault, int, str]] = {
    "401": (Fault("status", status=401, message="invalid x-api-key"), 1, r"401.*API key.*ANTHROPIC_API_KEY"),
    "403": (Fault("status", status=403, message="not for this key"), 1, r"403.*not for this key.*workspace"),
    "404 model": (Fault("status", status=404, message="model: nope"), 2, r"404: model: nope; .*--model"),
    "402 quota": (Fault("status", status=402, message="no credits"), 1, r"402.*billing.*no credits"),
    "413": (Fault("status", status=413, message="too large"), 1, r"413.*larger than the vendor takes"),
    "400": (Fault("status", status=400, message="messages.0: bad"), 1, r"400: the vendor refused.*messages\.0: bad"),
    "400 full": (
        Fault("status", status=400, message="prompt is too long: 1000001 tokens > 1000000 maximum"),
        1,
        r"no longer fits the model's window",
    ),
    "404 page": (Fault("status", status=404, body="html"), 1, r"404 with a page.*ANTHROPIC_BASE_URL"),
    "403 page": (Fault("status", status=403, body="html"), 1, r"403 with a page.*ANTHROPIC_BASE_URL"),
    "401 page": (Fault("status", status=401, body="html"), 1, r"401 with a page.*ANTHROPIC_BASE_URL"),
    "405 nothing": (Fault("status", status=405, body="empty"), 1, r"405.*ANTHROPIC_BASE_URL"),
    "429": (Fault("status", times=2, status=429, message="slow down"), 75, r"429: rate limited: slow down"),
    "529": (Fault("status", times=2, status=529), 75, r"529: Overloaded.*later"),
    "503 page": (Fault("status", times=2, status=503, body="html"), 75, r"503.*later"),
    "reset": (Fault("reset", times=2), 75, r"connection failed"),
    "huge wait": (
        Fault("status", status=429, message="slow down", headers={"retry-after": "99999999"}),
        75,
        r"429: rate limited: slow down; it asks to wait 1,158 d; go on",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_refused_by_the_vendor(name: str, lab: Lab, vendor: Start) -> None:
    fault, code, pattern = ANSWERS[name]
    sim = vendor(Script(), allowed=fault.message)
    lab.config(QUICK)
    sim.fault(fault)

    check(lab.run("-p", "hello"), code, pattern)

    # the conversation is as good as before
    again = lab.run("-p", "hello again", "-c")
    assert (again.code, again.out) == (0, "done\n")


def test_spend_limit_is_not_tried_again(lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())
    body = (
        '{"type":"error","error":{"type":"rate_limit_error","message":"monthly limit reached",'
        '"details":{"error_code":"enforced_spend_limit_reached"}}}'
    )
    sim.fault(Fault("status", status=429, body=body, headers={"content-type": "application/json"}))

    check(lab.run("-p", "hello"), 1, r"429: the spend limit is reached: monthly limit reached")
    assert len(sim.refused) == 1


def test_what_the_vendor_says_cannot_act_on_the_terminal(lab: Lab, vendor: Start) -> None:
    message = "line one\nline two \x1b[31mred\x1b[0m \x07"
    vendor(Script(), allowed="line one").fault(Fault("status", status=400, message=message))

    check(lab.run("-p", "hello"), 1, r"line one.*line two \\x1b\[31mred")


def test_a_key_that_the_vendor_repeats_is_not_shown(lab: Lab, vendor: Start) -> None:
    key = lab.environment()["ANTHROPIC_API_KEY"]
    vendor(Script()).fault(Fault("status", status=401, message=f"invalid key {key}!"))

    ran = lab.run("-p", "hello")

    check(ran, 1, "401")
    assert key not in ran.err
    assert key not in (lab.sessions()[-1] / "journal.jsonl").read_text()


def test_unknown_model(lab: Lab, vendor: Start) -> None:
    vendor(Script())

    ran = lab.run("-p", "hello", "--model", "anthropic/claude-nope")

    check(ran, 2, r"404.*claude-nope.*--model")
    assert "not in the model list" in ran.err


def test_full_window(lab: Lab, vendor: Start) -> None:
    vendor(Script(), context_window=3000, allowed="prompt is too long")

    check(lab.run("-p", "word " * 4000), 1, r"no longer fits the model's window")


# ---------------------------------------------------------------------------------------------------- the network


# flags and variable of each wire
WIRES = {
    "anthropic": ([], "ANTHROPIC_BASE_URL"),
    "responses": (["--model", "openai/gpt-6.1-sol"], "OPENAI_BASE_URL"),
    "chat": (["--model", "openai-chat/openai/gpt-6.1-sol"], "OPENAI_BASE_URL"),
}
on_each_wire = pytest.mark.parametrize("wire", WIRES)


def ask(lab: Lab, wire: str, url: str, **env: str) -> Ran:
    """Ask a vendor at an address, once."""
    flags, variable = WIRES[wire]
    lab.config("[network]\nmax_retries = 0\n")
    return lab.run("-p", "hello", *flags, env={variable: url, "OPENAI_API_KEY": "k", **env})


@on_each_wire
def test_no_such_host(wire: str, lab: Lab) -> None:
    check(ask(lab, wire, "http://no-such-host.invalid"), 75, r"host name was not found.*DNS")


@on_each_wire
def test_refused_connection(wire: str, lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    check(ask(lab, wire, f"http://127.0.0.1:{port}"), 75, rf"connection was refused.*{WIRES[wire][1]}")


@on_each_wire
def test_refused_by_the_proxy(wire: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")

    check(ask(lab, wire, "http://vendor.invalid"), 75, r"refused.*proxy")


class _Page(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page; `/moved` sends elsewhere first."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = b"<html><body>Please log in</body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Silent."""


@contextlib.contextmanager
def page_server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A web server that is no API; its port."""

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust us hangs up."""

    server = Quiet(("127.0.0.1", 0), _Page)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@on_each_wire
@pytest.mark.parametrize("path", ["", "/moved"])
def test_a_page_instead_of_the_api(path: str, wire: str, lab: Lab) -> None:
    with page_server() as port:
        ran = ask(lab, wire, f"http://127.0.0.1:{port}{path}")

    check(ran, 1, rf"text/html.*{WIRES[wire][1]}")


@on_each_wire
def test_certificate_that_nobody_trusts(wire: str, lab: Lab, tmp_path: Path) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*words, "-keyout", key, "-out", certificate, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with page_server(context) as port:
        check(ask(lab, wire, f"https://127.0.0.1:{port}"), 1, r"TLS certificate.*SSL_CERT_FILE")


@on_each_wire
def test_tls_to_a_server_that_has_none(wire: str, lab: Lab) -> None:
    with page_server() as port:
        check(ask(lab, wire, f"https://127.0.0.1:{port}"), 1, r"TLS")


# ---------------------------------------------------------------------------------------------------- the machine


def test_no_key(lab: Lab) -> None:
    check(lab.run("-p", "hello", env={"ANTHROPIC_API_KEY": None}), 2, r"ANTHROPIC_API_KEY.*`harness demo`")
    assert lab.sessions() == []


def test_state_folder_below_a_file(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    (lab.folder / "file").write_text("")

    ran = lab.run("-p", "hello", env={"XDG_STATE_HOME": str(lab.folder / "file" / "state")})

    check(ran, 1, r"cannot write .*XDG_STATE_HOME")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_state_folder_that_takes_no_files(lab: Lab, vendor: Start) -> None:
    vendor(Script())

    check(lab.run("-p", "hello", env={"XDG_STATE_HOME": "/proc"}), 1, r"cannot write .*XDG_STATE_HOME")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_state_folder_without_the_right_to_write(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    closed = lab.folder / "closed"
    closed.mkdir(mode=0o500)

    check(lab.run("-p", "hello", env={"XDG_STATE_HOME": str(closed)}), 1, r"cannot write .*XDG_STATE_HOME")


@contextlib.contextmanager
def tiny_filesystem(folder: Path, size: str) -> Iterator[Path]:
    """A folder on a file system of that size."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a tiny file system")
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a tiny file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_disk_full_in_the_middle(lab: Lab, vendor: Start) -> None:
    vendor(Script("A long answer. " * 8000, "Second. " * 8000))
    with tiny_filesystem(lab.folder / "tiny", "128k") as tiny:
        ran = lab.run("-p", "hello", env={"XDG_STATE_HOME": str(tiny)})
        journals = [path.read_bytes() for path in tiny.rglob("journal.jsonl")]

    assert ran.code == 1
    assert len(ran.lines) == 1
    assert re.search(r"cannot write .*No space left.*free space", ran.lines[0])
    assert all(raw.endswith(b"\n") for raw in journals if raw)


def test_disk_full_at_the_start(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    with tiny_filesystem(lab.folder / "tiny", "8k") as tiny:
        (tiny / "filler").write_bytes(b"x" * 4096)
        check(lab.run("-p", "hello", env={"XDG_STATE_HOME": str(tiny)}), 1, r"cannot write .*free space")


def journals(lab: Lab) -> list[Path]:
    """The sessions whose journal is there: a folder comes first."""
    return [path for path in lab.sessions() if (path / "journal.jsonl").exists()]


def test_two_processes_on_one_session(lab: Lab, vendor: Start) -> None:
    vendor(Script({"answer": [{"text": "slow " * 40}], "delay": 5}))
    with lab.spawn("-p", "hello") as first:
        try:
            wait_for(lambda: any(one.kind == "request" for path in journals(lab) for one in lab.records(path)))
            ran = lab.run("-c", "-p", "me too")
            assert first.poll() is None, "the second did not wait for it"
        finally:
            first.kill()

    check(ran, 1, rf"in use by process {first.pid} on ")


NETWORK = {
    "a SOCKS proxy": ({"ALL_PROXY": "socks5://user:secret@127.0.0.1:1"}, r"ALL_PROXY names a SOCKS proxy"),
    "no proxy at all": ({"https_proxy": "ftp://127.0.0.1:1"}, r"https_proxy begins with `ftp://`"),
    "certificates that are not there": ({"SSL_CERT_FILE": "/no/such.pem"}, r"SSL_CERT_FILE names /no/such\.pem"),
}


@pytest.mark.parametrize("case", NETWORK)
def test_network_settings_that_cannot_be_used(lab: Lab, case: str) -> None:
    env, said = NETWORK[case]
    ran = lab.run("-p", "hello", "--no-session", env=env)

    check(ran, 2, said)
    assert "secret" not in ran.err


# ------------------------------------------------------------------------------------------------ what was typed


def schema(lab: Lab, text: str) -> str:
    path = lab.folder / "schema.json"
    path.write_text(text)
    return str(path)


USAGE: dict[str, tuple[Callable[[Lab], list[str]], str]] = {
    "nothing": (lambda _: [], r'harness -p "task".*harness demo'),
    "empty task": (lambda _: ["-p", ""], r"task is empty"),
    "blank task": (lambda _: ["-p", " \n\t"], r"task is empty"),
    "task without words": (lambda _: ["-p"], r"task is empty"),
    "unknown command": (lambda _: ["frobnicate"], r"no command `frobnicate`.*demo"),
    "a task as command": (lambda _: ["fix the bug"], r'harness -p "fix the bug'),
    "unknown flag": (lambda _: ["-p", "x", "--frob"], r"--frob.*harness --help"),
    "shortened flag": (lambda _: ["-p", "x", "--mod", "opus"], r"--mod"),
    "extra word": (lambda _: ["-p", "x", "y"], r"unrecognized arguments: y"),
    "no such folder": (lambda _: ["-p", "x", "--cwd", "/no/such"], r"--cwd /no/such: no such folder"),
    "folder is a file": (lambda lab: ["-p", "x", "--cwd", schema(lab, "{}")], r"--cwd .*: no such folder"),
    "folder name too long": (lambda _: ["-p", "x", "--cwd", "n" * 5000], r"--cwd n+.*: no such folder"),
    "no such added folder": (lambda _: ["-p", "x", "--add-dir", "/no/such"], r"--add-dir /no/such: no such"),
    "turns no number": (lambda _: ["-p", "x", "--max-turns", "many"], r"--max-turns.*whole number"),
    "turns zero": (lambda _: ["-p", "x", "--max-turns", "0"], r"--max-turns.*1 or more"),
    "cost no number": (lambda _: ["-p", "x", "--max-cost", "$5"], r"--max-cost.*number"),
    "cost zero": (lambda _: ["-p", "x", "--max-cost", "0"], r"--max-cost.*more than 0"),
    "cost endless": (lambda _: ["-p", "x", "--max-cost", "nan"], r"--max-cost.*more than 0"),
    "cost unknown": (lambda _: ["-p", "x", "--max-cost", "1", "--model", "claude-nope"], r"price.*--model"),
    "bad mode": (lambda _: ["-p", "x", "--permission-mode", "all"], r"--permission-mode.*plan"),
    "bad rule": (lambda _: ["-p", "x", "--allow", "shell(pytest"], r"shell\(pytest"),
    "rule for no tool": (lambda _: ["-p", "x", "--allow", "frob(*)"], r"frob"),
    "bad format": (lambda _: ["-p", "x", "--output-format", "xml"], r"--output-format.*stream-json"),
    "no provider": (lambda _: ["-p", "x", "--model", "acme/large"], r"acme"),
    "no schema file": (lambda _: ["-p", "x", "--json-schema", "/no/such"], r"--json-schema /no/such: No such file"),
    "schema no JSON": (lambda lab: ["-p", "x", "--json-schema", schema(lab, "{")], r"schema\.json: not JSON"),
    "schema no schema": (
        lambda lab: ["-p", "x", "--json-schema", schema(lab, '{"type": "frob"}')],
        r"schema\.json: not a JSON Schema",
    ),
    "schema is a list": (lambda lab: ["-p", "x", "--json-schema", schema(lab, "[]")], r"schema\.json: "),
    "schema is a folder": (lambda lab: ["-p", "x", "--json-schema", str(lab.folder)], r"--json-schema .*directory"),
    "schema is bytes": (lambda lab: ["-p", "x", "--json-schema", schema(lab, "\0")], r"schema\.json: not JSON"),
    "nothing to continue": (lambda _: ["-c", "-p", "x"], r"no session to continue.*without -c"),
    "unknown id": (lambda _: ["-r", "20200101-000000-aaaaaaaa", "-p", "x"], r"no session begins with `20200101"),
    "empty id": (lambda _: ["-r", "", "-p", "x"], r"no session|-r"),
    "both": (lambda _: ["-c", "-r", "x", "-p", "x"], r"-c and -r exclude"),
    "fork of nothing": (lambda _: ["--fork", "-p", "x"], r"--fork needs -c or -r"),
    "continue and forget": (lambda _: ["-c", "--no-session", "-p", "x"], r"--no-session"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(name: str, lab: Lab, vendor: Start) -> None:
    sim = vendor(Script())
    arguments, pattern = USAGE[name]

    check(lab.run(*arguments(lab)), 2, pattern)
    assert sim.requests == []
    assert lab.sessions() == []


def test_bad_line_in_the_settings(lab: Lab) -> None:
    path = lab.config('model = "sonnet"\n\ncolour = "red"\n')

    check(lab.run("-p", "hello"), 2, rf"{re.escape(str(path))}:3: unknown setting `colour`")


def test_bad_line_in_the_project_settings(lab: Lab) -> None:
    (lab.project / ".git").mkdir()
    (lab.project / ".harness").mkdir()
    (lab.project / ".harness" / "config.toml").write_text('[providers.anthropic]\nbase_url = "http://evil"\n')

    check(lab.run("-p", "hello"), 2, r"\.harness/config\.toml:2: a project file may not set")


KEYS = {
    "no file": ('api_key_file = "/no/such"', r"key file /no/such: No such file"),
    "open file": ('api_key_file = "open"', r"can be read by others; run: chmod 600"),
    "empty file": ('api_key_file = "empty"', r"is empty"),
    "command fails": ('api_key_command = "false"', r"`false` failed with exit code 1"),
    "no command": ('api_key_command = "/no/such"', r"`/no/such` cannot be run"),
    "silent command": ('api_key_command = "true"', r"`true` printed nothing"),
    "two words": ('api_key_command = "echo two words"', r"no API key.*blanks"),
}


@pytest.mark.parametrize("name", KEYS)
def test_key_from_elsewhere(name: str, lab: Lab) -> None:
    setting, pattern = KEYS[name]
    folder = lab.config(f"[providers.anthropic]\n{setting}\n").parent
    (folder / "open").write_text("sk-open")
    (folder / "open").chmod(0o644)
    (folder / "empty").touch(0o600)

    check(lab.run("-p", "hello", env={"ANTHROPIC_API_KEY": None}), 2, pattern)
    assert lab.sessions() == []


def test_a_session_whose_beginning_is_damaged(lab: Lab, vendor: Start) -> None:
    vendor(Script())
    assert lab.run("-p", "hello").code == 0
    (folder,) = lab.sessions()
    whole = (folder / "journal.jsonl").read_bytes().split(b"\n")
    for number in (0, 1):
        damaged = [line.replace(b'"at"', b'"AT"') if place == number else line for place, line in enumerate(whole)]
        (folder / "journal.jsonl").write_bytes(b"\n".join(damaged))
        check(lab.run("-p", "more", "-r", folder.name), 1, r"start a new one")


def test_control_characters_in_what_was_typed(lab: Lab) -> None:
    check(lab.run("\x1b[31mred\n"), 2, r"no command `\\x1b\[31mred")


def test_a_real_process_says_the_same(lab: Lab) -> None:
    check(lab.process("-p", "hello", env={"ANTHROPIC_API_KEY": None}), 2, r"`harness demo`")


def test_a_working_folder_that_is_gone(lab: Lab) -> None:
    gone = lab.folder / "gone"
    words = f'mkdir "{gone}" && cd "{gone}" && rmdir "{gone}" && exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", words, "sh", *lab.command("-p", "hello")],
        env=lab.environment() | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    check(Ran(done.returncode, done.stdout, done.stderr), 2, r"working folder.*--cwd")
