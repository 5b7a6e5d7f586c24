"""All settings, validated before anything starts. `sources` says where they come from."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct

from passerby import values
from passerby.hours import HoursError, parse_range, zone_of
from passerby.limits import Rate
from passerby.models import MOST_INTERESTS, STEPS, Step, Want
from passerby.redis_url import RedisUrlError, check_prefix, parse
from passerby.sources import UNIX, Given, addresses_of, collect, shorten, without_password

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_LEAST_MEMORY: Final = 128 << 20
"""Bytes: less than that is used without any guest."""
_STUN: Final = re.compile(r"stuns?:[^\s/?@]+")
_TURN: Final = re.compile(r"turns?:[^\s/?@]+(\?transport=(udp|tcp))?")
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s#]*)?")
_DATABASE: Final = re.compile(
    r"none|sqlite:///[^\s?#]*|postgresql://([^\s/]*@)?(\[[0-9A-Fa-f:.%]+\]|[^\s/@:\[\]]*)(:(?P<port>[0-9]{1,5}))?/[^\s/#]+"
)
AUTO: Final = "auto"
_LONGEST_NAME: Final = 254
"""Characters of a name, and one (RFC 1035 §2.3.4)."""
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
"""A part of a name, between its dots."""
_LISTS: Final = ("host", "metrics_host")
"""Lists whose parts are not told apart until they are used."""
_LONGEST_PATH: Final = 95
"""Bytes of the path of a Unix socket: 107 by unix(7), less the end of the name that it has at first."""
_ROOT: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_OURS: Final = ("api", "assets", "health", "metrics", "moderate", "schema", "socket.io")
"""How our own paths begin: behind a prefix that is one of them, they could not be told apart."""
_LAST_PORT: Final = 65_535
MOST_WORKERS: Final = 256
"""More processes than any machine has a use for."""
_ORIGIN: Final = re.compile(r"https?://[^/?#@\s]+/?", re.IGNORECASE)


class SettingsError(ValueError):
    """Settings are invalid; the message is one line for each, which names it."""


class Settings(Struct, frozen=True, kw_only=True):
    """The server's settings. Times are in seconds, sizes in bytes, rates are `BURST/PER_SECOND`."""

    host: Annotated[
        str,
        Meta(
            description="Addresses to listen on, comma-separated: `0.0.0.0` for all of IPv4, `::` for all of IPv4 and "
            "IPv6, `unix:/run/passerby/socket` for a Unix socket"
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on")] = 3001
    root_path: Annotated[
        str,
        Meta(
            description="Beginning of the path of all that guests see, such as `/chat`, if the site is not ours alone"
        ),
    ] = ""
    workers: Annotated[
        str, Meta(description="Processes that serve, a number, or `auto`: as many as there are processor cores")
    ] = "1"
    drain_seconds: Annotated[
        float, Meta(ge=0, description="Time over which a worker that ends tells its clients to come back, one by one")
    ] = 10
    stop_notice: Annotated[
        float,
        Meta(
            ge=0, le=3600, description="Time that guests are told before the server stops, if nobody else serves them"
        ),
    ] = 10
    stop_patience: Annotated[
        float,
        Meta(ge=0, le=3600, description="Time after which a stop ends calls and uploads that are still under way"),
    ] = 20
    stop_away: Annotated[
        float, Meta(ge=0, le=3600, description="Time that a restart takes: guests come back after it")
    ] = 5
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
    metrics_host: Annotated[
        str, Meta(description="Addresses of the metrics, comma-separated; guests must not reach them")
    ] = "127.0.0.1"
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
    def has_unix(self) -> bool:
        """Return whether the server listens at a Unix socket."""
        return any(address.startswith(UNIX) for address in addresses_of(self.host))

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
    both = {field.name: (getattr(settings, field.name), field.default) for field in fields}
    return {
        name.upper(): "(set)" if name in SECRETS else without_password(values.show(value))
        for name, (value, default) in both.items()
        if value != default
    }


class Description(Struct, frozen=True):
    """A setting for the documentation: environment variable, default as text, meaning, unit, what it may be."""

    variable: str
    default: str
    meaning: str
    unit: str = ""
    values: str = ""


def describe() -> list[Description]:
    """Return all settings in order."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        kind = hints[field.name]
        meaning = next(note.description for note in values.notes(kind) if note.description)
        unit = values.unit_of(field.name, kind)
        rows.append(Description(field.name.upper(), values.show(field.default), meaning, unit, values.possible(kind)))
    return rows


# ── reading ───────────────────────────────────────────────────────────────────────────────────────


class Entry(Struct, frozen=True):
    """A setting for `passerby config show`: variable, value without secrets, where it comes from."""

    variable: str
    value: str
    origin: str


class Configuration(Struct, frozen=True):
    """What all sources say: the settings, or all that is wrong with them."""

    settings: Settings | None
    """None if there is a problem."""
    problems: list[str]
    """One line each."""
    warnings: list[str]
    """What was left aside, and may be a slip; one line each."""
    entries: list[Entry]
    """Every setting, in order."""


def examine(
    environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None, *, again: bool = False
) -> Configuration:
    """Return the settings of flags, environment and file, and everything that is wrong with them; see `sources`.

    If they are read `again`, what was a pipe is a problem: it is empty now.
    """
    hints = get_type_hints(Settings, include_extras=True)
    found = collect(list(hints), SECRETS, environment, flags or {}, again=again)
    problems, wrong, chosen = list(found.problems), set(found.wrong), {}
    for name in hints:
        given = found.given.get(name)
        if given is not None:
            try:
                chosen[name] = _value(name, given, hints[name])
            except ValueError as error:
                problems.append(_problem(name, given.label, given.text, str(error)))
                wrong.add(name)
    settings = Settings(**chosen)
    for broken in _broken(settings, wrong):
        first = broken.names[0]
        label = found.given[first].label if first in found.given else first.upper()
        problems.append(_problem(first, label, broken.value, broken.reason))
        wrong.add(first)
    return Configuration(
        None if problems else settings,
        problems,
        found.warnings,
        [_entry(name, settings, found.given.get(name), wrong) for name in hints],
    )


def _value(name: str, given: Given, kind: Any) -> Any:  # noqa: ANN401 - a type from the hints, and a value of it
    """Return the value of a setting. Raises ValueError that says what is allowed."""
    if given.is_list and not values.is_list(kind) and name not in _LISTS:
        raise ValueError("must be one value, not a list")
    return values.parse(given.text, kind, values.unit_of(name, kind))


def load(environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings of `examine`. Raises SettingsError with all problems."""
    found = examine(environment, flags)
    if found.settings is None:
        raise SettingsError("\n".join(found.problems))
    return found.settings


def _entry(name: str, settings: Settings, given: Given | None, wrong: set[str]) -> Entry:
    value = getattr(settings, name)
    text = values.show(value)
    if name in wrong:
        text = "(wrong)"
    elif value is not None and name.endswith("_url"):
        text = without_password(text)
    elif value is not None and name in SECRETS:
        text = "(secret)"
    return Entry(name.upper(), text, "default" if given is None else given.origin)


def _problem(name: str, label: str, value: object, reason: str) -> str:
    if value is None or name in SECRETS:
        return f"{label}: {reason}"
    return f"{label}={shorten(without_password(str(value)))}: {reason}"


# ── rules that a type cannot express ──────────────────────────────────────────────────────────────


class _Broken(Struct, frozen=True):
    """A rule that some settings break together. The first one is named."""

    names: tuple[str, ...]
    reason: str
    value: object = None
    """What is wrong of the first one; None if it is not its value."""


def _broken(settings: Settings, wrong: set[str]) -> Iterator[_Broken]:
    """Yield what is wrong, except about settings that are `wrong` already."""
    for broken in _broken_alone(settings):
        if broken.names[0] not in wrong:
            wrong.add(broken.names[0])
            yield broken
    if "workers" in wrong:  # how many there are is asked for below
        settings = msgspec.structs.replace(settings, workers="1")
    for broken in _broken_together(settings):
        if wrong.isdisjoint(broken.names):
            yield broken


def _broken_alone(settings: Settings) -> Iterator[_Broken]:
    """Yield the rules that one setting breaks."""
    for name in ("jwt_secret", "jwt_secret_previous", "hook_secret", "age_secret"):
        secret = getattr(settings, name)
        if secret is not None and len(secret) < 32:  # noqa: PLR2004 - RFC 7518 §3.2: 256 bits for HS256
            yield _Broken((name,), f"must have at least 32 characters, and has {len(secret)}")
    if 0 < settings.memory_limit < _LEAST_MEMORY:
        yield _Broken(("memory_limit",), f"must be 0 or at least {_LEAST_MEMORY} bytes", settings.memory_limit)
    first = settings.metrics_port
    if first is not None and not 0 <= first <= _LAST_PORT:
        yield _Broken(("metrics_port",), f"must be a whole number from 0 to {_LAST_PORT}", first)
    number = settings.workers
    is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(MOST_WORKERS))
    if number != AUTO and not (is_number and 1 <= int(number) <= MOST_WORKERS):
        yield _Broken(("workers",), f"must be a number from 1 to {MOST_WORKERS}, or auto", number)
    hours = settings.case_hours
    if len(hours) != 3 or min(hours) <= 0:  # noqa: PLR2004 - severities
        yield _Broken(("case_hours",), "must be three numbers of hours, such as 1,24,72", values.show(hours))
    root = settings.root_path
    if not is_root(root):
        yield _Broken(("root_path",), "must be a path such as /chat: it begins with / and does not end with it", root)
    elif root and root.split("/")[1] in _OURS:
        yield _Broken(("root_path",), f"must not begin with a path of Passerby's own: {', '.join(_OURS)}", root)
    yield from _broken_host(settings)
    yield from _broken_places(settings)
    yield from _broken_stores(settings)
    yield from _broken_hours(settings)


def _broken_host(settings: Settings) -> Iterator[_Broken]:
    for name, ways in (("host", "IP addresses, names or unix:/path"), ("metrics_host", "IP addresses or names")):
        for address in addresses_of(getattr(settings, name)) or [""]:
            if name == "host" and address.startswith(UNIX):
                path = address.removeprefix(UNIX)
                if not path.startswith("/") or len(os.fsencode(path)) > _LONGEST_PATH:
                    reason = f"must be {UNIX} and a path that begins with /, of at most {_LONGEST_PATH} bytes"
                    yield _Broken((name,), reason, address)
            elif not _is_place(address):
                port = name.replace("host", "port").upper()
                reason = f"must be {ways}, separated by commas; the port is {port}"
                yield _Broken((name,), reason, address)


def _is_place(address: str) -> bool:
    """Return whether it is an IP address, or may be a name."""
    if ":" in address or not address.strip("0123456789."):
        try:
            return getattr(ipaddress.ip_address(address), "ipv4_mapped", None) is None
        except ValueError:
            return False
    return len(address) < _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in address.split("."))


