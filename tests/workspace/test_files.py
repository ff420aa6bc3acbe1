"""Files: only regular ones, replaced whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.workspace import files
from tests.waiting import PATIENCE


def test_other_types_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")  # a whole path may be longer than an address
        for path, told in (
            (tmp_path / "fifo", "FIFO"),
            (tmp_path / "s", "socket"),
            (Path("/dev/zero"), "character device"),
            (Path("/dev/stdin"), "is "),
            (tmp_path, "directory"),
        ):
            with pytest.raises(files.NotRegular, match=told), files.opened(path):
                pass
            if path != Path("/dev/stdin"):
                with pytest.raises(OSError, match=r"is a"):
                    files.replace(path, b"x")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no procfs on this system")
@pytest.mark.parametrize("name", ["self/environ", "self/mem", "kmsg", "self/root/proc/self/environ"])
def test_kernel_files_are_refused(name: str, tmp_path: Path) -> None:
    link = tmp_path / "innocent.txt"
    link.symlink_to(f"/proc/{name}")
    with pytest.raises(OSError, match=r"kernel|[Pp]erm|is a|No such"), files.opened(link):
        pass


def test_replace_keeps_what_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_bytes(b"old")
    path.chmod(0o754)
    inode = path.stat().st_ino
    files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o754
    assert path.stat().st_ino != inode
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.sh"]


def test_hard_links_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old and long")
    os.link(tmp_path / "a", tmp_path / "b")
    files.replace(tmp_path / "a", b"new")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_owner_and_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    has = hasattr(os, "setxattr")
    try:
        os.setxattr(path, "user.note", b"x")
    except (OSError, AttributeError):
        has = False
    owner = path.stat().st_uid
    files.replace(path, b"new")
    assert path.stat().st_uid == owner
    assert not has or os.getxattr(path, "user.note") == b"x"


def test_a_new_file_honours_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.replace(tmp_path / "deep" / "er" / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "er" / "a").stat().st_mode) == 0o640


def test_symlinks_on_the_way_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "leaf").symlink_to("/etc/passwd")
    for path in (tmp_path / "link" / "x", tmp_path / "real" / "leaf"):
        with pytest.raises(OSError, match=r"symbolic|Not a directory"):
            files.replace(path, b"x")
    assert not (tmp_path / "real" / "x").exists()


CHILD = """
import sys, resource, signal
from pathlib import Path
from harness.workspace import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for name in sys.argv[1:]:
    try:
        files.replace(Path(name), b"n" * 200_000)
    except OSError as error:
        print(files.reason(error))
"""


def test_no_room_loses_nothing(tmp_path: Path) -> None:
    for name in ("plain", "linked"):
        (tmp_path / name).write_bytes(b"old" * 1000)
    os.link(tmp_path / "linked", tmp_path / "twin")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *(str(tmp_path / name) for name in ("plain", "linked", "new"))],
        capture_output=True, text=True, check=True, timeout=PATIENCE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "File too large\n" * 3
    for name in ("plain", "linked", "twin"):
        assert (tmp_path / name).read_bytes() == b"old" * 1000
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["linked", "plain", "twin"]


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from harness.workspace import files
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
for name in sys.argv[1:]:
    try:
        files.replace(Path(name), b"new")
        print("written")
    except OSError as error:
        print(files.reason(error))
"""


def test_rights(tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    shut, half = tmp_path / "shut", tmp_path / "half"
    for folder in (shut, half):
        folder.mkdir()
        (folder / "a").write_bytes(b"old")
    (shut / "a").chmod(0o444)
    (half / "a").chmod(0o666)
    for folder in (shut, half):
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(shut / "a"), str(shut / "new"), str(half / "a")],
            capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        if "ModuleNotFoundError" in done.stderr or "Permission denied" in done.stderr:
            pytest.skip("another user cannot read this checkout")
        # A file that may be written in a folder that may not is written in place.
        assert done.stdout.split("\n") == ["Permission denied", "Permission denied", "written", ""], done.stderr
        assert (shut / "a").read_bytes() == b"old"
        assert (half / "a").read_bytes() == b"new"
    finally:
        for folder in (shut, half):
            folder.chmod(0o755)


def test_identity(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    with files.opened(path) as file:
        assert files.identity(file) == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    os.truncate(path, files.HASHED + 1)
    with files.opened(path) as file:
        assert files.identity(file).startswith(f"stat:{files.HASHED + 1}:")


def test_store(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    path = files.store(folder, b"abc")
    assert path == files.store(folder, b"abc")
    assert path.name == "ba7816bf8f01cfea.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_the_limit_signal_is_what_the_test_thinks() -> None:
    assert signal.SIGXFSZ
    assert resource.RLIMIT_FSIZE >= 0
