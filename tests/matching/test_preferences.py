from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.errors import Code, InvalidInputError
from passerby.matching.preferences import Preferences, shared
from passerby.models import MatchingLimits, Wish
from tests.guests.test_store import guest as guest_with_traits

if TYPE_CHECKING:
    from passerby.models import Guest, Want


def new_guest() -> Guest:
    return guest_with_traits(location=None, gender=None, language=None)


def limits(
    *, interests: int = 5, wants: tuple[Want, ...] = ("gender", "location"), only: bool = False
) -> MatchingLimits:
    return MatchingLimits(interests=interests, interest_length=40, languages=3, wants=list(wants), only=only)


def read(payload: object, guest: Guest | None = None, allowed: MatchingLimits | None = None) -> Wish:
    return Preferences(allowed or limits()).read(json.dumps(payload).encode(), guest or new_guest())


def refusal(payload: object, allowed: MatchingLimits | None = None) -> tuple[Code, str | None]:
    with pytest.raises(InvalidInputError) as caught:
        read(payload, allowed=allowed)
    return caught.value.code, caught.value.field


def test_all_of_a_wish() -> None:
    guest = new_guest()
    guest.gender, guest.location = "Woman ", "Berlin,  Germany"
    wish = read(
        {
            "interests": ["Música ", "Chess"],
            "languages": ["pt-BR", "en"],
            "wants": {"gender": "MAN", "location": "Lisboa"},
            "mode": "video",
        },
        guest,
    )
    assert wish == Wish(
        mode="video",
        interests=("música", "chess"),
        words=("Música", "Chess"),
        languages=("pt", "en"),
        gender="woman",
        location="berlin, germany",
        wants_gender="man",
        wants_location="lisboa",
        patient=True,
    )


@pytest.mark.parametrize("payload", [None, {}, [], "chess", 7, True, [{"interests": ["chess"]}], {"topic": "chess"}])
def test_old_clients_may_send_anything(payload: object) -> None:
    assert read(payload) == Wish()


def test_what_is_no_json_says_nothing() -> None:
    assert Preferences(limits()).read(b"", new_guest()) == Wish()


def test_without_languages_the_sessions_own_counts() -> None:
    guest = new_guest()
    guest.language = "de-AT"
    assert read(None, guest) == Wish(languages=("de",))
    assert read({"interests": ["chess"]}, guest).languages == ("de",)
    assert read({"languages": ["en"]}, guest).languages == ("en",)


def test_languages_of_several_regions_are_one() -> None:
    assert read({"languages": ["en-GB", "EN-us", "de"]}).languages == ("en", "de")


@pytest.mark.parametrize(
    ("payload", "code", "field"),
    [
        ({"interests": ["a", "b", "c", "d", "e", "f"]}, Code.TOO_MANY_INTERESTS, "interests"),
        ({"interests": ["a" * 200]}, Code.INTEREST_TOO_LONG, "interests"),
        ({"interests": ["a" * 41]}, Code.INTEREST_TOO_LONG, "interests"),
        ({"interests": [""]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["  "]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["!?"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["\u3164"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["\u2800\u2800"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["che\u0000ss"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["che\nss"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["\u202esseh"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["che\u200bss"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["<b>chess</b>"]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["\ufdfa" * 20]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": ["chess", " CHESS"]}, Code.INTEREST_REPEATED, "interests"),
        ({"interests": "chess"}, Code.INTEREST_INVALID, "interests"),
        ({"interests": [7]}, Code.INTEREST_INVALID, "interests"),
        ({"interests": None}, Code.INTEREST_INVALID, "interests"),
        ({"languages": ["not a tag"]}, Code.LANGUAGE_INVALID, "languages"),
        ({"languages": ["x"]}, Code.LANGUAGE_INVALID, "languages"),
        ({"languages": ["en", "de", "fr", "es"]}, Code.LANGUAGE_INVALID, "languages"),
        ({"languages": "en"}, Code.LANGUAGE_INVALID, "languages"),
        ({"mode": "smell"}, Code.MODE_UNKNOWN, "mode"),
        ({"mode": None}, Code.MODE_UNKNOWN, "mode"),
        ({"wants": "everything"}, Code.WANTS_INVALID, "wants"),
        ({"wants": {"gender": 7}}, Code.WANTS_INVALID, "wants.gender"),
        ({"wants": {"location": "a" * 65}}, Code.WANTS_INVALID, "wants.location"),
        ({"only": "yes"}, Code.INVALID_PAYLOAD, "only"),
    ],
)
def test_what_is_refused(payload: object, code: Code, field: str) -> None:
    assert refusal(payload) == (code, field)


@pytest.mark.parametrize("word", ["🎸", "👩‍👩‍👧", "موسيقى", "שחמט", "音楽", "c++", "r&b", "50s"])
def test_words_of_any_script_are_accepted(word: str) -> None:
    assert read({"interests": [word]}).words == (word,)


def test_what_the_operator_has_disabled() -> None:
    assert refusal({"wants": {"gender": "f"}}, limits(wants=("location",))) == (Code.WANTS_DISABLED, "wants.gender")
    assert read({"wants": {"location": "Berlin"}}, allowed=limits(wants=("location",))).wants_location == "berlin"
    assert refusal({"interests": ["a", "b"]}, limits(interests=1)) == (Code.TOO_MANY_INTERESTS, "interests")
    assert not read({"interests": ["a"], "only": True}).only
    assert read({"interests": ["a"], "only": True}, allowed=limits(only=True)).only


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda children: (
        st.lists(children, max_size=6)
        | st.dictionaries(st.sampled_from(["interests", "languages", "wants", "mode", "only", "gender"]), children)
    ),
    max_leaves=12,
)


@given(anything)
def test_anything_gives_a_wish_or_a_clear_refusal(payload: object) -> None:
    with contextlib.suppress(InvalidInputError):  # anything else fails
        wish = read(payload)
        assert len(wish.interests) == len(set(wish.interests)) == len(wish.words) <= 5


@pytest.mark.parametrize("field", ["interests", "wants", "anything"])
def test_what_is_nested_too_deeply_is_a_clear_refusal(field: str) -> None:
    payload = f'{{"{field}":{"[" * 5000}{"]" * 5000}}}'.encode()
    with pytest.raises(InvalidInputError) as caught:
        Preferences(limits()).read(payload, new_guest())
    assert caught.value.code == Code.INVALID_PAYLOAD


def test_what_two_share_is_told_in_the_own_words() -> None:
    anna = read({"interests": ["Música", "Chess", "Go"], "languages": ["de", "en"]})
    berta = read({"interests": ["go", "MÚSICA", "cats"], "languages": ["en", "de"]})
    for_anna, for_berta = shared(anna, berta)
    assert (for_anna.interests, for_anna.language) == (["Música", "Go"], "de")
    assert (for_berta.interests, for_berta.language) == (["go", "MÚSICA"], "de")


def test_two_who_share_nothing() -> None:
    for both in shared(read({"interests": ["a"], "languages": ["en"]}), read(None)):
        assert (both.interests, both.language) == ([], None)
