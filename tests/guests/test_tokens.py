from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.errors import UnauthorizedError, UnavailableError
from passerby.guests.tokens import Tokens
from tests.support.clock import ManualClock

SECRET = "the secret that signs, 32 characters or more"
OLDER = "the secret of last month, as long as that one"
STRANGER = "somebody else's secret, no shorter than ours is"


def tokens(clock: ManualClock | None = None, **changes: Any) -> Tokens:  # noqa: ANN401 - constructor arguments
    arguments: dict[str, Any] = {
        "secret": SECRET,
        "previous": None,
        "issuer": "passerby",
        "audience": "passerby-guests",
        "lifetime": 7200.0,
    }
    return Tokens(clock or ManualClock(), **{**arguments, **changes})


def claims(**changes: object) -> dict[str, object]:
    now = int(ManualClock().time())
    own: dict[str, object] = {
        "iss": "passerby",
        "aud": "passerby-guests",
        "iat": now,
        "exp": now + 7200,
        "sessionId": "session-1",
        **changes,
    }
    return {name: value for name, value in own.items() if value is not None}


def sign(secret: str = SECRET, **changes: object) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256")


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(header: object, payload: object, secret: str = SECRET, digest: Any = hashlib.sha256) -> str:  # noqa: ANN401
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{part(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def refusal(token: str, checker: Tokens | None = None) -> tuple[str, str]:
    with pytest.raises(UnauthorizedError) as caught:
        (checker or tokens()).verify(token)
    assert caught.value.status == 401
    return caught.value.code, caught.value.message


INVALID = ("token_invalid", "Invalid token")
EXPIRED = ("token_expired", "Token has expired")


def test_an_issued_token_tells_its_session_and_its_end() -> None:
    clock = ManualClock()
    ours = tokens(clock)
    token, expires = ours.issue("session-1")

    assert ours.verify(token) == ("session-1", expires)
    assert expires == clock.time() + 7200


def test_an_issued_token_has_the_claims_of_the_contract() -> None:
    token, expires = tokens().issue("session-1")

    decoded = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_aud": False, "verify_exp": False})

    assert decoded == {
        "iss": "passerby",
        "aud": "passerby-guests",
        "iat": int(expires) - 7200,
        "exp": int(expires),
        "sessionId": "session-1",
    }
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_the_reference_token_of_these_tests_is_a_good_one() -> None:
    assert tokens().verify(sign())[0] == "session-1"
    assert tokens().verify(forged({"alg": "HS256", "typ": "JWT"}, claims()))[0] == "session-1"


def test_no_token_is_asked_for() -> None:
    assert refusal("") == ("token_required", "Access token is required")


def test_a_token_ends_at_its_time_and_not_before() -> None:
    clock = ManualClock()
    ours = tokens(clock)
    token, _ = ours.issue("session-1")
    clock.advance(7199)
    assert ours.verify(token)[0] == "session-1"
    clock.advance(1)

    assert refusal(token, ours) == EXPIRED


def test_a_fraction_of_a_second_does_not_lengthen_a_token() -> None:
    clock = ManualClock(1_700_000_000.9)
    ours = tokens(clock)
    _, expires = ours.issue("session-1")

    assert expires <= clock.time() + 7200


def test_an_expired_token_of_a_stranger_is_invalid_not_expired() -> None:
    assert refusal(sign(STRANGER, exp=1)) == INVALID


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(sign(iss="another"), id="other issuer"),
        pytest.param(sign(aud="another"), id="other audience"),
        pytest.param(sign(aud=["another", "third"]), id="other audiences"),
        pytest.param(sign(STRANGER), id="signed by another key"),
        pytest.param(sign(OLDER), id="signed by an older key that is not accepted"),
        pytest.param(forged({"alg": "HS512"}, claims(), SECRET, hashlib.sha512), id="HS512 with our key"),
        pytest.param(forged({"alg": "HS384"}, claims(), SECRET, hashlib.sha384), id="HS384 with our key"),
        pytest.param(sign(iss=None), id="no issuer"),
        pytest.param(sign(aud=None), id="no audience"),
        pytest.param(sign(exp=None), id="no end"),
        pytest.param(sign(iat=None), id="no beginning"),
        pytest.param(sign(sessionId=None), id="no session"),
        pytest.param(forged({"alg": "HS256"}, claims(sessionId=7)), id="session is a number"),
        pytest.param(forged({"alg": "HS256"}, claims(sessionId=["session-1"])), id="session is a list"),
        pytest.param(forged({"alg": "HS256"}, claims(exp="never")), id="end is a word"),
        pytest.param(forged({"alg": "HS256"}, claims(exp={"$gt": 0})), id="end is an object"),
        pytest.param(forged({"alg": "HS256"}, ["no", "claims"]), id="claims are a list"),
        pytest.param(forged({"alg": "HS256"}, b"not json"), id="claims are no JSON"),
        pytest.param(f"{part({'alg': 'none'})}.{part(claims())}.", id="alg none"),
        pytest.param(f"{part({'alg': 'None'})}.{part(claims())}.", id="alg None"),
        pytest.param(f"{part({'alg': 'none'})}.{part(claims())}", id="alg none in two parts"),
        pytest.param(forged({"alg": "none"}, claims()), id="alg none with our signature"),
        pytest.param(forged({"alg": "RS256"}, claims()), id="RS256 header over an HMAC of ours"),
        pytest.param(forged({"alg": "hs256"}, claims()), id="alg in lower case"),
        pytest.param(forged({"alg": ["HS256"]}, claims()), id="alg is a list"),
        pytest.param(forged({"alg": None}, claims()), id="alg is null"),
        pytest.param(forged({}, claims()), id="no alg"),
        pytest.param(forged(["HS256"], claims()), id="header is a list"),
        pytest.param(forged({"alg": "HS256", "crit": ["x"]}, claims()), id="unknown critical header"),
        pytest.param(sign()[:-4], id="signature cut"),
        pytest.param(sign() + "AAAA", id="signature lengthened"),
        pytest.param(sign() + ".more", id="four parts"),
        pytest.param("not.a.token", id="no token at all"),
        pytest.param(".", id="one dot"),
        pytest.param("..", id="two dots"),
        pytest.param("Bearer " + sign(), id="with the scheme's name"),
        pytest.param("ünï.cödé.törken", id="not ASCII"),
        pytest.param("\x00", id="a zero byte"),
    ],
)
def test_what_is_not_ours_is_invalid(token: str) -> None:
    assert refusal(token) == INVALID


