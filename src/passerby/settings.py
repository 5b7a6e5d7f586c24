"""All settings, from flags (`--grace 30`) or the environment (`GRACE=30`), validated before anything starts."""

from __future__ import annotations

import base64
import ipaddress
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from passerby.hours import HoursError, parse_range, zone_of
from passerby.limits import Rate
from passerby.models import MOST_INTERESTS, STEPS, Step, Want
from passerby.redis_url import RedisUrlError, check_prefix, parse

if TYPE_CHECKING:
    from collections.abc import Mapping


_LEAST_MEMORY: Final = 128 << 20
"""Bytes: less than that is used without any guest."""
_STUN: Final = re.compile(r"stuns?:[^\s/?@]+")
_TURN: Final = re.compile(r"turns?:[^\s/?@]+(\?transport=(udp|tcp))?")
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s#]*)?")
_DATABASE: Final = re.compile(r"none|sqlite:///[^\s?#]*|postgresql://[^\s/]+/[^\s/#]+")
AUTO: Final = "auto"
MOST_WORKERS: Final = 256
"""More processes than any machine has a use for."""
_ORIGIN: Final = re.compile(r"https?://[^/?#@\s]+/?", re.IGNORECASE)


class SettingsError(ValueError):
    """A setting is invalid; the message is one line that names it."""


