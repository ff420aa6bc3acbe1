"""`harness doctor`: what it says of a machine, of settings and keys, and of the way to the vendors."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.commands import doctor_machine as machine
from harness.commands.doctor_findings import Finding
from harness.seam import Seam
from tests.e2e.lab import KEY, Lab, Ran


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    made.project.mkdir()
    return made


def doctor(lab: Lab, *more: str, **env: str | None) -> Ran:
    ran = lab.run("doctor", *more, env=env)
    assert ran.err == ""
    assert KEY not in ran.out
    return ran


def lines(ran: Ran) -> dict[str, str]:
    """What each thing that was looked at is marked with and said to be."""
    return {line[2:].partition(": ")[0]: line[0] + " " + line.partition(": ")[2] for line in ran.out.splitlines()}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, dict[str, str]]]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us hangs up."""


@contextlib.contextmanager
def server(
    status: int = 200, kind: str = "application/json", body: bytes = b"{}", context: ssl.SSLContext | None = None,
    reason: str | None = None,
    **headers: str,
) -> Iterator[_Quiet]:  # fmt: skip
    """Answers every GET alike, and keeps what was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(status, reason)
            self.send_header("content-type", kind)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_CONNECT = do_GET  # noqa: N815 - the base class looks for this name

        def log_message(self, *_args: object) -> None:
            """Silent."""

    made = _Quiet(("127.0.0.1", 0), Handler)
    made.seen = []
    if context is not None:
        made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def address(made: _Quiet, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{made.server_address[1]}"


# ------------------------------------------------------------------------------------------------------- the whole


def test_all_is_well(lab: Lab) -> None:
    with server(401, body=b'{"type":"error"}') as vendor:
        lab.url = address(vendor)
        ran = doctor(lab)

    assert ran.code == 0, ran.out
    said = lines(ran)
    assert said["anthropic key"] == "✓ there"
    assert said["anthropic endpoint"] == f"✓ {lab.url} answers (401 without a key)"
    assert said["settings"] == "✓ environment"
    assert said["model"] == "✓ anthropic/claude-sonnet-5-5"
    assert said["proxies"] == "✓ none"
    assert said["ripgrep"].startswith("✓ ripgrep ")
    assert said["git"].startswith("✓ 2.")
    assert said["terminal"].startswith("· none here → ")
    assert re.match(r"✓ .*writable, fsync and locks work, [\d,]+ MB free", said["state folder"])
    assert said["sessions"] == "✓ 0 kept, none in use"
    ((path, headers),) = vendor.seen
    assert path == "/v1/models"
    assert not {"authorization", "x-api-key", "cookie"} & headers.keys()


def test_as_json(lab: Lab) -> None:
    ran = doctor(lab, "--json", "--offline")

    found = json.loads(ran.out)
    assert (found["format"], found["ok"], found["probe"]) == (1, True, None)
    assert {"status": "ok", "what": "anthropic key", "text": "there", "todo": ""} in found["findings"]
    assert not any(one["what"].endswith("endpoint") for one in found["findings"])


@pytest.mark.parametrize("arguments", [["--yes"], ["--requests", "3"], ["--probes"], ["--probe", "--requests", "9"]])
def test_what_was_typed_wrong(arguments: list[str], lab: Lab) -> None:
    ran = lab.run("doctor", *arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_a_terminal_that_has_no_such_signs() -> None:
    finding = Finding("bad", "thing", "broken\x1b[31m", "mend it")

    assert finding.line("utf-8") == "✗ thing: broken\\x1b[31m → mend it"
    assert finding.line("ascii") == "x thing: broken\\x1b[31m -> mend it"


# -------------------------------------------------------------------------------------------------- settings, keys


def test_a_wrong_setting_is_named_with_its_line(lab: Lab) -> None:
    path = lab.config('\n[cache]\nttl = "7m"\n')
    (path.parent / "catalog.toml").write_text("\n\n[profile.x]\n")

    ran = doctor(lab, "--offline")

    assert ran.code == 1
    assert lines(ran)["settings"].startswith(f"✗ {path}:3: `cache.ttl` must be one of 5m, 1h")
    assert ":3: unknown setting `profile`" in lines(ran)["catalog"]


def test_a_model_that_is_none(lab: Lab) -> None:
    ran = doctor(lab, "--offline", "--model", "nobody/x")

    assert ran.code == 1
    assert lines(ran)["model"].startswith("✗ unknown provider `nobody`")


def test_a_missing_key_is_bad_where_the_model_needs_it(lab: Lab) -> None:
    ran = doctor(lab, "--offline", ANTHROPIC_API_KEY=None, OPENROUTER_API_KEY="sk-or-1")

    assert ran.code == 1
    said = lines(ran)
    assert said["anthropic key"].startswith("✗ not there → set ANTHROPIC_API_KEY")
    assert said["openai-chat/openrouter key"] == "✓ there"
    assert "openai key" not in said
    assert "sk-or-1" not in ran.out


def test_a_token_is_a_key_too(lab: Lab) -> None:
    said = lines(doctor(lab, "--offline", ANTHROPIC_API_KEY=None, ANTHROPIC_AUTH_TOKEN="token"))

    assert said["anthropic key"] == "✓ there"


def test_a_server_that_needs_no_key(lab: Lab) -> None:
    ran = doctor(lab, "--offline", "--model", "openai-chat/ollama/qwen", ANTHROPIC_API_KEY=None)

    assert ran.code == 0, ran.out
    assert lines(ran)["openai-chat/ollama key"] == "✓ none, and this server needs none"


def test_a_key_that_cannot_be_had_is_bad_wherever_it_is_set(lab: Lab) -> None:
    lab.config('[providers.openai]\napi_key_command = "false"\n')

    ran = doctor(lab, "--offline")

    assert ran.code == 1
    assert lines(ran)["openai key"].startswith("✗ the key command `false` failed with exit code 1")


# ----------------------------------------------------------------------------------------------------- the way there


def test_pages_instead_of_an_api(lab: Lab) -> None:
    for status, kind, body in (
        (200, "text/html; charset=utf-8", b"<p>hello"),
        (502, "text/plain", b"\n <!DOCTYPE html><title>Bad gateway</title>"),
    ):
        with server(status, kind, body) as proxy:
            lab.url = address(proxy)
            ran = doctor(lab)
        assert ran.code == 1
        assert f"answers with an HTML page ({status}), not as an API" in lines(ran)["anthropic endpoint"]


def test_a_gate_that_sends_elsewhere(lab: Lab) -> None:
    with server(302, location="https://me:secret@login.example/hotel?token=secret") as gate:
        lab.url = address(gate)
        ran = doctor(lab)

    assert ran.code == 1
    assert "sends requests on to https://login.example/hotel →" in ran.out
    assert "secret" not in ran.out


def test_nobody_listens(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        lab.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ran = doctor(lab)

    assert ran.code == 1
    assert "the connection was refused → is the server running? check ANTHROPIC_BASE_URL" in ran.out


def test_a_name_that_nobody_knows(lab: Lab) -> None:
    lab.url = "http://nobody.invalid"

    assert "its host name was not found (DNS) → check the network" in doctor(lab).out


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl to make a certificate with")
    key, own = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*words, "-keyout", key, "-out", own, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    return context, own


def test_a_certificate_that_nobody_trusts_until_it_is_named(
    lab: Lab, certificate: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, own = certificate
    with server(401, context=context) as vendor:
        lab.url = address(vendor, "https")
        ran = doctor(lab)
        assert ran.code == 1
        assert "the TLS certificate or connection is not accepted (self" in ran.out
        assert "set SSL_CERT_FILE to your CA bundle" in ran.out

        # the SDKs read the process's own environment
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        ran = doctor(lab, SSL_CERT_FILE=str(own))
        assert ran.code == 0, ran.out
        assert lines(ran)["SSL_CERT_FILE"] == f"✓ {own}"


def test_tls_to_a_server_that_has_none(lab: Lab) -> None:
    with server() as vendor:
        lab.url = address(vendor, "https")
        assert "the TLS certificate or connection is not accepted" in doctor(lab).out


def test_certificates_that_are_none(lab: Lab) -> None:
    (lab.folder / "empty.pem").write_text("no certificate")

    for env, said in (
        ({"SSL_CERT_FILE": "/no/such.pem"}, "✗ /no/such.pem: No such file"),
        ({"SSL_CERT_FILE": str(lab.folder / "empty.pem")}, f"✗ {lab.folder}/empty.pem: holds no certificate"),
        ({"SSL_CERT_DIR": "/no/such"}, "✗ /no/such: there is no such folder"),
        ({"REQUESTS_CA_BUNDLE": "/ca.pem"}, "· is set, and not read here → set SSL_CERT_FILE=/ca.pem as well"),
    ):
        ran = doctor(lab, "--offline", **env)
        assert lines(ran)[next(iter(env))].startswith(said), ran.out
        assert ran.code == int(said[0] == "✗")


def test_proxies_without_their_credentials(lab: Lab) -> None:
    proxies = {"HTTPS_PROXY": "http://me:hunter2@proxy.example:3128", "no_proxy": "localhost"}

    ran = doctor(lab, "--offline", **proxies)

    assert lines(ran)["HTTPS_PROXY"] == "✓ requests go through http://proxy.example:3128"
    assert lines(ran)["NO_PROXY"] == "✓ directly: localhost"
    assert "hunter2" not in ran.out
    assert "me:" not in ran.out


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("me:hunter2@proxy.example:3128", "✓ requests go through http://proxy.example:3128"),
        ("http://me:hunter2@proxy.example:port", "✗ is no address"),
        ("socks5://me:hunter2@proxy.example:1080", "✗ socks5://proxy.example:1080: socks5 is not supported"),
    ],
)
def test_odd_proxies(value: str, said: str, lab: Lab) -> None:
    ran = doctor(lab, "--offline", all_proxy=value)

    assert lines(ran)["all_proxy"].startswith(said)
    assert "hunter2" not in ran.out


def test_a_proxy_that_wants_a_password(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(407, "text/html", b"<html>") as proxy:
        for url in ("http://vendor.invalid", "https://vendor.invalid"):
            monkeypatch.setenv("http_proxy", address(proxy))
            monkeypatch.setenv("https_proxy", address(proxy))
            lab.url = url
            ran = doctor(lab)
            assert ran.code == 1
            assert f"{url}: the proxy: it " in lines(ran)["anthropic endpoint"]
            assert "407" in lines(ran)["anthropic endpoint"]


def test_a_proxy_that_quotes_its_password_is_not_quoted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(403, reason="me:hunter213 may not") as proxy:
        monkeypatch.setenv("https_proxy", address(proxy).replace("://", "://me:hunter213@"))
        lab.url = "https://vendor.invalid"
        ran = doctor(lab)

    assert "the proxy: it refused: 403 Forbidden" in lines(ran)["anthropic endpoint"]
    assert "hunter213" not in ran.out


def test_proxies_of_which_nothing_can_be_made(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    assert "SOCKS is not supported" in doctor(lab).out
    monkeypatch.setenv("all_proxy", "ftp://127.0.0.1:1")
    assert "the address, or the proxy's, is malformed" in doctor(lab).out


def test_a_server_without_an_address(lab: Lab) -> None:
    ran = doctor(lab, "--model", "openai-chat/some-model", ANTHROPIC_API_KEY=None)

    assert ran.code == 1
    assert lines(ran)["openai-chat/generic endpoint"] == "✗ no address is set → set OPENAI_BASE_URL"


# ----------------------------------------------------------------------------------------------------- the machine


def test_a_state_folder_that_cannot_be_written(lab: Lab) -> None:
    (lab.folder / "file").write_text("")

    ran = doctor(lab, "--offline", XDG_STATE_HOME=str(lab.folder / "file"))

    assert ran.code == 1
    assert "cannot be written: Not a directory → set XDG_STATE_HOME to" in lines(ran)["state folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_without_the_right_to_write(lab: Lab) -> None:
    (lab.folder / "closed").mkdir(mode=0o500)

    assert doctor(lab, "--offline", XDG_STATE_HOME=str(lab.folder / "closed")).code == 1


def test_looking_leaves_nothing_in_the_state_folder(lab: Lab) -> None:
    doctor(lab, "--offline")

    assert list((lab.state / "harness").iterdir()) == []


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /mnt/my\\040home nfs4 rw 0 0
tmpfs /mnt/my\\040home/scratch tmpfs rw 0 0
C:\\134 /mnt/c 9p rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/mnt/my home/state", "nfs4"),
        ("/mnt/my home/scratch/state", "tmpfs"),
        ("/mnt/my homestead", "ext4"),
        ("/mnt/c/Users", "9p"),
    ],
)
def test_the_file_system_of_a_folder(folder: str, kind: str) -> None:
    assert machine.file_system(Path(folder), MOUNTS) == kind


def test_a_state_folder_on_a_network(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    (finding,) = machine.state(tmp_path / "state", mounts)

    assert finding.status == "note"
    assert "is on a network (nfs4)" in finding.text


def test_a_full_state_folder(tmp_path: Path) -> None:
    (finding,) = machine.state(tmp_path / "state", least=10**12)

    assert (finding.status, finding.todo) == ("bad", "free space, or set XDG_STATE_HOME to another disk")


HOLD = "import fcntl, sys, time; fcntl.flock(int(sys.argv[1]), 2); print('held', flush=True); time.sleep(3600)"


def test_sessions_and_who_holds_them(tmp_path: Path) -> None:
    sessions, seam = tmp_path / "sessions", Seam()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name, pid in (("ended", gone.pid), ("running", os.getpid()), ("stuck", gone.pid)):
        (sessions / name).mkdir(parents=True)
        (sessions / name / "lock").write_text(f"{pid} on {seam.host()}\n")
    (sessions / "elsewhere").mkdir()
    (sessions / "elsewhere" / "lock").write_text("1 on another-machine\n")
    assert machine.session_locks(sessions, seam) == Finding("ok", "sessions", "4 kept, none in use")

    with contextlib.ExitStack() as held:
        for name in ("running", "stuck"):
            file = held.enter_context((sessions / name / "lock").open("rb+"))
            words = [sys.executable, "-c", HOLD, str(file.fileno())]
            child = held.enter_context(subprocess.Popen(words, pass_fds=[file.fileno()], stdout=subprocess.PIPE))
            held.callback(child.kill)
            assert child.stdout
            child.stdout.readline()
            if name == "running":
                finding = machine.session_locks(sessions, seam)
                assert finding == Finding("ok", "sessions", "4 kept, in use: running")
        finding = machine.session_locks(sessions, seam)

    assert finding.status == "bad"
    assert finding.text == f"held, but the process that opened it is gone: stuck (process {gone.pid})"
    assert machine.session_locks(sessions, seam).status == "ok"


def test_settings_that_others_can_change(lab: Lab) -> None:
    path = lab.config('[providers.anthropic]\nheaders = { "x-team" = "secret" }\n')
    path.parent.chmod(0o755)
    path.chmod(0o644)
    ran = doctor(lab, "--offline")
    assert lines(ran)["settings folder"] == (
        f"· {path} sets headers, which may be secret, and others can read it → chmod 600 {path}"
    )
    assert ran.code == 0

    path.chmod(0o600)
    assert lines(doctor(lab, "--offline"))["settings folder"].startswith("✓ ")
    for changed in (path, path.parent):
        changed.chmod(stat.S_IMODE(changed.stat().st_mode) | 0o020)
        ran = doctor(lab, "--offline")
        assert ran.code == 1
        assert lines(ran)["settings folder"] == f"✗ {changed} can be changed by others → chmod go-w {changed}"
        changed.chmod(0o700)


def test_programs_that_are_missing_or_broken(lab: Lab, tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    for name in ("rg", "git"):
        (broken / name).write_text("#!/bin/sh\nexit 1\n")
        (broken / name).chmod(0o755)

    # our own, beside this Python, comes before any other
    assert lines(doctor(lab, "--offline", PATH=str(broken)))["git"].startswith("· not found, or it does not run")
    told = machine.ripgrep(str(broken / "rg")).line("utf-8")
    assert told == f"✗ ripgrep: {broken}/rg does not run → install ripgrep (rg) for this machine"
    assert machine.ripgrep(None).line("utf-8").startswith("✗ ripgrep: not found")


def test_no_home_at_all(lab: Lab) -> None:
    ran = lab.run("doctor", "--offline", env={"HOME": None, "XDG_CONFIG_HOME": None, "XDG_STATE_HOME": None})

    assert ran.code == 1
    assert "✗ state folder: neither XDG_STATE_HOME nor HOME is set; set HOME" in ran.out
