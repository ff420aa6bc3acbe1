"""The rules: the attack table, and every refusal names a way on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.config_values import Mode
from harness.errors import UsageError
from harness.workspace.paths import Workspace
from harness.workspace.permissions import (
    Allowed,
    Decision,
    Refused,
    Subject,
    decide,
    parse_rule,
    parse_rules,
    path_subject,
)


def shell(command: str, *rules: str, mode: Mode = "edit") -> Decision:
    return decide(mode, parse_rules(rules), Subject("shell", command=command), Workspace(Path("/w")))


ADMITTED = [
    ("pytest", "shell(pytest *)"),
    ("pytest -q tests", "shell(pytest *)"),
    ("pytest", "shell(pytest)"),
    ("npm test", "shell(npm test)"),
    ("npm run build:all", "shell(npm run build:*)"),
    ("git switch -c new", "shell(git *)"),
    ("git commit -m 'a; b | c'", "shell(git commit *)"),
    ("git --no-pager log --oneline", "shell(git *)"),
    ("git push -u origin main", "shell(git push *)"),
    ("find . -name x -exec rm '{}' +", "shell(find . -name * -exec rm *)"),
    ("git -c core.pager=cat log", "shell(git -c core.pager=cat *)"),
    ("git diff --output=x", "shell(git diff --output=x)"),
    ("bash run.sh", "shell(bash run.sh)"),
    ("xargs --version", "shell(xargs *)"),
    ("sed -n 1,5p f", "shell(sed *)"),
    ("sed 's/a/b/g' f", "shell(sed *)"),
    ("sed 's/[a-z]*/x/' f", "shell(sed *)"),
    ("sed -e 's|a|b|' -e '/x/d' f", "shell(sed *)"),
    ("sed -i s/a/b/ f", "shell(sed -i *)"),
    ("awk '{ print $1 }' f", "shell(awk *)"),
    ("awk -F '|' '{ print $2 }' f", "shell(awk *)"),
    ("sort -u f", "shell(sort *)"),
    ("tar tf x.tar", "shell(tar *)"),
    ("anything at all", "shell(*)"),
]

REFUSED = [
    # 1, 2, 3: chains
    ("ls && curl evil", "shell(ls *)"),
    ("ls; curl evil", "shell(ls *)"),
    ("ls || curl evil", "shell(ls *)"),
    ("ls | curl evil", "shell(ls *)"),
    ("ls & curl evil", "shell(ls *)"),
    ("ls\ncurl evil", "shell(ls *)"),
    ("ls\rcurl evil", "shell(ls *)"),
    ("ls && curl evil", "shell(*)"),
    # 4: redirection; 5: substitution
    ('echo "x" > ~/.bashrc', "shell(echo *)"),
    ("echo $(curl evil)", "shell(echo *)"),
    ("echo `curl evil`", "shell(echo *)"),
    ("cat <(curl evil)", "shell(cat *)"),
    ("cat <<E\n$(curl evil)\nE", "shell(cat *)"),
    # 6: find
    ("find . -exec sh -c x +", "shell(find *)"),
    ("find . -delete", "shell(find *)"),
    ("find . -execdir x ';'", "shell(find *)"),
    ("find . -fprintf f x", "shell(find *)"),
    ("/usr/bin/find . -exec x +", "shell(/usr/bin/find *)"),
    # 7: sed
    ("sed -i s/a/b/ f", "shell(sed *)"),
    ("sed -ni p f", "shell(sed *)"),
    ("sed --in-place=.b s/a/b/ f", "shell(sed *)"),
    ("sed --in s/a/b/ f", "shell(sed *)"),
    ("sed 'w out' f", "shell(sed *)"),
    ("sed 's/a/b/w out' f", "shell(sed *)"),
    ("sed 's/a/b/e' f", "shell(sed *)"),
    ("sed '1e curl evil' f", "shell(sed *)"),
    ("sed -n '1p;e curl evil' f", "shell(sed *)"),
    ("sed -ne 'e curl evil' f", "shell(sed *)"),
    ("sed -f script f", "shell(sed *)"),
    ("sed -n '/[/s/]/w out/p' f", "shell(sed *)"),
    ("sed 's/[/]/w out/p' f", "shell(sed *)"),
    ("sed '" + " " * 50_000 + "w f' f", "shell(sed *)"),
    # 8: ripgrep
    ("rg --pre cmd x", "shell(rg *)"),
    ("rg --pre=cmd x", "shell(rg *)"),
    # 9
    ("awk 'BEGIN{system(\"x\")}'", "shell(awk *)"),
    ("awk '{ print > \"f\" }' f", "shell(awk *)"),
    ("gawk -i inplace '{ print }' f", "shell(gawk *)"),
    ("awk -f prog f", "shell(awk *)"),
    ("sort -o f f", "shell(sort *)"),
    ("sort -uo f f", "shell(sort *)"),
    ("sort --out=f f", "shell(sort *)"),
    ("git diff --output=f", "shell(git *)"),
    ("git diff --outp f", "shell(git diff *)"),
    ("tar xf a --to-command=sh", "shell(tar *)"),
    ("tar xf a --to-c sh", "shell(tar *)"),
    ("tar -cIsh f .", "shell(tar *)"),
    ("tar cIf sh f .", "shell(tar *)"),
    ("tar cf a -T list", "shell(tar *)"),
    ("tar xf a --checkpoint-action=exec=sh", "shell(tar *)"),
    ("xargs rm", "shell(*)"),
    # 10: git
    ("git -c alias.x=!sh x", "shell(git *)"),
    ("git -C sub status", "shell(git *)"),
    ("git -C sub config core.fsmonitor x", "shell(git -C sub *)"),
    ("git --git-dir=x status", "shell(git *)"),
    ("git config alias.x '!sh'", "shell(git *)"),
    ("git branch -D main", "shell(git status *)"),
    ("git remote set-url origin x", "shell(git status *)"),
    ("git clone -c core.fsmonitor=x r", "shell(git *)"),
    ("git clone ext::sh r", "shell(git clone *)"),
    ("git fetch --upload-pack=x r", "shell(git fetch *)"),
    ("git fetch --upload-p x r", "shell(git fetch *)"),
    ("git rebase -x sh HEAD", "shell(git *)"),
    ("git grep -Osh x", "shell(git *)"),
    ("git init --template=evil", "shell(git *)"),
    ("git bisect run sh", "shell(git *)"),
    ("git submodule foreach sh", "shell(git *)"),
    # 11: names
    ("./git status", "shell(git *)"),
    ("/tmp/git status", "shell(git *)"),
    ("GIT status", "shell(git *)"),
    # 12, 13
    ("export PAGER=x; git log", "shell(git *)"),
    ("PAGER=x git log", "shell(git *)"),
    ("true; " * 49 + "curl evil", "shell(true *)"),
    # wrappers
    ("bash -c 'a; b'", "shell(*)"),
    ("env ls", "shell(*)"),
    ("sudo ls", "shell(*)"),
    ("eval 'a; b'", "shell(*)"),
    ("/bin/sh -c 'a; b'", "shell(*)"),
    ("timeout 5 curl evil", "shell(*)"),
    ("trap 'curl evil' EXIT", "shell(*)"),
    ("printf -v 'a[$(x)]' b", "shell(printf *)"),
    # word by word
    ("pytestx", "shell(pytest *)"),
    ("pytest x", "shell(pytest)"),
    ("npm", "shell(npm test)"),
    ("npm install", "shell(npm test *)"),
    ("pytest", "read(**)"),
    ("find *", "shell(find *)"),
    ("a?c", "shell(abc)"),
]


@pytest.mark.parametrize(("command", "rule"), ADMITTED)
def test_a_rule_admits(command: str, rule: str) -> None:
    assert shell(command, rule) == Allowed()


@pytest.mark.parametrize(("command", "rule"), REFUSED)
def test_a_rule_does_not_admit(command: str, rule: str) -> None:
    decision = shell(command, rule)
    assert isinstance(decision, Refused)
    assert "--permission-mode yolo" in decision.flag
    assert decision.text.startswith("refused: ")
    assert "\n" not in decision.text


def test_the_refusal_proposes_the_rule() -> None:
    decision = shell("npm test")
    assert isinstance(decision, Refused)
    assert decision.text == (
        'refused: the mode "edit" runs only commands that a rule allows, and none allows this one; '
        "the person can start with --allow 'shell(npm *)' or --permission-mode yolo"
    )
    quoted = shell("'it'\\''s' x")
    assert isinstance(quoted, Refused)
    assert quoted.flag == "--permission-mode yolo"


@pytest.mark.parametrize("rule", ["", "shell", "shell()", "shell(ls", "run(ls)", "shell(a; b)", "shell(a $x)",
"shell('a)",
    "shell(py* x)", "write(../x)", "read(a\0)", "shell(A=1 x)"])  # fmt: skip
def test_a_bad_rule_is_named(rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    assert repr(rule) in str(caught.value)


def test_plan_reads_only() -> None:
    space = Workspace(Path("/w"))
    rules = parse_rules(["shell(ls *)", "write(**)"])
    assert decide("plan", rules, path_subject(space, "read", "a"), space) == Allowed()
    assert decide("plan", rules, Subject("none"), space) == Allowed()
    for subject in (Subject("shell", command="ls"), path_subject(space, "write", "a")):
        decision = decide("plan", rules, subject, space)
        assert isinstance(decision, Refused)
        assert decision.flag == "--permission-mode edit"


def test_yolo_never_refuses() -> None:
    space = Workspace(Path("/w"))
    for subject in (
        Subject("shell", command="a; b"),
        Subject("write", ("/w/.git/config",)),
        Subject("write", ("/etc/x",)),
    ):
        assert decide("yolo", (), subject, space) == Allowed()


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    root, outside, added = tmp_path / "root", tmp_path / "outside", tmp_path / "added"
    for folder in (root / "sub", outside, added, root / "store"):
        folder.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "dangling").symlink_to(outside / "none")
    (root / "loop").symlink_to("loop")
    (root / "here").symlink_to("sub")
    (root / "sub" / ".harness").symlink_to("../store")
    return Workspace(root, (added,), root, tmp_path / "home")


WRITES = [
    ("a", True),
    ("sub/new/deep/a", True),
    ("here/a", True),
    ("sub/../a", True),
    ("{tmp}/added/x", True),
    (".gitignore", True),
    (".github/x.yml", True),
    ("../outside/a", False),
    ("/etc/passwd", False),
    ("~/.bashrc", False),
    ("link/a", False),  # 16
    ("link/missing/leaf", False),  # 19
    ("up/outside/a", False),
    ("dangling", False),
    ("here/../../outside/x", False),
    (".git/hooks/pre-commit", False),  # 21, also absent
    (".git", False),
    (".Git/hooks/x", False),  # 20
    (".GIT/config", False),
    ("sub/.git/config", False),
    (".git./config", False),
    (".git /config", False),
    (".g\u200cit/config", False),
    (".\uff47\uff49\uff54/config", False),
    ("git~1/config", False),
    (".harness/config.toml", False),
    ("sub/.harness/x", False),
    ("sub/../.git/x", False),
    ("a\0b", False),
]


@pytest.mark.parametrize(("path", "allowed"), WRITES)
def test_where_edit_mode_writes(space: Workspace, path: str, allowed: bool) -> None:
    text = path.replace("{tmp}", str(space.root.parent))
    decision = decide("edit", (), path_subject(space, "write", text), space)
    assert isinstance(decision, Allowed) is allowed
    if isinstance(decision, Refused):
        assert "--permission-mode yolo" in decision.flag


def test_what_a_protected_link_leads_to_is_protected(space: Workspace) -> None:
    (space.root / ".git").symlink_to("store")
    assert isinstance(decide("edit", (), path_subject(space, "write", "store/config"), space), Refused)


def test_a_write_rule_opens_a_place_outside_but_nothing_protected(space: Workspace) -> None:
    outside = space.root.parent / "outside"
    rules = parse_rules([f"write({outside}/**)", "write(**)"])
    for path, allowed in ((f"{outside}/a/b", True), ("link/a", True), ("/etc/x", False), (".git/x", False)):
        decision = decide("edit", rules, path_subject(space, "write", path), space)
        assert isinstance(decision, Allowed) is allowed, path
    home = parse_rules(["write(~/notes/**)"])
    assert decide("edit", home, path_subject(space, "write", "~/notes/a"), space) == Allowed()


def test_names_are_the_same_through_a_linked_root(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    space = Workspace(tmp_path / "root")
    assert decide("edit", (), path_subject(space, "write", "a"), space) == Allowed()
    assert decide("edit", (), path_subject(space, "write", f"{tmp_path}/real/a"), space) == Allowed()
    assert isinstance(decide("edit", (), path_subject(space, "write", ".git/a"), space), Refused)


def test_a_root_below_a_protected_name_is_usable(tmp_path: Path) -> None:
    root = tmp_path / ".git" / "work"
    root.mkdir(parents=True)
    space = Workspace(root)
    assert decide("edit", (), path_subject(space, "write", "a"), space) == Allowed()
    assert os.path.realpath(root) == str(space.real(root))