class Settings(Struct, frozen=True, kw_only=True):
    """The server's settings. Times are in seconds, sizes in bytes, rates are `BURST/PER_SECOND`."""

    host: Annotated[str, Meta(description="Address to listen on; `0.0.0.0` for all interfaces")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on")] = 3001
    workers: Annotated[
        str, Meta(description="Processes that serve, a number, or `auto`: as many as there are processor cores")
    ] = "1"
    drain_seconds: Annotated[
        float, Meta(ge=0, description="Time over which a worker that ends tells its clients to come back, one by one")
    ] = 10
    match_patience: Annotated[
        float,
        Meta(
            ge=0,
            le=5,
            description="Time that a search waits for guests of the same process before those of others; `0`: none",
        ),
    ] = 0.1
    match_interests: Annotated[
        float, Meta(ge=0, le=600, description="Time that a search asks for a shared interest, before any will do")
    ] = 4
    match_language: Annotated[
        float,
        Meta(ge=0, le=600, description="Time after that until anyone will do, also without a shared language"),
    ] = 6
    match_again: Annotated[
        float,
        Meta(ge=0, le=600, description="Time that a search avoids those who were met lately"),
    ] = 10
    match_fair: Annotated[
        float,
        Meta(
            ge=0,
            description="Time after which a search comes before better matches; three times as long: before all",
        ),
    ] = 30
    match_only: Annotated[
        bool, Meta(description="Whether guests may choose that their search gives nothing up, however long it takes")
    ] = False
    match_wants: Annotated[
        tuple[Literal["gender", "location", "none"], ...],
        Meta(description="What guests may want of their partner: `gender`, `location`; or `none`"),
    ] = ("gender", "location")
    interests_limit: Annotated[int, Meta(ge=0, le=MOST_INTERESTS, description="Maximum interests of a search")] = (
        MOST_INTERESTS
    )
    interest_length: Annotated[int, Meta(ge=1, le=200, description="Maximum characters of an interest")] = 40
    consent: Annotated[
        tuple[Literal["links", "pictures", "files", "voice", "audio", "video", "none"], ...],
        Meta(
            description="What a guest is asked for before a stranger sends the first one: `links`, `pictures`, "
            "`files`, `voice`, `audio`, `video` (calls); or `none`"
        ),
    ] = STEPS
    consent_closed: Annotated[
        tuple[Literal["links", "pictures", "files", "voice", "audio", "video", "none"], ...],
        Meta(description="What guests do not get at all whose client cannot ask them, as in `CONSENT`; or `none`"),
    ] = ("none",)
    new_device_seconds: Annotated[
        float, Meta(ge=0, description="Time in which a new browser cannot do what `NEW_DEVICE_CLOSED` names; `0`: none")
    ] = 60
    new_device_closed: Annotated[
        tuple[Literal["links", "pictures", "files", "voice", "audio", "video", "none"], ...],
        Meta(description="What a new browser cannot send at first, as in `CONSENT`; or `none`"),
    ] = ("links", "files")
    database_url: Annotated[
        str | None,
        Meta(
            description="Database of reports, bans and moderators: `sqlite:////srv/passerby.db`, "
            "`postgresql://user:password@host/name`, or `none`; if unset, a file in the user's state directory"
        ),
    ] = None
    evidence_key: Annotated[
        str | None,
        Meta(description="Key that encrypts evidence, 32 bytes as Base64; without it, reports hold no messages"),
    ] = None
    evidence_key_file: Annotated[
        str | None, Meta(description="File with that key; it is made if it does not exist")
    ] = None
    evidence_days: Annotated[float, Meta(gt=0, description="Days until evidence is deleted, unless on hold")] = 30
    record_days: Annotated[float, Meta(gt=0, description="Days until closed cases are deleted, with decisions")] = 365
    report_window: Annotated[
        float, Meta(ge=0, le=600, description="Time after a conversation in which it can be reported")
    ] = 60
    report_memory: Annotated[
        int, Meta(ge=0, description="Maximum bytes of ended conversations and of reports that wait for the database")
    ] = 67_108_864
    address_key_days: Annotated[
        float, Meta(gt=0, description="Days until addresses are hashed with a new key; bans by address end with it")
    ] = 7
    proof_of_work: Annotated[
        Literal["auto", "always", "off"],
        Meta(
            description="Whether a new session costs its browser some work: `auto` (under suspicion), `always`, `off`"
        ),
    ] = "auto"
    calm_address_sessions: Annotated[
        Rate, Meta(description="New sessions per address, and four times as many per network, that raise no suspicion")
    ] = Rate(20, 0.2)
    calm_sessions: Annotated[Rate, Meta(description="New sessions of all addresses that raise no suspicion")] = Rate(
        300, 20
    )
    repeat_partners: Annotated[
        int, Meta(ge=0, description="Partners who may get the same text or link before it is slowed; `0`: any number")
    ] = 5
    skip_partners: Annotated[
        int, Meta(ge=0, description="Partners in a row who leave within seconds before it is a case; `0`: any number")
    ] = 12
    hook_url: Annotated[
        str | None, Meta(description="URL of your service that checks what guests send, before it is delivered")
    ] = None
    hook_secret: Annotated[
        str | None, Meta(description="Key that signs the requests to `HOOK_URL`, at least 32 characters")
    ] = None
    hook_checks: Annotated[
        tuple[Literal["text", "picture", "file"], ...], Meta(description="What hooks check: `text`, `picture`, `file`")
    ] = ("text", "picture", "file")
    hook_timeout: Annotated[float, Meta(gt=0, le=30, description="Time for a hook to answer")] = 2
    hook_fails: Annotated[
        Literal["open", "closed"],
        Meta(description="If a hook does not answer: `open` delivers, `closed` holds what was to be checked"),
    ] = "open"
    word_list: Annotated[str | None, Meta(description="File of words and links that are held")] = None
    picture_list: Annotated[str | None, Meta(description="File of PDQ hashes of pictures that are held")] = None
    age_minimum: Annotated[
        int, Meta(ge=0, le=120, description="Age in years that guests must have; `0`: nobody is asked")
    ] = 0
    age_url: Annotated[str | None, Meta(description="URL of your age assurance provider, which guests are sent to")] = (
        None
    )
    age_secret: Annotated[
        str | None, Meta(description="Key shared with the provider at `AGE_URL`, at least 32 characters")
    ] = None
    rules_file: Annotated[str | None, Meta(description="Markdown file with the rules that guests accept")] = None
    privacy_file: Annotated[str | None, Meta(description="Markdown file with your privacy notice")] = None
    contact_file: Annotated[str | None, Meta(description="Markdown file that says who you are")] = None
    moderate_addresses: Annotated[
        tuple[str, ...], Meta(description="Networks (CIDR, comma-separated) that may open the console; if unset, all")
    ] = ()
    case_hours: Annotated[
        tuple[float, ...],
        Meta(description="Hours in which cases should be decided: of severity 3, 2 and 1, comma-separated"),
    ] = (1, 24, 72)
    met_limit: Annotated[int, Meta(ge=0, le=100, description="Partners whom a guest does not meet again soon")] = 20
    met_seconds: Annotated[float, Meta(ge=0, description="How long they are avoided, after the conversation")] = 1800
    undo_seconds: Annotated[
        float, Meta(ge=0, le=60, description="Time in which Next can be taken back; `0`: never")
    ] = 5
    suggestion_people: Annotated[
        int, Meta(ge=2, le=100, description="Guests who must search with an interest before it is suggested to others")
    ] = 5
    meeting_hours: Annotated[
        tuple[str, ...],
        Meta(
            description="When guests can meet, comma-separated, such as `19:00-22:00,sat 15:00-17:00`; if unset, always"
        ),
    ] = ()
    meeting_timezone: Annotated[str, Meta(description="Time zone of `MEETING_HOURS`, such as `Europe/Berlin`")] = "UTC"
    embedded_memory: Annotated[
        int,
        Meta(ge=16_777_216, description="Maximum bytes that the Valkey takes which workers share without `REDIS_URL`"),
    ] = 1_073_741_824
    metrics_port: Annotated[
        int | None,
        Meta(
            description="Port of the metrics for Prometheus, at `/metrics`; of several workers the first one's, and "
            "the next ones those of the others. If unset, there are none",
        ),
    ] = None
    metrics_host: Annotated[str, Meta(description="Address of the metrics; guests must not reach it")] = "127.0.0.1"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Minimum level of logged messages: `debug`, `info`, `warning` or `error`"),
    ] = "info"
    log_format: Annotated[
        Literal["console", "json"], Meta(description="Log format: `console` for people, or `json`")
    ] = "console"
    cors_origin: Annotated[
        tuple[str, ...],
        Meta(description="Other web origins that may use this server, comma-separated; `*` for all"),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Networks (CIDR, comma-separated) of proxies whose `X-Forwarded-For` is trusted"),
    ] = ()
    redis_url: Annotated[
        str | None,
        Meta(description="Redis or Valkey that keeps everything, such as `redis://host:6379/0`; if unset, memory does"),
    ] = None
    redis_prefix: Annotated[str, Meta(description="Beginning of all names of keys in Redis")] = ""
    jwt_secret: Annotated[
        str | None,
        Meta(description="Key that signs tokens, at least 32 characters; if unset, one is made and kept only in Redis"),
    ] = None
    jwt_secret_previous: Annotated[
        str | None,
        Meta(description="Previous secret, for rotation: its tokens are still accepted"),
    ] = None
    jwt_issuer: Annotated[str, Meta(min_length=1, description="Issuer (`iss`) of the tokens")] = "passerby"
    jwt_audience: Annotated[str, Meta(min_length=1, description="Audience (`aud`) of the tokens")] = "passerby-guests"
    session_ttl: Annotated[float, Meta(gt=0, description="Lifetime of an inactive session and of a token")] = 7200
    sessions_limit: Annotated[int, Meta(ge=1, description="Maximum sessions of the process")] = 100_000
    renew_before: Annotated[
        float,
        Meta(
            gt=0,
            description="Time before a token's expiry when a connected guest gets a new one",
        ),
    ] = 1800
    grace: Annotated[float, Meta(ge=0, description="Time to reconnect after a lost connection")] = 20
    session_sweep: Annotated[float, Meta(gt=0, description="Interval for removing expired sessions from memory")] = 600
    refresh_interval: Annotated[
        float,
        Meta(
            gt=0,
            description="Interval for saving a connected guest's session when nothing changes",
        ),
    ] = 60
    room_log_messages: Annotated[int, Meta(ge=1, description="Messages that a room keeps for replay")] = 200
    room_log_bytes: Annotated[int, Meta(ge=1024, description="Bytes of messages that a room keeps for replay")] = (
        262_144
    )
    text_limit: Annotated[int, Meta(ge=1, description="Maximum characters (grapheme clusters) of a text message")] = (
        1000
    )
    online_sample: Annotated[int, Meta(ge=0, description="Maximum guests in the online list")] = 50
    stats_interval: Annotated[
        float, Meta(gt=0, description="Minimum interval between broadcasts of the statistics")
    ] = 1
    stats_frames: Annotated[
        int, Meta(ge=1, description="Maximum statistics frames a second of all processes together")
    ] = 700
    ping_interval: Annotated[float, Meta(gt=0, description="Interval between heartbeats (pings) of a connection")] = 25
    ping_timeout: Annotated[
        float, Meta(gt=0, description="Time for a client to answer a heartbeat before it is disconnected")
    ] = 20
    connect_timeout: Annotated[
        float, Meta(gt=0, description="Time for a connection to authenticate before it is closed")
    ] = 10
    max_payload: Annotated[
        int, Meta(ge=1024, description="Maximum bytes of one WebSocket message or polling request")
    ] = 131_072
    outbox_limit: Annotated[int, Meta(ge=4096, description="Maximum unread bytes buffered for one client")] = 262_144
    stall_timeout: Annotated[
        float,
        Meta(gt=0, description="Time for a client to read buffered data before it is disconnected"),
    ] = 10
    max_connections: Annotated[int, Meta(ge=1, description="Maximum connections of the process")] = 20_000
    memory_limit: Annotated[
        int,
        Meta(
            ge=0,
            description="Bytes of memory that each process may take; near them, newcomers and uploads are refused "
            "(Linux only). 0: no limit",
        ),
    ] = 0
    max_address_connections: Annotated[int, Meta(ge=1, description="Maximum connections per address")] = 1000
    file_limit: Annotated[int, Meta(ge=1, description="Maximum bytes of one file")] = 10_485_760
    room_files_limit: Annotated[int, Meta(ge=1, description="Maximum bytes of all files of a room")] = 52_428_800
    guest_files_limit: Annotated[int, Meta(ge=1, description="Maximum bytes of all files of a guest")] = 41_943_040
    address_files_limit: Annotated[int, Meta(ge=1, description="Maximum bytes of all files per address")] = 268_435_456
    files_limit: Annotated[int, Meta(ge=1, description="Maximum bytes of all files of the process")] = 536_870_912
    files_per_message: Annotated[
        int, Meta(ge=1, description="Maximum files that the web client offers to send at once")
    ] = 20
    file_ttl: Annotated[
        float, Meta(gt=0, description="Maximum lifetime of a file; it is removed earlier if its room ends")
    ] = 3600
    file_sweep: Annotated[float, Meta(gt=0, description="Interval for removing expired files")] = 300
    file_store: Annotated[
        Literal["auto", "memory", "disk", "redis"],
        Meta(
            description="Where files are stored: `memory`, `disk` or `redis`; `auto` is `memory` without `REDIS_URL`, "
            "`disk` with it and `FILE_DIRECTORY`, `redis` with it alone"
        ),
    ] = "auto"
    file_directory: Annotated[
        str | None, Meta(description="Directory for files on disk; if unset, the system's temporary directory")
    ] = None
    redis_files_limit: Annotated[
        int, Meta(ge=1, description="Maximum bytes that the files of all processes take in Redis")
    ] = 268_435_456
    picture_pixels: Annotated[int, Meta(ge=1, description="Maximum pixels of a picture (width times height)")] = (
        64_000_000
    )
    voice_limit: Annotated[float, Meta(gt=0, description="Maximum seconds of a voice note")] = 300
    upload_timeout: Annotated[float, Meta(gt=0, description="Maximum duration of an upload")] = 600
    upload_pace: Annotated[
        int, Meta(ge=0, description="Minimum bytes a second of an upload, after its first 10 seconds; 0 for any")
    ] = 4096
    ring_timeout: Annotated[float, Meta(gt=0, description="Time to answer a call before it ends")] = 30
    call_return: Annotated[float, Meta(gt=0, description="Time to reconnect to a call after a page reload")] = 5
    stun_urls: Annotated[
        tuple[str, ...], Meta(description="STUN servers for calls, comma-separated, such as `stun:turn.example:3478`")
    ] = ()
    turn_urls: Annotated[
        tuple[str, ...], Meta(description="TURN servers for calls, comma-separated, such as `turn:turn.example:3478`")
    ] = ()
    turn_secret: Annotated[
        str | None, Meta(description="Secret shared with the TURN server (coturn's `static-auth-secret`)")
    ] = None
    turn_ttl: Annotated[float, Meta(gt=0, description="Lifetime of TURN credentials")] = 600
    relay_only: Annotated[
        bool, Meta(description="Calls use only TURN relays, so that guests do not learn each other's address")
    ] = False
    limits_scale: Annotated[
        float,
        Meta(gt=0, description="Multiplies every rate below, and the maxima per address; for load tests"),
    ] = 1
    packet_rate: Annotated[
        float, Meta(gt=0, description="Maximum packets a second of one connection before it is closed")
    ] = 1000
    limit_messages: Annotated[Rate, Meta(description="Messages per guest")] = Rate(30, 5)
    limit_typing: Annotated[Rate, Meta(description="Typing events per guest")] = Rate(100, 40)
    limit_matching: Annotated[Rate, Meta(description="Searches, cancelled searches and left rooms per guest")] = Rate(
        30, 2
    )
    limit_events: Annotated[Rate, Meta(description="All other events per guest")] = Rate(400, 40)
    limit_refusals: Annotated[Rate, Meta(description="Refused events per guest before the connection is closed")] = (
        Rate(50, 1)
    )
    limit_uploads: Annotated[Rate, Meta(description="Uploads per guest")] = Rate(30, 0.2)
    limit_connects: Annotated[Rate, Meta(description="New connections per guest")] = Rate(30, 0.5)
    limit_address_events: Annotated[Rate, Meta(description="Events of all guests per address")] = Rate(4000, 400)
    limit_address_connects: Annotated[Rate, Meta(description="New connections per address")] = Rate(400, 10)
    limit_address_sessions: Annotated[Rate, Meta(description="New sessions per address")] = Rate(100, 1)
    limit_address_uploads: Annotated[Rate, Meta(description="Uploads of all guests per address")] = Rate(300, 5)
    limit_reports: Annotated[Rate, Meta(description="Reports per guest")] = Rate(5, 0.02)
    limit_address_reports: Annotated[Rate, Meta(description="Reports of all guests per address")] = Rate(30, 0.1)
    limit_address_codes: Annotated[
        Rate, Meta(description="Questions about receipts and appeals per address, and appeals")
    ] = Rate(20, 0.1)
    limit_address_logins: Annotated[Rate, Meta(description="Attempts to log in to the console per address")] = Rate(
        10, 0.05
    )
    limit_moderation: Annotated[Rate, Meta(description="Requests of the console per moderator")] = Rate(200, 20)
    limit_address_requests: Annotated[Rate, Meta(description="Other HTTP requests per address")] = Rate(400, 20)

    @property
    def files_in(self) -> Literal["memory", "disk", "redis"]:
        """Return where files are stored: `file_store`, or what it means if it is `auto`."""
        if self.file_store != "auto":
            return self.file_store
        if self.redis_url is None and not self.embeds_redis:
            return "memory"
        return "redis" if self.file_directory is None else "disk"

    @property
    def wants(self) -> list[Want]:
        """Return what guests may want of their partner: `match_wants` without `none`."""
        return [want for want in ("gender", "location") if want in self.match_wants]

    @property
    def steps(self) -> list[Step]:
        """Return what guests are asked for: `consent` without `none`."""
        return [step for step in STEPS if step in self.consent]

    @property
    def closed_steps(self) -> frozenset[Step]:
        """Return what guests do not get whose client cannot ask: `consent_closed` without `none`."""
        return frozenset(step for step in STEPS if step in self.consent_closed)

    @property
    def new_device_steps(self) -> frozenset[Step]:
        """Return what a new browser cannot send at first: `new_device_closed` without `none`."""
        return frozenset(step for step in STEPS if step in self.new_device_closed)

    @property
    def worker_count(self) -> int:
        """Return how many processes serve."""
        return _cores() if self.workers == AUTO else int(self.workers)

    @property
    def embeds_redis(self) -> bool:
        """Return whether the processes share a Valkey that is started with them."""
        return self.worker_count > 1 and self.redis_url is None

    def per_address(self, maximum: int) -> int:
        """Return `max_address_connections` or `address_files_limit`, multiplied by `limits_scale`; at least 1."""
        return max(1, int(maximum * self.limits_scale))

    def rate(self, name: str) -> Rate:
        """Return `limit_<name>`, multiplied by `limits_scale`."""
        rate: Rate = getattr(self, f"limit_{name}")
        return rate.scaled(self.limits_scale)


