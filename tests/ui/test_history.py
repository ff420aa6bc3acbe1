from __future__ import annotations

from pathlib import Path

from harness.ui.history import InputHistory


def test_newest_first_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "state" / "input.jsonl"
    history = InputHistory(path)
    for text in ("one", "two\nlines", "odd \udc9b\u2028"):
        history.store_string(text)

    assert list(InputHistory(path).load_history_strings()) == ["odd \udc9b\u2028", "two\nlines", "one"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_damaged_line_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "input.jsonl"
    path.write_bytes(b'"one"\n{"x": 1}\n\xff\xfe\n"tw\n"three"\n')
    path.chmod(0o644)

    assert list(InputHistory(path).load_history_strings()) == ["three", "one"]
    InputHistory(path).store_string("four")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_kept_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = InputHistory(tmp_path / "file" / "input.jsonl")

    history.store_string("one")

    assert list(history.load_history_strings()) == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "input.jsonl").symlink_to(tmp_path / "elsewhere")

    InputHistory(tmp_path / "input.jsonl").store_string("one")

    assert not (tmp_path / "elsewhere").exists()