def test_a_token_with_its_claims_exchanged_is_invalid() -> None:
    header, _, signature = sign().split(".")

    assert refusal(f"{header}.{part(claims(sessionId='session-2'))}.{signature}") == INVALID


def test_a_giant_token_is_invalid_whoever_signed_it() -> None:
    assert refusal(sign(padding="x" * 4000)) == INVALID
    assert refusal("a" * 10_000_000) == INVALID


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
def test_a_header_nested_too_deeply_is_invalid(opening: bytes) -> None:
    depth = 1400 // len(opening)
    assert refusal(f"{part(opening * depth)}.{part(claims())}.{part(b'signature')}") == INVALID


@given(
    st.text(max_size=300)
    | st.lists(st.binary(max_size=90), min_size=1, max_size=4).map(lambda parts: ".".join(map(part, parts)))
)
def test_any_text_at_all_is_refused_in_order(token: str) -> None:
    with pytest.raises(UnauthorizedError):
        tokens().verify(token)


def test_the_previous_secret_is_still_accepted_but_signs_nothing_new() -> None:
    rotated = tokens(secret=SECRET, previous=OLDER)
    assert rotated.verify(sign(OLDER))[0] == "session-1"
    assert rotated.verify(sign(SECRET))[0] == "session-1"
    assert refusal(sign(STRANGER), rotated) == INVALID

    token, _ = rotated.issue("session-2")

    assert tokens(secret=SECRET).verify(token)[0] == "session-2"
    assert refusal(token, tokens(secret=OLDER)) == INVALID


def test_an_expired_token_of_the_previous_secret_is_expired() -> None:
    assert refusal(sign(OLDER, exp=1), tokens(previous=OLDER)) == EXPIRED


def test_without_a_secret_tokens_end_with_the_process() -> None:
    one, other = tokens(secret=None), tokens(secret=None)
    token, _ = one.issue("session-1")

    assert one.verify(token)[0] == "session-1"
    assert refusal(token, other) == INVALID
    assert refusal(forged({"alg": "HS256"}, claims(), ""), one) == INVALID


def test_a_secret_that_is_known_later_is_adopted_and_nobody_is_refused_before() -> None:
    earlier, now = tokens(secret=OLDER), tokens(secret=None)
    now.is_provisional = True
    old, own = earlier.issue("session-1")[0], now.issue("session-2")[0]
    assert now.verify(own)[0] == "session-2"
    with pytest.raises(UnavailableError):
        now.verify(old)

    now.adopt((OLDER,))

    assert (now.verify(old)[0], now.verify(own)[0]) == ("session-1", "session-2")
    assert earlier.verify(now.issue("session-3")[0])[0] == "session-3"
    assert refusal(sign(STRANGER), now) == INVALID
