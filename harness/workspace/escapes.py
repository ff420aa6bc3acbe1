"""Known ways in which an admitted program runs another one, or writes where its rule did not say.

Invariant: an escape is admitted only by a rule that names it literally. The list is a second fence for rules
that end in `*`; programs that run code by their nature (make, npm, python) are the person's own decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Words = Sequence[str]

WRAPPERS = frozenset({
    ".", "ash", "bash", "builtin", "busybox", "chroot", "chrt", "command", "csh", "dash", "doas", "env",
    "eval", "exec", "fish", "flock", "gdb", "ionice", "ksh", "ltrace", "mksh", "nice", "nohup", "nsenter",
    "parallel", "pkexec", "runuser", "script", "setsid", "sh", "source", "stdbuf", "strace", "su", "sudo",
    "systemd-run", "tcsh", "time", "timeout", "toybox", "trap", "unshare", "watch", "xargs", "zsh",
    "compgen", "declare", "enable", "export", "fc", "getopts", "let", "local", "mapfile", "read",
    "readarray", "readonly", "typeset", "unset", "wait",
})  # fmt: skip
"""Programs and builtins that run a command given as words or, in bash, as `name[$(command)]`."""

_LONG = {
    "find": ("-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf", "-fls"),
    "fd": ("--exec", "--exec-batch"),
    "rg": ("--pre", "--hostname-bin"),
    "tar": (
        "--to-command", "--use-compress-program", "--checkpoint-action", "--info-script",
        "--new-volume-script", "--rsh-command", "--rmt-command", "--files-from",
    ),
    "sort": ("--output", "--compress-program"),
    "rsync": ("--rsh", "--rsync-path"),
    "zip": ("--unzip-command", "--test"),
    "split": ("--filter",),
    "man": ("--pager", "--html", "--browser"),
    "git": (
        "--exec-path", "--config-env", "--git-dir", "--work-tree", "--upload-pack", "--receive-pack",
        "--exec", "--output", "--ext-diff", "--open-files-in-pager", "--extcmd", "--template", "--config",
    ),
}  # fmt: skip
"""Options in full; GNU and git accept any beginning of a `--long` one, so every beginning counts."""

_SHORT = {
    "fd": "xX",
    "tar": "IFT",
    "sort": "o",
    "rsync": "e",
    "zip": "TO",
    "man": "PH",
    "printf": "v",
    "test": "v",
}
"""Letters that count anywhere in a bundle of short options (`-uo`): their place in it cannot be known."""

_ALIASES = {
    "gfind": "find", "bfind": "find", "fdfind": "fd", "gtar": "tar", "bsdtar": "tar", "gsort": "sort",
    "gsplit": "split", "gsed": "sed", "gawk": "awk", "mawk": "awk", "nawk": "awk", "original-awk": "awk",
}  # fmt: skip

_GIT_RUNS = frozenset({
    "bisect", "config", "credential", "daemon", "difftool", "fast-import", "filter-branch",
    "for-each-repo", "gui", "hook", "instaweb", "mergetool", "p4", "remote-ext", "send-email", "shell",
    "submodule", "svn", "web--browse",
})  # fmt: skip
"""git commands that run programs given to them or write settings that name programs."""

_SED_ADDRESS = r"(?:\d++|\$|/(?:[^/\\\n\[]|\\[^\n]|\[[^]/\\\n]+\])*+/)"
_SED_ATOM = r"(?:(?!\1)[^\\\n\[]|\\[^\n]|\[(?:(?!\1)[^]\\\n])+\])"
"""One character of a pattern or its replacement. A delimiter in brackets is left out: seds differ on what it means."""

_SED_SAFE = re.compile(
    rf"\s*+(?:{_SED_ADDRESS}(?:,[+~]?{_SED_ADDRESS})?\s*+)?!?\s*+"
    rf"(?:[pdqDPhHgGxnN=]|s([/|#,:@!]){_SED_ATOM}*+\1{_SED_ATOM}*+\1[gpiI0-9]*+)?\s*+"
)
"""One sed command that neither writes a file nor runs anything: print, delete, substitute without `w` and
`e`."""


def found(words: Words) -> tuple[str, ...]:
    """The escapes in the words of a simple command, each as the word a rule must contain to admit it."""
    name = words[0].rsplit("/", 1)[-1]
    if name in WRAPPERS:
        return (words[0],)
    program = _ALIASES.get(name, name)
    hits = [_option(word) for word in words[1:] if _listed(program, word)]
    special = _SPECIAL.get(program)
    return tuple(hits) + (tuple(special(words)) if special else ())


def _option(word: str) -> str:
    return word.split("=", 1)[0] if word.startswith("--") else word


def _listed(program: str, word: str) -> bool:
    if len(word) < 2 or not word.startswith("-"):
        return False
    name = _option(word)
    if name.startswith("--") and len(name) > 2:
        return any(option.startswith(name) for option in _LONG.get(program, ()) if option.startswith("--"))
    if word in _LONG.get(program, ()):
        return True
    return not word.startswith("--") and any(letter in word for letter in _SHORT.get(program, ""))


_GIT_HARMLESS = ("--no-pager", "--version", "--help", "-P", "--no-optional-locks")
_GIT_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--attr-source")


_GIT_LETTERS = {"clone": "uc", "fetch": "u", "pull": "u", "ls-remote": "u", "rebase": "x", "grep": "O"}
"""Short options that name a program or set a setting. A remote written `ext::program` does so too."""


def _git(words: Words) -> list[str]:
    hits: list[str] = []
    rest = list(words[1:])
    # Before the git command: -c sets any setting, -C and the rest choose another repository's settings.
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        hits += [] if option in _GIT_HARMLESS else [_option(option)]
        if option in _GIT_VALUED:
            rest = rest[1:]
    command = rest[0] if rest else ""
    hits += [command] if command in _GIT_RUNS else []
    for word in rest[1:]:
        letters = _GIT_LETTERS.get(command, "")
        if (letters and re.match(rf"-[a-zA-Z]*[{letters}]", word)) or re.match(r"[a-z0-9+.-]+::", word):
            hits.append(word)
    return list(dict.fromkeys(hits))


def _tar(words: Words) -> list[str]:
    # The oldest form has its letters without a dash: `tar cIf prog x.tar .`
    bundle = words[1] if len(words) > 1 and not words[1].startswith("-") else ""
    return [bundle] if any(letter in bundle for letter in "IFT") else []


def _sed(words: Words) -> list[str]:
    hits: list[str] = []
    scripts: list[str] = []
    plain: list[str] = []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word in ("-e", "--expression") or re.fullmatch(r"-[nErsuz]+e", word):
            scripts += rest[:1]
            rest = rest[1:]
        elif word.startswith("--expression="):
            scripts.append(word.split("=", 1)[1])
        elif word.startswith("-") and len(word) > 1:
            safe = re.fullmatch(
                r"-[nErsuz]+|--(quiet|silent|regexp-extended|posix|null-data|sandbox|help|version)", word
            )
            hits += [] if safe else [_option(word)]
        else:
            plain.append(word)
    if not scripts:
        scripts = plain[:1]
    return hits + [script for script in scripts if not all(map(_SED_SAFE.fullmatch, _commands(script)))]


def _commands(script: str) -> list[str]:
    """A sed script cut at `;` and newlines; a cut inside an expression only makes its halves look unsafe."""
    return [script] if _SED_SAFE.fullmatch(script) else re.split(r"[;\n]", script)


def _awk(words: Words) -> list[str]:
    hits: list[str] = []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word in ("-F", "-v"):
            rest = rest[1:]
        elif word.startswith("-") and len(word) > 1:
            hits += [] if re.match(r"-[Fv]|--$", word) else [_option(word)]
        elif re.search(r"system|getline|[|<>@]", word):
            hits.append(word)
    return hits


_SPECIAL: dict[str, Callable[[Words], list[str]]] = {"git": _git, "tar": _tar, "sed": _sed, "awk": _awk}