def _cores() -> int:
    """Return the processor cores that this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


SECRETS: Final = frozenset(
    {
        *("database_url", "redis_url"),
        *("age_secret", "evidence_key", "hook_secret", "jwt_secret", "jwt_secret_previous", "turn_secret"),
    }
)
"""Settings whose values nobody may read: keys, and URLs that may contain a password."""


def changed(settings: Settings) -> dict[str, str]:
    """Return the settings that differ from their defaults, as text, by variable. Secrets are only said to be set."""
    fields = msgspec.structs.fields(Settings)
    values = {field.name: (getattr(settings, field.name), field.default) for field in fields}
    return {
        name.upper(): "(set)" if name in SECRETS else _show(value)
        for name, (value, default) in values.items()
        if value != default
    }


class Description(Struct, frozen=True):
    """A setting for the documentation: environment variable, default as text, meaning."""

    variable: str
    default: str
    meaning: str


def describe() -> list[Description]:
    """Return all settings in order."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        meaning = next(
            note.description for note in get_args(hints[field.name])[1:] if isinstance(note, Meta) and note.description
        )
        rows.append(Description(field.name.upper(), _show(field.default), meaning))
    return rows


def _show(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    if isinstance(value, Rate):
        return f"{value.burst:g}/{value.per_second:g}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def load(environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings. Flags take precedence over the environment; empty variables count as unset.

    Raises SettingsError with one line that names the first invalid setting.
    """
    hints = get_type_hints(Settings, include_extras=True)
    values = {}
    for field in msgspec.structs.fields(Settings):
        variable = field.name.upper()
        text = (flags or {}).get(field.name)
        name = f"--{field.name.replace('_', '-')}"
        if text is None:
            text, name = environment.get(variable) or None, variable
        if text is not None:
            values[field.name] = _parse(name, text, hints[field.name])
    settings = Settings(**values)
    _check(settings)
    return settings


def _parse(name: str, text: str, kind: Any) -> Any:  # noqa: ANN401 - a type from the hints, and a value of it
    bare = get_args(kind)[0]
    value: object = text
    if bare is Rate:
        burst, _, per_second = text.partition("/")
        value = {"burst": burst, "per_second": per_second}
    elif get_origin(bare) is tuple:
        value = [item.strip() for item in text.split(",") if item.strip()]
    try:
        converted = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        if get_origin(bare) is Literal:
            raise SettingsError(f"{name}={text!r}: must be one of {', '.join(get_args(bare))}") from None
        hint = " (want BURST/PER_SECOND, such as 30/5)" if bare is Rate else ""
        raise SettingsError(f"{name}={text!r}: {error}{hint}") from None
    numbers = [converted.burst, converted.per_second] if isinstance(converted, Rate) else [converted]
    if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
        raise SettingsError(f"{name}={text!r}: must be finite")
    return converted


def _check(settings: Settings) -> None:
    """Check rules that a field's type cannot express."""
    for name in ("jwt_secret", "jwt_secret_previous"):
        secret = getattr(settings, name)
        if secret is not None and len(secret) < 32:  # noqa: PLR2004 - RFC 7518 §3.2: 256 bits for HS256
            raise SettingsError(f"{name.upper()}: must have at least 32 characters")
    for network in settings.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise SettingsError(f"TRUSTED_PROXIES={network!r}: is not a network such as 10.0.0.0/8") from None
    for origin in settings.cors_origin:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise SettingsError(f"CORS_ORIGIN={origin!r}: is not an origin such as https://chat.example")
    if settings.renew_before >= settings.session_ttl:
        raise SettingsError("RENEW_BEFORE: must be shorter than SESSION_TTL")
    if settings.refresh_interval >= settings.renew_before:
        raise SettingsError("REFRESH_INTERVAL: must be shorter than RENEW_BEFORE")
    if 0 < settings.memory_limit < _LEAST_MEMORY:
        raise SettingsError(f"MEMORY_LIMIT={settings.memory_limit}: must be 0 or at least {_LEAST_MEMORY}")
    _check_workers(settings)
    _check_metrics(settings)
    _check_redis(settings)
    _check_calls(settings)
    _check_hours(settings)
    _check_safety(settings)


def _check_workers(settings: Settings) -> None:
    number = settings.workers
    is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(MOST_WORKERS))
    if number != AUTO and not (is_number and 1 <= int(number) <= MOST_WORKERS):
        raise SettingsError(f"WORKERS={number!r}: must be a number from 1 to {MOST_WORKERS}, or auto")
    if settings.worker_count > 1 and sys.platform == "win32":
        raise SettingsError("WORKERS: must be 1 on this system")
    if settings.worker_count > 1 and settings.files_in != "redis":
        which = f"FILE_STORE={settings.file_store!r}" if settings.file_store != "auto" else "FILE_DIRECTORY"
        raise SettingsError(f"{which}: several WORKERS need FILE_STORE=redis, which they share")


