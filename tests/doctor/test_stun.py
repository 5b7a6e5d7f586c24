"""STUN messages: the test vectors of RFC 5769, and input that is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.doctor import stun
from passerby.doctor.stun import Attribute, Kind, Method

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a64300080014"
    "2b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
"""RFC 5769 §2.2."""
IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179"
    "bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
"""RFC 5769 §2.3."""
LONG_TERM = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341"
    "0014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)
"""RFC 5769 §2.4."""


@pytest.mark.parametrize(("data", "host"), [(IPV4, "192.0.2.1"), (IPV6, "2001:db8:1234:5678:11:2233:4455:6677")])
def test_addresses_as_in_the_rfc(data: bytes, host: str) -> None:
    message = stun.decode(data)

    assert (message.method, message.kind, message.transaction) == (Method.BINDING, Kind.SUCCESS, TRANSACTION)
    assert message.address(Attribute.XOR_MAPPED_ADDRESS) == (host, 32853)
    assert stun.xor_address(host, 32853, TRANSACTION) == message.attributes[Attribute.XOR_MAPPED_ADDRESS]


def test_long_term_credentials_as_in_the_rfc() -> None:
    username, realm = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "example.org"
    attributes = [
        (Attribute.USERNAME, username.encode()),
        (Attribute.NONCE, b"f//499k954d6OL34oL9FSTvy64sA"),
        (Attribute.REALM, realm.encode()),
    ]
    key = stun.key(username, realm, "TheMatrIX")

    assert stun.encode(Method.BINDING, LONG_TERM[8:20], attributes, key) == LONG_TERM


def test_an_error_has_its_code() -> None:
    data = stun.encode(Method.ALLOCATE, TRANSACTION, [(Attribute.ERROR_CODE, b"\0\0\x04\x01Unauthorized")])

    assert stun.decode(data).error == 401
    assert stun.decode(IPV4).error == 0


@pytest.mark.parametrize("cut", range(len(IPV4)))
def test_a_message_that_is_cut_off_is_none(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        stun.decode(IPV4[:cut])


@given(
    st.binary(max_size=200) | st.builds(lambda at, new: IPV4[:at] + new + IPV4[at:], st.integers(0, 80), st.binary())
)
def test_whatever_comes_it_is_a_message_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        message = stun.decode(data)
        assert 0 <= message.error < 1000
        message.address(Attribute.XOR_MAPPED_ADDRESS)