def _broken_places(settings: Settings) -> Iterator[_Broken]:
    for name in ("trusted_proxies", "moderate_addresses"):
        for network in getattr(settings, name):
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                yield _Broken((name,), "is not a network such as 10.0.0.0/8, or an address", network)
    for origin in settings.cors_origin:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            yield _Broken(("cors_origin",), "is not an origin such as https://chat.example, without a path", origin)
    for name, pattern in (("stun_urls", _STUN), ("turn_urls", _TURN)):
        for url in getattr(settings, name):
            if not pattern.fullmatch(url):
                yield _Broken((name,), f"is not a URL such as {name[:4]}:turn.example:3478", url)


def _broken_stores(settings: Settings) -> Iterator[_Broken]:
    for name in ("hook_url", "age_url"):
        url = getattr(settings, name)
        if url is not None and not _URL.fullmatch(url):
            yield _Broken((name,), "is not a URL such as https://check.example/", without_password(url))
    # These URLs are not quoted: they contain passwords.
    try:
        if settings.redis_url is not None:
            parse(settings.redis_url)
    except RedisUrlError as error:
        yield _Broken(("redis_url",), str(error))
    try:
        check_prefix(settings.redis_prefix)
    except RedisUrlError as error:
        yield _Broken(("redis_prefix",), str(error), settings.redis_prefix)
    found = None if settings.database_url is None else _DATABASE.fullmatch(settings.database_url)
    if settings.database_url is not None and (found is None or int(found["port"] or 1) not in range(1, _LAST_PORT + 1)):
        yield _Broken(("database_url",), "is not sqlite:////srv/passerby.db, postgresql://user@host/name or none")
    if settings.evidence_key is not None and not is_key(settings.evidence_key):
        yield _Broken(("evidence_key",), "must be 32 bytes as Base64, such as from `openssl rand -base64 32`")


