"""The demo's repository and the words of its scripted model. The failure, the tools and the requests are real.

Invariant: the script only says; whether the test passes is decided by the files that the tools really changed, and each
turn `expect`s what a real tool result must contain.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

TASK = (
    "The tests fail. Find out why, fix the code (not the tests), and run the tests again. "
    "Also check that no other country's rate is wrong: the right ones are in RATES.md."
)

RATES = {
    "at": 20, "be": 21, "bg": 20, "cy": 19, "cz": 21, "de": 19, "dk": 25, "ee": 24, "es": 21, "fi": 25, "fr": 20,
    "gr": 24, "hr": 25, "hu": 27, "ie": 23, "it": 22, "lt": 21, "lu": 17, "lv": 21, "mt": 18, "nl": 21, "pl": 23,
    "pt": 23, "se": 25,
}  # fmt: skip

_CART = '''"""Totals of a cart, in cents."""

from importlib import import_module


def vat(country: str, net: int) -> int:
    """VAT on a net amount, rounded half up."""
    rate = import_module(f"shop.rates.{country}").RATE
    return net * rate // 100


def total(country: str, items: list[tuple[int, int]]) -> int:
    """Gross total of (quantity, net price) items."""
    net = sum(quantity * price for quantity, price in items)
    return net + vat(country, net)
'''

_TESTS = """import unittest

from shop.cart import total, vat


class CartTest(unittest.TestCase):
    def test_vat_is_rounded_half_up(self):
        self.assertEqual(vat("de", 50), 10)

    def test_total_in_poland(self):
        self.assertEqual(total("pl", [(2, 1000), (1, 500)]), 3075)

    def test_total_in_hungary(self):
        self.assertEqual(total("hu", [(3, 100)]), 381)


if __name__ == "__main__":
    unittest.main()
"""


_WRITTEN = 1_767_225_600.0
"""When the files were, seconds since the epoch: 2026-01-01. Edited in the second of its birth, at the same size, a file
would run as it was: Python looks at nothing else."""


def write(folder: Path) -> None:
    """Write the repository's files into a folder, which is made."""
    for name, text in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        os.utime(path, (_WRITTEN, _WRITTEN))


def files() -> dict[str, str]:
    """The repository: path to content. Poland's rate has two digits swapped, and VAT is rounded down."""
    wrong = RATES | {"pl": 32}
    repository = {
        "AGENTS.md": "Run the tests with `python3 -m unittest -q`. Amounts are integers, in cents.\n",
        "RATES.md": "# VAT rates, percent\n\n" + "".join(f"- {name}: {rate}\n" for name, rate in RATES.items()),
        "shop/__init__.py": "",
        "shop/cart.py": _CART,
        "shop/rates/__init__.py": "",
        "test_cart.py": _TESTS,
    }
    return repository | {
        f"shop/rates/{name}.py": f'"""VAT of {name.upper()}."""\n\nRATE = {rate}\n' for name, rate in wrong.items()
    }


def scenario() -> dict[str, Any]:
    """The model's script, in the simulator's form."""
    turns = [
        {
            "answer": [
                {"thinking": "First look: rules, layout, the failing tests, the code under test."},
                {"text": "I'll look at the project and run its tests."},
                _call("todo", items=_plan("doing", "pending", "pending")),
                _call("glob", pattern="**/*.py"),
                _call("read", path="shop/cart.py"),
                _call("read", path="test_cart.py"),
                _call("read", path="RATES.md"),
                _call("shell", command="python3 -m unittest -q"),
            ]
        },
        {
            "expect": "FAILED",
            "answer": [
                {"thinking": "Two failures: rounding in vat(), and Poland. The task also wants every rate checked."},
                {"text": "Two tests fail: rounding, and Poland's total. I'll read all 24 rate files at once."},
                *(_call("read", path=f"shop/rates/{name}.py") for name in RATES),
            ],
        },
        {
            "expect": r"RATE = 32",
            "answer": [
                {"text": "Poland has 32 where RATES.md says 23; every other rate is right. Now both fixes."},
                _call("edit", path="shop/rates/pl.py", old="RATE = 32", new="RATE = 23"),
                _call("edit", path="shop/cart.py", old="net * rate // 100", new="(net * rate + 50) // 100"),
                _call("todo", items=_plan("done", "done", "doing")),
            ],
        },
        {"answer": [_call("shell", command="python3 -m unittest -q")]},
        {
            "expect": r"OK",
            "answer": [
                {"text": "The tests pass. I'll make sure that nothing else rounds down."},
                _call("grep", pattern="//", glob="*.py"),
                _call("todo", items=_plan("done", "done", "done")),
            ],
        },
        {
            "expect": r"cart\.py",
            "answer": [
                {
                    "text": "Fixed. `shop/rates/pl.py:3` had 32 instead of 23, and `shop/cart.py:9` rounded down "
                    "instead of half up.\nVerified with `python3 -m unittest -q`: 3 tests, OK. "
                    "The other 23 rates agree with RATES.md."
                }
            ],
        },
    ]
    return {"conversations": [{"match": "The tests fail", "turns": turns}]}


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"call": name, "input": arguments}


def _plan(*status: str) -> list[dict[str, str]]:
    steps = ("Find why the tests fail", "Fix the code and check every rate", "Run the tests again")
    return [{"text": text, "status": state} for text, state in zip(steps, status, strict=True)]
