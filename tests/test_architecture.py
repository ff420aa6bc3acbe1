"""The rules of CONTRIBUTING.md that no linter knows; the layers are import-linter's part."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "harness"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
THIS = Path(__file__).resolve()

LOOP_LINES = 250
MODULE_LINES = 450
FUNCTION_LINES = 70
CONSTRUCTOR_PARAMETERS = 8

# Where a clock, a random number or the machine itself may be read: the seam, and the pretend vendor, which is
# another program in all but name.
SEAM = ("seam.py", "simulator/")
FORBIDDEN_MODULES = {"uuid", "random", "secrets", "platform", "getpass", "pwd"}
FORBIDDEN_NAMES = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.localtime",
    "time.gmtime",
    "time.strftime",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "os.environ",
    "os.environb",
    "os.getenv",
    "os.getpid",
    "os.getlogin",
    "os.uname",
    "os.urandom",
    "os.getcwd",
    "os.path.expanduser",
    "os.path.expandvars",
    "socket.gethostname",
    "socket.getfqdn",
    "Path.home",
    "Path.cwd",
    "expanduser",
}

CLOCKS = {"time.monotonic", "time.perf_counter", "time.process_time", "time.time"}

# Lazy imports keep the start short; only what parses the command line, and what
# chooses one of three wires, each with its SDK, may postpone a part of ours.
LAZY = ("__main__.py", "cli.py", "commands/", "providers/connect.py")

EMPTY_WORDS = {"util", "utils", "manager", "service", "helper", "helpers"}


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr) else ""
    return f"{path.relative_to(ROOT)}{line}"


def in_part(path: Path, parts: tuple[str, ...]) -> bool:
    inside = path.relative_to(PACKAGE).as_posix()
    return any(inside.startswith(part) if part.endswith("/") else inside == part for part in parts)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute chain; what hangs on a call or an index keeps its last names."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_the_loop_fits_a_few_screens() -> None:
    loop = PACKAGE / "agent" / "loop.py"
    if loop.exists():
        assert len(loop.read_text().splitlines()) <= LOOP_LINES


def test_modules_are_short() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in SOURCES}

    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_functions_are_short() -> None:
    long = [
        f"{name(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in SOURCES
        for node in functions(parse(path))
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]

    assert long == []


def test_constructors_take_few_parameters() -> None:
    # A dataclass has no constructor of its own to find here: a value may have many fields.
    wide = [
        name(path, node)
        for path in SOURCES
        for node in functions(parse(path))
        if node.name == "__init__"
        and len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]) - 1 > CONSTRUCTOR_PARAMETERS
    ]

    assert wide == []


def test_no_test_fails_because_the_machine_is_slow() -> None:
    limits = [
        name(path, node)
        for path in TESTS
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Assert)
        for part in ast.walk(node.test)
        if isinstance(part, ast.Compare) and isinstance(part.ops[0], ast.Lt | ast.LtE)
        if any(isinstance(one, ast.Constant) for one in part.comparators)
        if any(dotted(one) in CLOCKS for one in ast.walk(part.left) if isinstance(one, ast.Attribute))
    ]

    assert limits == []


def test_folders_are_flat() -> None:
    assert [name(path) for path in SOURCES if len(path.relative_to(PACKAGE).parts) > 2] == []


def test_no_import_is_hidden_from_the_layer_check() -> None:
    hidden = []
    for path in SOURCES:
        tree = parse(path)
        hidden += [
            name(path, node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Name | ast.Attribute) and dotted(node).endswith("TYPE_CHECKING")
        ]
        if in_part(path, LAZY):
            continue
        for function in functions(tree):
            for node in ast.walk(function):
                match node:
                    case ast.Import(names=names) if any(one.name.split(".")[0] == "harness" for one in names):
                        hidden.append(name(path, node))
                    case ast.ImportFrom(module=module, level=level) if (
                        level or (module or "").split(".")[0] == "harness"
                    ):
                        hidden.append(name(path, node))
                    case _:
                        pass

    assert hidden == []


def test_what_is_imported_is_imported_from_where_it_is_made() -> None:
    # mypy allows a name to be handed on by a module that lists it; one folder has a face, for another program's use
    assert [name(path) for path in SOURCES if "__all__" in path.read_text()] == ["harness/simulator/__init__.py"]


def test_suppressions_give_their_reason() -> None:
    bare = [
        f"{name(path)}:{number}"
        for path in [*SOURCES, *TESTS]
        if path != THIS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"#\s*(ruff:\s*)?noqa", line) and not re.search(r"noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* - \S", line)
    ]

    assert bare == []


def outside_reads(path: Path) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        match node:
            case ast.Import(names=names):
                found = [one.name for one in names if one.name.split(".")[0] in FORBIDDEN_MODULES]
            case ast.ImportFrom(module=str(module), names=names):
                found = [f"{module}.{one.name}" for one in names]
                found = [one for one in found if one in FORBIDDEN_NAMES or module in FORBIDDEN_MODULES]
            case ast.Attribute():
                chain = dotted(node)
                found = [bad for bad in FORBIDDEN_NAMES if chain == bad or chain.endswith(f".{bad}")]
            case _:
                continue
        yield from (f"{name(path, node)} {one}" for one in found)


def test_clocks_randomness_and_the_machine_are_read_at_the_seam_only() -> None:
    assert [found for path in SOURCES if not in_part(path, SEAM) for found in outside_reads(path)] == []


def test_names_say_what_things_are() -> None:
    empty = []
    for path in [*SOURCES, *TESTS]:
        names: list[tuple[str, ast.AST | None]] = [(path.stem, None), (path.parent.name, None)]
        names += [
            (node.name, node)
            for node in ast.walk(parse(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        for one, node in names:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", one).lower().split("_")
            if EMPTY_WORDS & set(words):
                empty.append(f"{name(path, node)} {one}")

    assert empty == []


def test_no_mock_library() -> None:
    mocking = []
    for path in TESTS:
        for node in ast.walk(parse(path)):
            match node:
                case ast.Import(names=names):
                    modules = [one.name for one in names]
                case ast.ImportFrom(module=module, names=names):
                    modules = [f"{module}.{one.name}" for one in names]
                case _:
                    continue
            if any(re.match(r"unittest\.mock|mock\b|pytest_mock", module) for module in modules):
                mocking.append(name(path, node))

    assert mocking == []


def texts() -> Iterator[tuple[Path, str]]:
    folders = ("harness", "tests", "scripts", "skills", ".ci", "docs")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    paths += [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".lock", ".example"}]
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_file_names_the_machine_it_was_made_on() -> None:
    # The folder that holds the checkout, unless it is one that every machine has.
    everywhere = {
        "/",
        "/home",
        "/mnt",
        "/opt",
        "/private/tmp",
        "/root",
        "/srv",
        "/tmp",
        "/usr",
        "/var",
        gettempdir(),
    }
    places = {str(path) for path in (ROOT, ROOT.parent, Path(sys.prefix))} - everywhere
    machine = re.compile(
        r"(?<![\w.~/-])(?:" + "|".join(map(re.escape, sorted(places))) + r")/|/(?:home|Users)/(?!me\b|you\b|user\b)\w+/"
    )

    assert [f"{name(path)}: {found[0]}" for path, text in texts() if (found := machine.search(text))] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_name_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