def _broken_hours(settings: Settings) -> Iterator[_Broken]:
    for text in settings.meeting_hours:
        try:
            parse_range(text)
        except HoursError as error:
            yield _Broken(("meeting_hours",), str(error), text)
    try:
        zone_of(settings.meeting_timezone)
    except HoursError as error:
        yield _Broken(("meeting_timezone",), str(error), settings.meeting_timezone)


def _broken_together(settings: Settings) -> Iterator[_Broken]:
    """Yield the rules that several settings break, each of which is right alone."""
    for shorter, longer in (("renew_before", "session_ttl"), ("refresh_interval", "renew_before")):
        time, limit = getattr(settings, shorter), getattr(settings, longer)
        if time >= limit:
            yield _Broken(
                (shorter, longer), f"must be shorter than {longer.upper()}, which is {limit:g}", values.show(time)
            )
    if settings.worker_count > 1 and sys.platform == "win32":
        yield _Broken(("workers",), "must be 1 on this system", settings.workers)
    if settings.worker_count > 1 and settings.files_in != "redis":
        name = "file_store" if settings.file_store != "auto" else "file_directory"
        yield _Broken(
            (name, "workers", "file_store"),
            "several WORKERS need FILE_STORE=redis, which they share",
            getattr(settings, name),
        )
    if settings.file_store == "redis" and settings.redis_url is None and not settings.embeds_redis:
        yield _Broken(("file_store", "redis_url", "workers"), "needs REDIS_URL", settings.file_store)
    yield from _broken_metrics(settings)
    if settings.turn_urls and settings.turn_secret is None:
        yield _Broken(("turn_urls", "turn_secret"), "needs TURN_SECRET")
    if settings.relay_only and not settings.turn_urls:
        yield _Broken(("relay_only", "turn_urls"), "needs TURN_URLS, otherwise no call could connect")
    for name in ("hook", "age"):
        if getattr(settings, f"{name}_url") is not None and getattr(settings, f"{name}_secret") is None:
            yield _Broken((f"{name}_url", f"{name}_secret"), f"needs {name.upper()}_SECRET")


def _broken_metrics(settings: Settings) -> Iterator[_Broken]:
    first = settings.metrics_port
    if first is None:
        return
    last = first + settings.worker_count - 1
    if last > _LAST_PORT:
        yield _Broken(("metrics_port", "workers"), "there are fewer ports behind it than WORKERS", first)
    elif first and first <= settings.port <= last:
        yield _Broken(("metrics_port", "port", "workers"), f"takes PORT {settings.port}, where the guests are", first)


def is_root(path: str) -> bool:
    """Return whether everything can be under a path: it is empty, or begins with / and does not end with it."""
    return _ROOT.fullmatch(path) is not None


def is_key(text: str) -> bool:
    """Return whether `text` is 32 bytes as Base64."""
    try:
        return len(base64.b64decode(text, validate=True)) == 32  # noqa: PLR2004 - AES-256
    except ValueError:
        return False