def _check_metrics(settings: Settings) -> None:
    first = settings.metrics_port
    if first is None:
        return
    if not 0 <= first <= 65_535:  # noqa: PLR2004 - of TCP
        raise SettingsError(f"METRICS_PORT={first}: must be a port from 0 to 65535")
    last = first + settings.worker_count - 1
    if last > 65_535:  # noqa: PLR2004 - the highest port
        raise SettingsError(f"METRICS_PORT={first}: there are fewer ports behind it than WORKERS")
    if first and first <= settings.port <= last:
        raise SettingsError(f"METRICS_PORT={first}: takes PORT {settings.port}, where the guests are")


def _check_redis(settings: Settings) -> None:
    # The URL is not quoted: it contains a password.
    try:
        if settings.redis_url is not None:
            parse(settings.redis_url)
    except RedisUrlError as error:
        raise SettingsError(f"REDIS_URL: {error}") from None
    try:
        check_prefix(settings.redis_prefix)
    except RedisUrlError as error:
        raise SettingsError(f"REDIS_PREFIX={settings.redis_prefix!r}: {error}") from None
    if settings.file_store == "redis" and settings.redis_url is None and not settings.embeds_redis:
        raise SettingsError("FILE_STORE='redis': needs REDIS_URL")


def _check_calls(settings: Settings) -> None:
    for name, pattern in (("stun_urls", _STUN), ("turn_urls", _TURN)):
        for url in getattr(settings, name):
            if not pattern.fullmatch(url):
                raise SettingsError(f"{name.upper()}={url!r}: is not a URL such as {name[:4]}:turn.example:3478")
    if settings.turn_urls and settings.turn_secret is None:
        raise SettingsError("TURN_URLS: needs TURN_SECRET")
    if settings.relay_only and not settings.turn_urls:
        raise SettingsError("RELAY_ONLY: needs TURN_URLS, otherwise no call could connect")


