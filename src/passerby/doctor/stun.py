"""STUN messages (RFC 8489) and those of TURN (RFC 8656): bytes to values and back, without a socket."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

HEAD: Final = 20
"""Bytes of a message before its attributes."""
_COOKIE: Final = 0x2112A442
_INTEGRITY_SIZE: Final = 24
"""Bytes of MESSAGE-INTEGRITY: four and an HMAC-SHA1."""


class Method(IntEnum):
    """RFC 8489 §18.2, RFC 8656 §17."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    CREATE_PERMISSION = 0x008


class Kind(IntEnum):
    """The class of a message, as its two bits in the type (RFC 8489 §5)."""

    REQUEST = 0x000
    SUCCESS = 0x100
    ERROR = 0x110


class Attribute(IntEnum):
    """RFC 8489 §18.3, RFC 8656 §18."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_TRANSPORT = 0x0019
    XOR_MAPPED_ADDRESS = 0x0020


Attributes = Sequence[tuple[Attribute, bytes]]


class Message(NamedTuple):
    """A received message."""

    method: int
    kind: int
    transaction: bytes
    attributes: dict[int, bytes]

    def address(self, attribute: Attribute) -> tuple[str, int]:
        """Return host and port of an XOR-ed address. Raises ValueError if there is none."""
        return _address(self.attributes.get(attribute, b""), self.transaction)

    @property
    def error(self) -> int:
        """The code of an error answer, such as 401; 0 if it has none."""
        value = self.attributes.get(Attribute.ERROR_CODE, b"")
        return value[2] % 8 * 100 + value[3] if len(value) >= 4 else 0  # noqa: PLR2004 - RFC 8489 §14.8


def transaction() -> bytes:
    """Return a new transaction id."""
    return secrets.token_bytes(12)


def key(username: str, realm: str, password: str) -> bytes:
    """Return the key of long-term credentials (RFC 8489 §9.2.2, which demands MD5)."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def encode(method: Method, identifier: bytes, attributes: Attributes, integrity: bytes | None = None) -> bytes:
    """Return a request; with the key `integrity` it ends with MESSAGE-INTEGRITY."""
    body = b"".join(
        struct.pack(">HH", attribute, len(value)) + value + bytes(-len(value) % 4) for attribute, value in attributes
    )
    size = len(body) + (_INTEGRITY_SIZE if integrity is not None else 0)
    message = struct.pack(">HHI", method | Kind.REQUEST, size, _COOKIE) + identifier + body
    if integrity is not None:
        code = hmac.digest(integrity, message, "sha1")
        message += struct.pack(">HH", Attribute.MESSAGE_INTEGRITY, len(code)) + code
    return message


def size_of(head: bytes) -> int:
    """Return the bytes of a message from its first HEAD bytes. Raises ValueError if it is no STUN message."""
    kind, size, cookie = struct.unpack_from(">HHI", head)
    if kind >> 14 or size % 4 or cookie != _COOKIE:
        raise ValueError("no STUN message")
    return HEAD + int(size)


def decode(data: bytes) -> Message:
    """Return a message. Raises ValueError if it is none; what stands behind it does not count."""
    if len(data) < HEAD or len(data) < (end := size_of(data)):
        raise ValueError("cut off")
    (kind,) = struct.unpack_from(">H", data)
    attributes: dict[int, bytes] = {}
    at = HEAD
    while at + 4 <= end:
        attribute, size = struct.unpack_from(">HH", data, at)
        if at + 4 + size > end:
            raise ValueError("an attribute is cut off")
        attributes.setdefault(attribute, data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return Message(kind & ~Kind.ERROR, kind & Kind.ERROR, data[8:HEAD], attributes)


def xor_address(host: str, port: int, identifier: bytes) -> bytes:
    """Return the value of an XOR-ed address (RFC 8489 §14.2)."""
    address = ipaddress.ip_address(host)
    family = 1 if address.version == 4 else 2  # noqa: PLR2004 - IPv4
    return struct.pack(">HH", family, port ^ _COOKIE >> 16) + _xor(address.packed, identifier)


def _address(value: bytes, identifier: bytes) -> tuple[str, int]:
    if len(value) not in (8, 20):
        raise ValueError("no address")
    (port,) = struct.unpack_from(">H", value, 2)
    return str(ipaddress.ip_address(_xor(value[4:], identifier))), port ^ _COOKIE >> 16


def _xor(address: bytes, identifier: bytes) -> bytes:
    mask = struct.pack(">I", _COOKIE) + identifier
    return bytes(byte ^ other for byte, other in zip(address, mask, strict=False))
