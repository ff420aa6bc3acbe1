"""Skills: found in their order, read when called for, and harmless whatever is in them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.errors import SkillError
from harness.knowledge.skill_format import NAME_RULE, AllowedTool, RunsAs
from harness.knowledge.skills import (
    MAX_DESCRIPTION_BYTES,
    MAX_FOLDERS,
    MAX_LISTED,
    MAX_LISTING_BYTES,
    SkillIndex,
    bundled_dir,
    discover,
    listing,
    load,
)

COLLECTION = Path(__file__).parents[1] / "fixtures" / "skills"
BUNDLED = sorted(path.parent.name for path in bundled_dir().glob("*/SKILL.md"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.mkdir()
    return path


def put(folder: Path, name: str, text: str | bytes | None = None, *, description: str = "Does it.") -> Path:
    path = folder / name / "SKILL.md"
    path.parent.mkdir(parents=True)
    if text is None:
        text = f"---\nname: {name}\ndescription: {description}\n---\n\nThe body of {name}.\n"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(index: SkillIndex) -> list[str]:
    return [problem.reason for problem in index.problems]


def test_the_bundled_skills_are_sound(root: Path, config: Path) -> None:
    index = discover(root, config)

    assert [skill.name for skill in index.skills] == BUNDLED
    assert {skill.place for skill in index.skills} == {"bundled"}
    assert index.problems == ()
    assert bundled_dir().is_dir()
    for skill in index.skills:
        assert len(load(skill.name, root, config).body.splitlines()) <= 60


def test_bundled_descriptions_fit_the_list(root: Path, config: Path) -> None:
    assert not [skill.name for skill in discover(root, config).skills if skill.description.endswith("…")]


@pytest.mark.parametrize("folder", [".harness", ".claude", ".agents"])
def test_places_of_a_project(root: Path, config: Path, folder: str) -> None:
    path = put(root / folder / "skills", "mine")

    found = {skill.name: skill for skill in discover(root, config).skills}

    assert (found["mine"].place, found["mine"].path) == ("project", path)
    assert load("mine", root, config).body == "The body of mine."


def test_the_strongest_place_wins(root: Path, config: Path) -> None:
    put(root / ".harness" / "skills", "review", description="Of the project.")
    put(root / ".agents" / "skills", "review", description="Of another tool.")
    put(config / "skills", "review", description="Of the person.")
    put(config / "skills", "commit", description="Of the person.")

    index = discover(root, config)

    found = {skill.name: (skill.place, skill.description[:10]) for skill in index.skills}
    assert {name: found[name] for name in ("commit", "explore", "review")} == {
        "commit": ("user", "Of the per"),
        "explore": ("bundled", "Find out h"),
        "review": ("project", "Of the pro"),
    }
    assert sorted(found) == BUNDLED
    assert load("review", root, config).place == "project"
    assert load("commit", root, config).place == "user"


def test_a_skill_is_read_when_it_is_called_for(root: Path, config: Path) -> None:
    with pytest.raises(SkillError):
        load("late", root, config)
    path = put(root / ".harness" / "skills", "late")
    before = {skill.name: skill.digest for skill in discover(root, config).skills}

    path.write_text(path.read_text() + "A line more.\n")

    assert load("late", root, config).body.endswith("A line more.")
    assert {skill.name: skill.digest for skill in discover(root, config).skills}["late"] != before["late"]


def test_other_fields_are_kept_as_written(root: Path, config: Path) -> None:
    put(
        root / ".harness" / "skills",
        "full",
        "---\nname: full\ndescription: >\n  Two\n  lines.\nlicense: MIT\nversion: 1.10\nwhen: 2026-01-01\n"
        "on: yes\nmetadata:\n  tags: [a, b]\n---\nbody\n---\nmore\n",
    )

    skill = load("full", root, config)

    assert skill.body == "body\n---\nmore"
    assert skill.manifest.fields["version"] == "1.10"
    assert skill.manifest.fields["when"] == "2026-01-01"
    assert skill.manifest.fields["on"] == "yes"
    assert skill.manifest.fields["metadata"] == {"tags": ["a", "b"]}
    assert {found.name: found.description for found in discover(root, config).skills}["full"] == "Two lines."


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"

MALFORMED: dict[str, tuple[str | bytes, str]] = {
    "no front matter": ("Just text.\n", "does not begin with front matter"),
    "open front matter": ("---\nname: bad\ndescription: x\n", "does not begin with front matter"),
    "empty": ("", "does not begin with front matter"),
    "empty front matter": ("---\n---\nx\n", "not a table"),
    "a list": ("---\n- a\n---\n", "not a table"),
    "no description": ("---\nname: bad\n---\n", "no `description`"),
    "a description that is a list": ("---\ndescription: [a]\n---\n", "no `description`"),
    "blank description": ("---\ndescription: '  '\n---\n", "no `description`"),
    "another name": ("---\nname: good\ndescription: x\n---\n", "`name` is 'good', but the folder is `bad`"),
    "a path as name": ("---\nname: ../../etc\ndescription: x\n---\n", "but the folder is `bad`"),
    "broken YAML": ("---\nname: bad\ndescription: 'x\n---\n", "SKILL.md:3: front matter is not valid YAML"),
    "colon in text": ("---\nname: bad\ndescription: a: b\n---\n", "SKILL.md:3: front matter is not valid YAML"),
    "aliases": (f"---\n{BOMB}description: x\n---\n", "aliases are not allowed"),
    "merge keys": ("---\na: &a {b: c}\nd:\n  <<: *a\ndescription: x\n---\n", "aliases are not allowed"),
    "deep": ("---\ndescription: x\na: " + "[" * 7000 + "\n---\n", "not valid YAML"),
    "object": ("---\ndescription: !!python/object/apply:os.system [id]\n---\n", "no `description`"),
    "table as key": ("---\n? {a: b}\n: c\ndescription: x\n---\n", "not valid YAML"),
    "two documents": ("---\ndescription: x\n...\n%TAG\n---\n", "not valid YAML"),
    "long front matter": (
        "---\ndescription: x\n#" + "x" * 9000 + "\n---\n",
        "front matter is larger than 8192",
    ),
    "huge": (b"---\ndescription: x\n---\n" + b"x" * 70_000, "larger than 65536 bytes"),
    "binary": (b"\x7fELF\x00\x00\xff\xff", "does not begin with front matter"),
}


@pytest.mark.parametrize(("text", "says"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_skill_is_reported_and_hides_nothing(
    root: Path, config: Path, text: str | bytes, says: str
) -> None:
    put(root / ".harness" / "skills", "bad", text)

    index = discover(root, config)

    assert [skill.name for skill in index.skills] == BUNDLED
    assert len(index.problems) == 1
    assert says in problems(index)[0]
    assert "\n" not in problems(index)[0]
    with pytest.raises(SkillError) as refused:
        load("bad", root, config)
    assert says in str(refused.value)


def test_a_malformed_skill_does_not_hide_a_sound_one_of_a_weaker_place(root: Path, config: Path) -> None:
    put(root / ".harness" / "skills", "review", "broken")

    index = discover(root, config)

    assert len(index.problems) == 1
    assert [skill.place for skill in index.skills if skill.name == "review"] == ["bundled"]
    assert load("review", root, config).place == "bundled"


@pytest.mark.parametrize("name", ["Bad", "a_b", "a b", "ä", "-a", "x" * 65, "a\u202eb", "a\n"])
def test_a_folder_name_outside_the_rule(root: Path, config: Path, name: str) -> None:
    put(root / ".harness" / "skills", name, "---\ndescription: x\n---\n")

    index = discover(root, config)

    assert [skill.name for skill in index.skills] == BUNDLED
    assert problems(index) == [f"SKILL.md:1: folder name: {NAME_RULE}"]


@pytest.mark.parametrize(
    "name",
    [
        "../review",
        "/etc/passwd",
        "review/../review",
        "..",
        "",
        ".",
        "a\x00b",
        "Review",
        "r\u202e",
        "x" * 9999,
    ],
)
def test_a_name_is_never_a_path(root: Path, config: Path, name: str) -> None:
    put(root, "review")

    with pytest.raises(SkillError, match="lower-case letters, digits and single hyphens") as refused:
        load(name, root, config)

    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()


def test_an_unknown_name_gets_near_ones(root: Path, config: Path) -> None:
    with pytest.raises(SkillError, match=r"^no skill `reveiw`; there is: review$"):
        load("reveiw", root, config)
    with pytest.raises(SkillError, match=f"there is: {', '.join(BUNDLED)}$"):
        load("zzzzzz", root, config)


def test_a_fifo_is_refused_at_once(root: Path, config: Path) -> None:
    folder = root / ".harness" / "skills" / "pipe"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "SKILL.md")

    assert problems(discover(root, config)) == ["SKILL.md: not a regular file"]
    with pytest.raises(SkillError, match="not a regular file"):
        load("pipe", root, config)


def test_a_project_skill_can_not_leave_the_project(root: Path, config: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", "secret")
    skills = root / ".harness" / "skills"
    (skills / "by-file").mkdir(parents=True)
    (skills / "by-file" / "SKILL.md").symlink_to(outside)
    (skills / "secret").symlink_to(outside.parent)
    (skills / "loop").symlink_to("loop")
    (root / ".claude").mkdir()
    (root / ".claude" / "skills").symlink_to(outside.parent.parent)

    index = discover(root, config)

    assert [skill.name for skill in index.skills] == BUNDLED
    assert set(problems(index)) >= {"SKILL.md: leads outside the project"}
    for name in ("by-file", "secret"):
        with pytest.raises(SkillError, match="leads outside the project"):
            load(name, root, config)


def test_the_person_may_link_skills_from_anywhere(root: Path, config: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "dotfiles", "mine")
    (config / "skills").mkdir()
    (config / "skills" / "mine").symlink_to(outside.parent)

    assert load("mine", root, config).place == "user"


def test_folders_that_are_no_skills_are_passed_over(root: Path, config: Path) -> None:
    skills = root / ".harness" / "skills"
    (skills / "notes").mkdir(parents=True)
    (skills / "README.md").write_text("x")
    (root / ".claude").write_text("a file")

    assert discover(root, config).problems == ()


def test_nothing_invisible_gets_through(root: Path, config: Path) -> None:
    put(
        root / ".harness" / "skills",
        "odd",
        b"\xef\xbb\xbf---\r\ndescription: a\xe2\x80\xaeb \xff\r\n---\r\n\x1b[2Jbody\x00\r\n",
    )

    skill = next(skill for skill in discover(root, config).skills if skill.name == "odd")

    assert skill.description == "a\\u202eb \ufffd"
    assert load("odd", root, config).body == "\\x1b[2Jbody\\x00"


def test_a_description_is_one_bounded_line(root: Path, config: Path) -> None:
    put(root / ".harness" / "skills", "wide", description="ä" * 400)
    put(root / ".harness" / "skills", "tall", '---\ndescription: "a\\n\\n- b: injected"\n---\n')

    found = {skill.name: skill.description for skill in discover(root, config).skills}

    assert len(found["wide"].encode()) <= MAX_DESCRIPTION_BYTES
    assert found["wide"].endswith("ä…")
    assert found["tall"] == "a - b: injected"


def test_the_list_is_sorted_and_bounded(root: Path, config: Path) -> None:
    for number in range(40):
        put(root / ".harness" / "skills", f"a-skill-{number:02}")

    lines = listing(discover(root, config)).splitlines()

    assert len(lines) == MAX_LISTED + 1
    assert lines[:-1] == sorted(lines[:-1])
    assert lines[0] == "- a-skill-00: Does it."
    rest = [f"a-skill-{number}" for number in range(30, 40)] + BUNDLED
    assert lines[-1] == f"- and {len(rest)} more: {', '.join(rest)}"
    assert listing(SkillIndex((), ())) == ""


@pytest.mark.parametrize("number", [40, 1200])
def test_the_list_has_at_most_so_many_bytes_however_many_there_are(root: Path, config: Path, number: int) -> None:
    for place in range(number):
        put(root / ".harness" / "skills", f"a-skill-{place:04}", description="ä" * 500)

    index = discover(root, config)
    text = listing(index)

    assert len(text.encode()) <= MAX_LISTING_BYTES
    assert text == listing(discover(root, config))
    assert text.splitlines()[0].startswith("- a-skill-0000: ä")
    if number > MAX_FOLDERS:
        assert problems(index) == ["1,200 entries; only the first 1,000 are read"]
        assert "a-skill-1000" not in {skill.name for skill in index.skills}


def test_the_other_programs_places_of_the_person_are_read_last_of_theirs(
    root: Path, config: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    put(home / ".agents" / "skills", "one", description="Of agents.")
    put(home / ".claude" / "skills", "one", description="Of claude.")
    put(home / ".claude" / "skills", "two", description="Of claude.")
    put(config / "skills", "two", description="Ours.")
    put(home / ".agents" / "skills", "bad", "nothing")

    index = discover(root, config, home)

    found = {skill.name: (skill.place, skill.description) for skill in index.skills}
    assert (found["one"], found["two"]) == (("user", "Of claude."), ("user", "Ours."))
    assert len(problems(index)) == 1
    assert "one" not in {skill.name for skill in discover(root, config).skills}


def test_a_home_that_is_a_project_is_not_read_twice(config: Path, tmp_path: Path) -> None:
    put(tmp_path / ".claude" / "skills", "bad", "nothing")

    assert len(problems(discover(tmp_path, config, tmp_path))) == 1


def test_who_may_call_and_how_it_runs_is_read(root: Path, config: Path) -> None:
    put(
        root / ".harness" / "skills",
        "full",
        "---\nname: full\ndescription: x\nlicense: MIT\ncompatibility: needs git\nmetadata: {author: me}\n"
        "allowed-tools: Read, Bash(git diff:*) web_fetch\nuser-invocable: No\ndisable-model-invocation: TRUE\n"
        "argument-hint: '[a] [b]'\ncontext: fresh\nmodel: haiku\nagent: Explore\n---\nbody\n",
    )

    manifest = load("full", root, config).manifest

    tools = (AllowedTool("read"), AllowedTool("shell", "git diff *"), AllowedTool("web_fetch"))
    assert manifest.runs_as == RunsAs("fresh", "haiku", "Explore", tools)
    assert (manifest.license, manifest.compatibility, manifest.metadata) == ("MIT", "needs git", {"author": "me"})
    assert (manifest.user_invocable, manifest.model_invocable, manifest.argument_hint) == (False, False, "[a] [b]")
    index = discover(root, config)
    assert "full" in {skill.name for skill in index.skills}
    assert "full" not in {skill.name for skill in index.listed}
    assert "full" not in listing(index)


def test_a_public_collection_loads_without_complaint(root: Path, config: Path) -> None:
    (root / ".claude").mkdir()
    shutil.copytree(COLLECTION, root / ".claude" / "skills")

    index = discover(root, config)

    names = sorted(path.name for path in COLLECTION.iterdir())
    assert index.problems == ()
    assert len(names) == 10
    assert [skill.name for skill in index.skills if skill.place == "project"] == names
    for name in names:
        assert load(name, root, config).body
