"""Equal values give equal bytes; what is not JSON is refused."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.conversation.canonical import chain, clean, clean_json, decode, digest, encode

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def shuffled(value: Any) -> Any:
    match value:
        case dict():
            return {key: shuffled(value[key]) for key in reversed(value)}
        case list():
            return [shuffled(item) for item in value]
        case _:
            return value


@given(values)
def test_a_value_comes_back_whole(value: Any) -> None:
    assert decode(encode(value)) == value
    assert json.loads(encode(value)) == value


@given(values)
def test_key_order_does_not_count_and_encoding_is_stable(value: Any) -> None:
    assert encode(shuffled(value)) == encode(value)
    assert encode(decode(encode(value))) == encode(value)


def test_no_spaces_sorted_keys_real_characters() -> None:
    assert encode({"b": [1, 2.5, None, True], "a": "é\u2028😀"}) == '{"a":"é\u2028😀","b":[1,2.5,null,true]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), {"a": [float("nan")]}])
def test_nan_and_infinity_are_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        encode(value)


@pytest.mark.parametrize("raw", ["NaN", "[Infinity]", "-Infinity", "{} {}", "", "{'a': 1}"])
def test_what_is_no_json_is_not_read(raw: str) -> None:
    with pytest.raises(ValueError):
        decode(raw)


@given(st.text(st.characters(categories=["Cs", "L", "So"])))
def test_cleaned_text_can_always_be_sent(text: str) -> None:
    cleaned = clean(text)

    assert encode(cleaned)
    assert clean(cleaned) == cleaned
    assert clean_json({text: [text]}) == {cleaned: [cleaned]}


def test_a_lone_surrogate_cannot_be_encoded_and_is_replaced() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode("\ud800")
    assert "\ud800" not in clean("a\ud800b")
    assert clean("a\ud800b").startswith("a")
    assert clean("ok") == "ok"


@given(st.lists(st.binary(max_size=5), max_size=5), st.lists(st.binary(max_size=5), max_size=5))
def test_chains_are_equal_only_for_equal_blocks(one: list[bytes], other: list[bytes]) -> None:
    heads = []
    for blocks in (one, other):
        head = ""
        for block in blocks:
            head = chain(head, block)
        heads.append(head)

    assert (heads[0] == heads[1]) == (one == other)
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
