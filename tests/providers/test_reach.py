"""Whether an API answers: what becomes of failures. The answers themselves are in tests/commands/test_doctor.py."""

from __future__ import annotations

import socket
import threading

from harness.providers.reach import reach, shown


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert reach(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2).kind == "timeout"


def test_a_server_that_says_nonsense() -> None:
    def talk() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"220 mail.example ESMTP\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk)
        thread.start()
        assert reach(f"http://127.0.0.1:{listener.getsockname()[1]}").kind == "failed"
        thread.join()


def test_addresses_that_are_none() -> None:
    for address in ("", "http://", "ftp://host", "http://[", "http://host:port"):
        assert reach(address).kind in ("address", "dns", "failed"), address


def test_addresses_as_they_are_shown() -> None:
    assert shown("https://me:pw@[::1]:8080/v1?key=secret#x") == "https://[::1]:8080/v1"
    assert shown("host:80") == "http://host:80"
    assert shown("http://[") == ""
