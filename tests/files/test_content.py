from __future__ import annotations

import json

import msgspec
import pytest

from passerby.errors import InvalidInputError
from passerby.files.content import extras_of, text_of


def written(fields: object) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(json.dumps(fields), type=dict[str, msgspec.Raw])


def test_unknown_fields_pass_up_to_two_kibibytes() -> None:
    fields = {"note": "x" * 2000, "n": [1]}
    assert extras_of(written({"fileId": "f", **fields})) == fields
    with pytest.raises(InvalidInputError, match="too large"):
        extras_of(written({"note": "x" * 2048}))


def test_fields_with_an_address_are_dropped_and_do_not_count() -> None:
    assert extras_of(written({"a": "x" * 1000, "preview": "https://example.com/" + "x" * 5000})) == {"a": "x" * 1000}


@pytest.mark.parametrize("fields", [{str(number): number for number in range(10_500)}, {"preview": "//" * 4097}])
def test_far_more_than_that_is_refused_unread(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="too large"):
        extras_of(written(fields))


def test_what_stands_in_unknown_fields_is_one_text() -> None:
    content = {"fileId": "file_1", "filename": "a.png", "caption": "one", "more": [{"two": "three"}, 4, ["five"]]}
    assert text_of(content).split("\n") == ["caption", "one", "more", "two", "three", "five"]
