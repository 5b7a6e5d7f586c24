"""The tables. A change of them needs a migration in `migrations/versions`; a test compares the two."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""A number that counts up by itself, in both databases."""

cases: Final = Table(
    "cases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source", String(16), nullable=False),
    Column("rule", String(16), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("state", String(16), nullable=False, default="open"),
    Column("opened_at", Float, nullable=False),
    Column("closed_at", Float),
    Column("guest_id", String(64), nullable=False),
    Column("username", String(64), nullable=False),
    Column("language", String(64), nullable=False),
    Column("words", LargeBinary, nullable=False),
    Column("receipt", LargeBinary(32), unique=True),
    Column("report", LargeBinary(32), unique=True),
    Column("reporter", LargeBinary, nullable=False),
    Column("hold_reason", Text, nullable=False, default=""),
    Index("ix_cases_queue", "state", "severity", "opened_at", "id"),
)
"""`words` are sealed if there is a key. `report` is a hash of reporter and room: nobody reports twice. `reporter` are
marks as MessagePack."""
case_marks: Final = Table(
    "case_marks",
    metadata,
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("value", LargeBinary(32), primary_key=True),
    Column("key", Integer, nullable=False),
    Index("ix_case_marks_value", "value"),
)
"""How the subject of a case is known again."""
evidence: Final = Table(
    "evidence",
    metadata,
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("size", Integer, nullable=False),
    Column("about", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""Sealed. `about` has the name and the type of a file; `size` is that of the content."""
sanctions: Final = Table(
    "sanctions",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("version", BigInteger, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("case_id", ForeignKey("cases.id", ondelete="SET NULL")),
    Column("rule", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("begins_at", Float, nullable=False),
    Column("ends_at", Float),
    Column("lifted_at", Float),
    Column("moderator", String(64), nullable=False),
    Column("appeal_code", String(32), nullable=False),
    Column("appeal_digest", LargeBinary(32), unique=True),
    sqlite_autoincrement=True,
)
sanction_marks: Final = Table(
    "sanction_marks",
    metadata,
    Column("sanction_id", ForeignKey("sanctions.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("value", LargeBinary(32), primary_key=True),
    Column("key", Integer, nullable=False),
)
appeals: Final = Table(
    "appeals",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("sanction_id", ForeignKey("sanctions.id", ondelete="CASCADE"), nullable=False),
    Column("made_at", Float, nullable=False),
    Column("words", LargeBinary, nullable=False),
    Column("verdict", String(16), nullable=False, default="waiting"),
    Column("answer", Text, nullable=False, default=""),
    Column("decided_at", Float),
    Column("decided_by", String(64), nullable=False, default=""),
    UniqueConstraint("sanction_id"),
    Index("ix_appeals_verdict", "verdict", "made_at"),
    sqlite_autoincrement=True,
)
"""`words` are sealed if there is a key."""
decisions: Final = Table(
    "decisions",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Float, nullable=False, index=True),
    Column("moderator", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("rule", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("sanction_id", ForeignKey("sanctions.id", ondelete="SET NULL")),
    sqlite_autoincrement=True,
)
moderators: Final = Table(
    "moderators",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("totp_secret", LargeBinary, nullable=False),
    Column("totp_step", BigInteger, nullable=False, default=0),
    Column("setup_hash", LargeBinary(32), unique=True),
    Column("setup_until", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("disabled_at", Float),
    sqlite_autoincrement=True,
)
"""`totp_secret` is sealed if there is a key."""
console_sessions: Final = Table(
    "console_sessions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("moderator_id", ForeignKey("moderators.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("seen_at", Float, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("case_id", String(32)),
    Column("looked_at", Float),
    Index("ix_console_sessions_case_id", "case_id"),
)
"""`case_id` and `looked_at`: at which case the moderator was looking last, and when."""
audit: Final = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", String(64), nullable=False),
    Column("details", LargeBinary, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
)
"""Append-only. `details` are JSON."""
address_keys: Final = Table(
    "address_keys",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("random", LargeBinary(32), nullable=False),
    Column("begun_at", Float, nullable=False),
    sqlite_autoincrement=True,
)
facts: Final = Table(
    "facts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sanction_version", BigInteger, nullable=False, default=0),
    CheckConstraint("number = 1", name="one_row"),
)
"""One row that a change of sanctions locks and counts up."""