def _check_hours(settings: Settings) -> None:
    for text in settings.meeting_hours:
        try:
            parse_range(text)
        except HoursError as error:
            raise SettingsError(f"MEETING_HOURS={text!r}: {error}") from None
    try:
        zone_of(settings.meeting_timezone)
    except HoursError as error:
        raise SettingsError(f"MEETING_TIMEZONE={settings.meeting_timezone!r}: {error}") from None


def _check_safety(settings: Settings) -> None:
    _check_kept(settings)
    for name in ("hook", "age"):
        url, secret = getattr(settings, f"{name}_url"), getattr(settings, f"{name}_secret")
        if url is not None and not _URL.fullmatch(url):
            raise SettingsError(f"{name.upper()}_URL={url!r}: is not a URL such as https://check.example/")
        if url is not None and secret is None:
            raise SettingsError(f"{name.upper()}_URL: needs {name.upper()}_SECRET")
        if secret is not None and len(secret) < 32:  # noqa: PLR2004 - as JWT_SECRET
            raise SettingsError(f"{name.upper()}_SECRET: must have at least 32 characters")
    for network in settings.moderate_addresses:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise SettingsError(f"MODERATE_ADDRESSES={network!r}: is not a network such as 10.0.0.0/8") from None
    if len(settings.case_hours) != 3 or min(settings.case_hours) <= 0:  # noqa: PLR2004 - severities
        raise SettingsError("CASE_HOURS: must be three numbers of hours, such as 1,24,72")


def _check_kept(settings: Settings) -> None:
    # The URL is not quoted: it may contain a password.
    if settings.database_url is not None and not _DATABASE.fullmatch(settings.database_url):
        raise SettingsError("DATABASE_URL: is not sqlite:////srv/passerby.db, postgresql://user@host/name or none")
    if settings.evidence_key is not None and settings.evidence_key_file is not None:
        raise SettingsError("EVIDENCE_KEY_FILE: cannot be set together with EVIDENCE_KEY")
    if settings.evidence_key is not None and not is_key(settings.evidence_key):
        raise SettingsError("EVIDENCE_KEY: must be 32 bytes as Base64")


def is_key(text: str) -> bool:
    """Return whether `text` is 32 bytes as Base64."""
    try:
        return len(base64.b64decode(text, validate=True)) == 32  # noqa: PLR2004 - AES-256
    except ValueError:
        return False
