"""`harness skills` on real folders, archives and repositories, the hostile ones too."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.knowledge import skill_pins
from tests.e2e.lab import ROOT, Lab, Ran
from tests.waiting import PATIENCE

COLLECTION = ROOT / "tests" / "fixtures" / "skills"

Skills = Callable[..., Ran]


@pytest.fixture
def lab(tmp_path: Path, isolation: Path) -> Lab:
    made = Lab(tmp_path, isolation)
    made.project.mkdir()
    return made


@pytest.fixture
def skills(lab: Lab) -> Skills:
    return lambda *arguments: lab.run("skills", *map(str, arguments))


@pytest.fixture
def config(isolation: Path) -> Path:
    return isolation / ".config" / "harness"


def put(folder: Path, name: str = "deploy", front: str = "", body: str = "Ship it.") -> Path:
    path = folder / name / "SKILL.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: Ships it.\n{front}---\n{body}\n")
    return path.parent


def installed(config: Path) -> list[str]:
    """What is there, staging left behind and all."""
    return sorted(str(path.relative_to(config)) for path in config.rglob("*") if path.is_file() or path.is_symlink())


def refused(ran: Ran, config: Path, says: str) -> None:
    assert ran.code == 2, ran
    assert len(ran.lines) == 1
    assert says in ran.lines[0]
    assert installed(config) == []


# ------------------------------------------------------------------------------------------------ list, show


def test_listing_and_showing(lab: Lab, skills: Skills) -> None:
    put(lab.project / ".harness" / "skills", front="disable-model-invocation: true\n", body="Ship \u202eit.")
    put(lab.project / ".claude" / "skills", "broken").joinpath("SKILL.md").write_text("x")

    listed, shown = skills(), skills("show", "deploy")

    assert listed.code == 0
    assert re.search(r"^deploy +project +Ships it\. \(person only\)$", listed.out, re.MULTILINE)
    assert "review " in listed.out
    assert listed.err == (
        f"cannot be used: {lab.project}/.claude/skills/broken: "
        "SKILL.md:1: does not begin with front matter between two lines of `---`\n"
    )
    assert "called by: the person alone\n" in shown.out
    assert shown.out.endswith("Ship \\u202eit.\n")
    assert skills("show", "reveiw").err == "harness: no skill `reveiw`; there is: review\n"
    assert skills("frob").code == 2


# ------------------------------------------------------------------------------------------------ check


def test_every_fault_has_its_line(lab: Lab, skills: Skills) -> None:
    folder = put(lab.project, "deploy")
    (folder / "SKILL.md").write_text(
        "---\nname: deploy\ndescription: x\ncolour: red\ncontext: apart\nmetadata: [a]\nmodel: haiku\n"
        f"compatibility: {'y' * 501}\nallowed-tools: Read, Write\n---\n"
        "See [it](references/no.md) and [out](../up.md).\n"
        "Hidden: \u200b\U000e0041.\n"
    )

    ran = skills("check", "deploy")

    assert ran.code == 1
    assert ran.out.splitlines() == [
        "deploy/SKILL.md:4: warning: `colour` is not known here; facts of your own go under `metadata`",
        "deploy/SKILL.md:5: error: `context` is 'apart'; write fork or fresh",
        "deploy/SKILL.md:6: error: `metadata` is not a table of texts",
        "deploy/SKILL.md:7: warning: `model` counts only with `context: fresh`",
        "deploy/SKILL.md:8: error: `compatibility` has 501 characters; at most 500",
        "deploy/SKILL.md:9: warning: `allowed-tools`: the specification has one text, separated by spaces",
        "deploy/SKILL.md:11: warning: the link `references/no.md` leads to no file of the skill",
        "deploy/SKILL.md:11: warning: the link `../up.md` leads out of the skill",
        "deploy/SKILL.md:12: warning: characters that cannot be seen: U+200B, U+E0041; the model gets them written out",
        "1 skill, 3 errors, 6 warnings",
    ]


def test_checking_collections_and_nothing(lab: Lab, skills: Skills) -> None:
    assert skills("check", COLLECTION).code == 0
    assert skills("check", ROOT / "skills").out.endswith(" 0 errors, 0 warnings\n")
    assert skills("check").out == "0 skills, 0 errors, 0 warnings\n"
    put(lab.project / ".harness" / "skills", "deploy").joinpath("SKILL.md").write_text("---\nname: x\n---\n")
    ran = skills("check")
    assert ran.code == 1
    assert ran.out.startswith(".harness/skills/deploy/SKILL.md:1: error: front matter has no `description`\n")
    assert skills("check", "nowhere").code == 2
    assert skills("check", lab.project / ".harness").code == 2


def test_what_is_no_ordinary_file_is_a_fault(lab: Lab, skills: Skills) -> None:
    folder = put(lab.project)
    os.mkfifo(folder / "pipe")
    assert "SKILL.md:1: error: in its folder: pipe: not a regular file" in skills("check", "deploy").out
    (folder / "pipe").unlink()
    (folder / "link").symlink_to("/etc/passwd")
    assert "error: in its folder: link: a link; a skill is made of ordinary files" in skills("check", "deploy").out


# ------------------------------------------------------------------------------------------------ add


def test_a_folder_is_shown_added_and_pinned(lab: Lab, skills: Skills, config: Path) -> None:
    folder = put(lab.folder, front="license: MIT\nallowed-tools: read\n", body="Ship \u202eit.")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "run.sh").write_text("true # \u200b\n")
    (folder / "scripts" / "run.sh").chmod(0o777)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")

    ran = skills("add", "../deploy", "--yes")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "skill deploy, from ../deploy",
        "  Ships it.",
        "  license: MIT",
        "  written for the tools: read",
        f"  files: 2, {(folder / 'SKILL.md').stat().st_size + 11} bytes in all",
        f"    SKILL.md: {(folder / 'SKILL.md').stat().st_size} bytes",
        "    scripts/run.sh: 11 bytes, a program",
        "  ! SKILL.md:7: characters that cannot be seen: U+202E; the model gets them written out",
        "  ! scripts/run.sh:1: characters that cannot be seen: U+200B",
        "added deploy; call it by /deploy",
    ]
    assert installed(config) == ["skills.lock", "skills/deploy/SKILL.md", "skills/deploy/scripts/run.sh"]
    assert (config / "skills/deploy/scripts/run.sh").stat().st_mode & 0o022 == 0
    pin = skill_pins.pins(config)["deploy"]
    assert (pin.source, sorted(pin.files)) == (str(folder), ["SKILL.md", "scripts/run.sh"])
    assert "place: user: " in skills("show", "deploy").out


def test_taken_names_are_refused_and_replaced_when_asked(lab: Lab, skills: Skills, config: Path) -> None:
    folder = put(lab.folder)
    assert skills("add", folder, "--yes").code == 0
    put(lab.folder, body="Ship it better.")

    assert "you have a skill `deploy`; --replace" in skills("add", folder, "--yes").err
    replaced = skills("add", folder, "--replace", "--yes")

    assert replaced.code == 0
    assert f"  IN PLACE OF {config}/skills/deploy" in replaced.out
    assert "Ship it better." in (config / "skills/deploy/SKILL.md").read_text()
    assert installed(config) == ["skills.lock", "skills/deploy/SKILL.md"]
    assert skill_pins.changes(config, "deploy", skill_pins.pins(config)["deploy"].files["SKILL.md"]) == ()


def test_without_a_person_or_a_yes_nothing_is_added(lab: Lab, skills: Skills, config: Path) -> None:
    refused(skills("add", put(lab.folder)), config, "there is no terminal to ask on; look at it, then add --yes")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1), ("yes", 0), ("maybe", 1)])
def test_a_person_is_asked(lab: Lab, config: Path, answer: str, code: int) -> None:
    put(lab.folder)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "harness", "skills", "add", "../deploy"]
    environment = lab.environment() | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=lab.project, env=environment, stdin=theirs, stdout=subprocess.PIPE)
    os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == code
    assert f"Add deploy to {config}/skills? [y/N] ".encode() in out
    assert installed(config) == ([] if code else ["skills.lock", "skills/deploy/SKILL.md"])


def malformed(folder: Path) -> None:
    (put(folder) / "SKILL.md").write_text("---\nname: ../../deploy\ndescription: x\n---\n")


def linked(folder: Path) -> None:
    (put(folder) / "keys").symlink_to("/etc/passwd")


def linked_folder(folder: Path) -> None:
    (put(folder) / "keys").symlink_to("/etc")


def linked_skill(folder: Path) -> None:
    put(folder, "other")
    (folder / "deploy").mkdir()
    (folder / "deploy" / "SKILL.md").symlink_to("../other/SKILL.md")


def piped(folder: Path) -> None:
    os.mkfifo(put(folder) / "pipe")


def crowded(folder: Path) -> None:
    for number in range(501):
        (put(folder) / f"{number}").write_text("")


def heavy(folder: Path) -> None:
    with (put(folder) / "big").open("wb") as file:
        file.truncate(6 * 2**20)


def huge(folder: Path) -> None:
    put(folder, body="x" * 10_000_000)


def deep(folder: Path) -> None:
    (put(folder) / "/".join("abcdefghij")).mkdir(parents=True)


HOSTILE = {
    malformed: "`name` is '../../deploy'",
    linked: "keys: a link; a skill is made of ordinary files",
    linked_folder: "keys: a link",
    linked_skill: "SKILL.md: a link",
    piped: "pipe: not a regular file",
    crowded: "more than 500 files",
    heavy: "big: larger than 5 MB",
    huge: "SKILL.md: larger than 5 MB",
    deep: "folders are more than 8 deep",
}


@pytest.mark.parametrize(("make", "says"), HOSTILE.items(), ids=[make.__name__ for make in HOSTILE])
def test_a_hostile_folder_is_refused_in_one_line(
    lab: Lab, skills: Skills, config: Path, make: Callable[[Path], None], says: str
) -> None:
    make(lab.folder / "given")

    refused(skills("add", "../given/deploy", "--yes"), config, says)


# ------------------------------------------------------------------------------------------------ zip


def archive(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


SOUND = ("deploy/SKILL.md", b"---\nname: deploy\ndescription: Ships it.\n---\nShip it.\n")


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry


def test_an_archive_is_added(lab: Lab, skills: Skills, config: Path) -> None:
    program = zipfile.ZipInfo("deploy/run.sh")
    program.external_attr = 0o100755 << 16
    path = archive(lab.folder / "all.zip", SOUND, (program, b"true\n"), ("other/SKILL.md", b"x"), ("README.md", b"x"))

    assert "there are 2 skills: deploy, other; choose with --skill NAME" in skills("add", path, "--yes").err
    assert "no skill 'odd' there; there is: deploy, other" in skills("add", path, "--skill", "odd", "--yes").err
    assert skills("add", path, "--skill", "deploy", "--yes").code == 0
    assert installed(config) == ["skills.lock", "skills/deploy/SKILL.md", "skills/deploy/run.sh"]
    assert os.access(config / "skills/deploy/run.sh", os.X_OK)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (("../out.txt", b"x"), "the entry ../out.txt leads out of the archive"),
        (("/etc/out.txt", b"x"), "leads out of the archive"),
        (("deploy/../../out.txt", b"x"), "leads out of the archive"),
        (("deploy\\..\\out.txt", b"x"), "leads out of the archive"),
        (("C:/out.txt", b"x"), "leads out of the archive"),
        ((link("deploy/link"), b"/etc/passwd"), "the entry deploy/link is a link or a device"),
        (("deploy/skill.MD", b"x"), "stands twice"),
        (("/".join("a" * 40), b"x"), "is too deep"),
        (("deploy/\u202egpj.sh/../..", b"x"), "the entry deploy/\\u202egpj.sh"),
        (("bomb", b"\0" * (101 * 2**20)), "more than 100 MB unpacked"),
    ],
)
def test_a_hostile_archive_leaves_nothing(
    lab: Lab, skills: Skills, config: Path, entry: tuple[str | zipfile.ZipInfo, bytes], says: str
) -> None:
    refused(skills("add", archive(lab.folder / "bad.zip", SOUND, entry), "--yes"), config, says)
    assert not list(lab.folder.rglob("out.txt"))


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "flipped"])
def test_a_damaged_archive(lab: Lab, skills: Skills, config: Path, damage: str) -> None:
    path = archive(lab.folder / "bad.zip", SOUND)
    whole = path.read_bytes()
    damaged = {
        "text": b"not a zip",
        "cut": whole[:-30],
        "empty": b"",
        "flipped": whole[:50] + bytes(255 - byte for byte in whole[50:60]) + whole[60:],
    }
    path.write_bytes(damaged[damage])

    refused(skills("add", path, "--yes"), config, "not a usable .zip file")


# ------------------------------------------------------------------------------------------------ git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    put(folder / "skills")
    (folder / ".gitattributes").write_text("* filter=evil\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "v1")
    put(folder / "skills", body="Ship it later.")
    git(folder, "commit", "-qam", "two")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_a_repository_is_added_at_its_head_or_at_a_tag(
    skills: Skills, repository: Path, config: Path, tmp_path: Path
) -> None:
    # a hook of the person's own template would be run by a plain clone
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (hooks / "post-checkout").chmod(0o755)
    url = f"file://{repository}"

    assert skills("add", url, "--yes").code == 0
    assert "Ship it later." in (config / "skills/deploy/SKILL.md").read_text()
    assert skills("add", url, "--ref", "v1", "--replace", "--yes").code == 0
    assert "Ship it.\n" in (config / "skills/deploy/SKILL.md").read_text()
    assert installed(config) == ["skills.lock", "skills/deploy/SKILL.md"]
    assert skill_pins.pins(config)["deploy"].source == url
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize("kind", ["template", "core.hooksPath"])
def test_no_hook_of_the_persons_own_settings_is_run(
    lab: Lab, skills: Skills, repository: Path, config: Path, tmp_path: Path, kind: str
) -> None:
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (hooks / "post-checkout").chmod(0o755)
    setting = f"[init]\ntemplateDir = {hooks.parent}\n" if kind == "template" else f"[core]\nhooksPath = {hooks}\n"
    (lab.home / ".gitconfig").write_text(setting)
    lab.extra = {"GIT_CONFIG_NOSYSTEM": "1"}
    plain = {"PATH": os.environ["PATH"], "HOME": str(lab.home)}
    command = ["git", "clone", "-q", f"file://{repository}", str(tmp_path / "plain")]
    subprocess.run(command, env=plain, check=True)
    assert (tmp_path / "hooked").exists()  # it would have been
    (tmp_path / "hooked").unlink()

    assert skills("add", f"file://{repository}", "--yes").code == 0

    assert installed(config) == ["skills.lock", "skills/deploy/SKILL.md"]
    assert not (tmp_path / "hooked").exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% pwned",
        "http://127.0.0.1:9/x.git",
        "git://127.0.0.1:9/x.git",
        "ftp://127.0.0.1/x",
        "fd::17",
        "file:///nowhere/x.git",
        "ssh://-oProxyCommand=touch%20pwned/x",
        "https://127.0.0.1:9/x.git",
        "-oProxyCommand=touch pwned@host:x",
    ],
)
def test_other_urls_run_nothing(lab: Lab, skills: Skills, config: Path, url: str) -> None:
    ran = skills("add", "--yes", "--", url)

    refused(ran, config, "")
    assert not list(lab.folder.rglob("pwned"))


def test_a_ref_is_no_flag(skills: Skills, repository: Path, config: Path) -> None:
    refused(skills("add", f"file://{repository}", "--ref=--upload-pack=x", "--yes"), config, "no such branch or tag")
    refused(skills("add", f"file://{repository}", "--ref", "v9", "--yes"), config, "git: ")


# ------------------------------------------------------------------------------------------------ accept, remove


def test_accepting_and_removing(lab: Lab, skills: Skills, config: Path) -> None:
    skills("add", put(lab.folder), "--yes")
    assert skills("accept", "deploy").out == "skill deploy is as it was added\n"
    (config / "skills" / "deploy" / "new.sh").write_text("true\n")

    assert "not as it was added: new: new.sh" in skills("show", "deploy").out
    assert skills("accept", "deploy").code == 2  # nobody is there to be asked
    accepted = skills("accept", "deploy", "--yes")
    assert (accepted.code, accepted.out.splitlines()[0]) == (0, "new: new.sh")
    assert "not as it was added" not in skills("show", "deploy").out
    assert skills("remove", "deploy").code == 2
    assert skills("remove", "deploy", "--yes").code == 0
    assert installed(config) == ["skills.lock"]
    assert skill_pins.pins(config) == {}


@pytest.mark.parametrize("name", ["review", "..", "../..", "/", "deploy/..", ""])
def test_only_the_persons_own_are_removed(skills: Skills, config: Path, name: str) -> None:
    put(config / "skills", "mine")

    ran = skills("remove", "--yes", "--", name)

    assert ran.code == 2
    assert "only those there are yours to change" in ran.err
    assert installed(config) == ["skills/mine/SKILL.md"]


def test_a_link_is_removed_and_not_what_it_leads_to(lab: Lab, skills: Skills, config: Path) -> None:
    outside = put(lab.folder)
    (config / "skills").mkdir(parents=True)
    (config / "skills" / "deploy").symlink_to(outside)

    assert skills("remove", "deploy", "--yes").code == 0
    assert (outside / "SKILL.md").exists()
    assert not os.path.lexists(config / "skills" / "deploy")


def test_damaged_pins_are_said_and_kept(lab: Lab, skills: Skills, config: Path) -> None:
    skills("add", put(lab.folder), "--yes")
    (config / "skills.lock").write_text("{")

    ran = skills("add", put(lab.folder, "second"), "--yes")

    assert ran.code == 2
    assert "skills.lock is damaged: remove it" in ran.err
    assert (config / "skills.lock").read_text() == "{"
    assert not (config / "skills" / "second").exists()
