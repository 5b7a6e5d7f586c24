"""Checks of `--url`, the address that guests use: TLS, its path, WebSockets, uploads, and what proxies tell."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import re
import secrets
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from msgspec import MsgspecError, Struct, json

from passerby.clock import SystemClock
from passerby.doctor.connections import Answer, Streams, connected, exchange, reason, request_head
from passerby.doctor.findings import Check, Finding, Found, findings_of, ok, problem, warning
from passerby.doctor.port import serving, version_of
from passerby.doctor.process import size
from passerby.errors import Code
from passerby.guests.tokens import derive
from passerby.http.probes import HEADER, PATH, PAUSE, PURPOSE, Probes, Seen
from passerby.settings import Settings, SettingsError, is_root

_SECONDS: Final = 4.0
"""Seconds for each question."""
_NO_ANSWER: Final = 2.5
"""Seconds after which a proxy that has not passed the head of an upload on is one that waits for its body."""
_PIECE: Final = 8 * 1024
"""Bytes of an upload that are sent at a time: some proxies pass head and answer on only together with more of it."""
_PACE: Final = 0.2
"""Seconds between two pieces."""
FORGED: Final = "192.0.2.1"
"""Sent as X-Forwarded-For, as a guest could; an address for documentation (RFC 5737)."""
_OK, _SWITCHED, _UNAUTHORIZED, _FORBIDDEN, _TOO_LARGE = 200, 101, 401, 403, 413
ORIGIN_FORBIDDEN: Final = Code.ORIGIN_FORBIDDEN.encode()
_READ: Final = 4096
_LONG_FRAME: Final = 126
_POLLING: Final = "/socket.io/?EIO=4&transport=polling"
_TIMES: Final = 12
"""Requests of one session: with two machines, chance sends all to the right one less often than once in 2,000 times."""
_NOOP, _CLOSE = b"6", b"1"
"""Packets of Engine.IO: the first means nothing."""
_SOCKETS: Final = "/socket.io/"
_ASSET: Final = re.compile(rb"""["']\./(assets/[^"']+)""")
"""The address of a part of the page."""
_UNKNOWN: Final = b'"not_found"'
"""The code in a Passerby's answer for a path that it does not know."""
_WEBSOCKET: Final = "/socket.io/?EIO=4&transport=websocket"


class _Opened(Struct):
    """What is needed of the first packet of a session."""

    sid: str


class Site(NamedTuple):
    """Where guests find the server. `netloc` is host and port as a browser sends them, `url` the origin.

    `root` is the beginning of all paths there, as in ROOT_PATH.
    """

    url: str
    host: str
    port: int
    netloc: str
    is_tls: bool
    root: str = ""

    @property
    def place(self) -> str:
        """Return the address for people."""
        return self.url + self.root

    def connected(self) -> contextlib.AbstractAsyncContextManager[Streams]:
        """Connect. Raises Found."""
        return connected(
            self.url, self.host, self.port, encryption=ssl.create_default_context() if self.is_tls else None
        )

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """Return the head of a request as the page's own would be."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return request_head(method, self.root + path, self.netloc, {"Origin": self.url, **named})

    async def get(self, path: str, **headers: str) -> Answer:
        """Return the answer to a request on a connection of its own. Raises Found."""
        async with self.connected() as streams:
            return await self.ask(streams, self.head("GET", path, Connection="close", **headers))

    async def ask(self, streams: Streams, head: bytes) -> Answer:
        """Send a request. Raises Found."""
        try:
            return await exchange(streams, head)
        except OSError as error:
            raise Found(
                problem(f"{self.place} does not answer: {reason(error)}. Check the proxy and the server")
            ) from None


def parse(url: str) -> Site:
    """Return the site of `--url`. Raises SettingsError; the text has no password that the URL may contain."""
    wrong = SettingsError("--url: is not the address of a site such as https://chat.example")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    root = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.query or not is_root(root):
        raise wrong
    is_tls = parts.scheme == "https"
    netloc = parts.netloc.lower()
    if not all("!" <= letter <= "~" for letter in netloc):
        raise wrong
    return Site(f"{parts.scheme}://{netloc}", host, port or (443 if is_tls else 80), netloc, is_tls, root)


def checks(settings: Settings, site: Site | None) -> Iterator[Check]:
    """Yield the check, if there is a site."""
    if site is not None:
        yield Check(site.place, lambda: look_at(site, settings))


async def look_at(site: Site, settings: Settings) -> Sequence[Finding]:
    """Ask whether Passerby answers there; if so, ask everything else at once."""
    answer = await site.get("/health")
    version = version_of(answer)
    if version is None:
        raise Found(await _elsewhere(site, settings, answer))
    parts = [
        Check("its path", lambda: path(site)),
        Check("long polling", lambda: polling(site)),
        Check("a WebSocket", lambda: websocket(site)),
        Check("an upload", lambda: upload(site, settings)),
        Check("a signed request", lambda: forwarded(site, settings)),
    ]
    found = await asyncio.gather(*(findings_of(part, _SECONDS) for part in parts))
    return [
        serving(f"{site.place} leads to a Passerby", version),
        *_scheme(site),
        *(one for part in found for one in part),
    ]


# ── the path ──────────────────────────────────────────────────────────────────────────────────────


class _Server(Struct):
    pathname: str


class _Servers(Struct):
    this: _Server


class _Document(Struct):
    servers: _Servers


async def _elsewhere(site: Site, settings: Settings, answer: Answer) -> Finding:
    """Return what may be wrong where `/health` is not Passerby's."""
    if not site.root:
        hint = f" ROOT_PATH is set: check --url {site.url}{settings.root_path}, too." if settings.root_path else ""
        text = f"{site.place} answers, but not as Passerby does.{hint} Check where the proxy sends its requests"
        return problem(text)
    if _UNKNOWN in answer.body:
        return problem(
            f"{site.place} leads to a Passerby that does not know this path. Set ROOT_PATH={site.root} in the server, "
            f"and let the proxy pass {site.root} on as it comes, or take it away and nothing else"
        )
    with contextlib.suppress(Found):
        if version_of(await site._replace(root="").get("/health")) is not None:
            return problem(
                f"{site.place} does not lead to Passerby, but {site.url} does. Let the proxy send {site.root} to the "
                f"server, and set ROOT_PATH={site.root}; or check --url {site.url}"
            )
    return problem(
        f"{site.place} answers, but not as Passerby does. Check where the proxy sends the path {site.root}, "
        f"and that ROOT_PATH={site.root} is set in the server"
    )


async def path(site: Site) -> Sequence[Finding]:
    """Ask whether the server takes itself to be where it is; and under a path, whether the page works there."""
    known = await _root_of(site)
    if known is not None and known != site.root:
        return [problem(_misfit(site, known))]
    return [await _page(site)] if site.root else []


async def _page(site: Site) -> Finding:
    """Ask for the page under a path, for a part of it, and for the path without its last slash."""
    page, bare = await asyncio.gather(site.get("/"), site.get(""))
    asset = _ASSET.search(page.body)
    if page.status != _OK or asset is None:
        return problem(f"{site.place}/ is not the page of Passerby (HTTP {page.status}). Let the proxy pass it on")
    loaded = await site.get(f"/{asset[1].decode()}")
    if loaded.status != _OK:
        text = f"{site.place}/ is the page, but not what it loads (HTTP {loaded.status}). Let all paths below pass"
        return problem(text)
    if bare.status == _OK:
        return problem(f"{site.place} without / at its end is the page, which finds nothing from there. {_lead(site)}")
    if urlsplit(bare.headers.get("location", "")).path != f"{site.root}/":
        text = f"{site.place} without / at its end does not lead to the page (HTTP {bare.status}). {_lead(site)}"
        return warning(text)
    return ok(f"{site.place}/ has the page, as ROOT_PATH says")


async def _root_of(site: Site) -> str | None:
    """Return the ROOT_PATH of the server; None if it does not tell."""
    try:
        document = json.decode((await site.get("/schema/asyncapi.json")).body, type=_Document)
    except MsgspecError:
        return None
    return document.servers.this.pathname.removesuffix(_SOCKETS)


def _misfit(site: Site, known: str) -> str:
    if not known:
        return (
            f"{site.place}: the proxy takes {site.root} away, and the server does not know: links of files and the "
            f"console's cookie lead elsewhere. Set ROOT_PATH={site.root} in the server"
        )
    if not site.root:
        return (
            f"{site.place}: ROOT_PATH is {known} in the server, so guests are at {site.url}{known}/. "
            f"Check --url {site.url}{known}, or unset ROOT_PATH"
        )
    return (
        f"{site.place}: ROOT_PATH is {known} in the server. Set it to {site.root}, or lead {known} there in the proxy"
    )


def _lead(site: Site) -> str:
    return (
        f"Let the proxy lead {site.root} to {site.root}/ (nginx: `location = {site.root} "
        f"{{ return 308 {site.root}/; }}`, Caddy: `redir {site.root} {site.root}/ 308`)"
    )


# ── what is passed on ─────────────────────────────────────────────────────────────────────────────


def _scheme(site: Site) -> Sequence[Finding]:
    if site.is_tls or is_local(site.host):
        return []
    text = (
        f"{site.place} has no TLS: browsers give no microphone, camera or notification. Put a proxy with TLS in front"
    )
    return [warning(text)]


def is_local(host: str) -> bool:
    """Return whether a host is this machine, where browsers need no TLS."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def polling(site: Site) -> Sequence[Finding]:
    """Begin a session by long polling, as a page of this site would."""
    answer = await site.get(_POLLING)
    if answer.status == _FORBIDDEN:
        text = (
            f"{site.place} refuses its own page: the proxy must pass `Host` on as it comes "
            f"(nginx: `proxy_set_header Host $http_host`), or CORS_ORIGIN must list {site.url}"
        )
        return [problem(text)]
    if answer.status != _OK or not answer.body.startswith(b"0{"):
        return [problem(f"{site.place} does not pass long polling on (HTTP {answer.status}). Let all paths pass")]
    return [await _sticky(site, answer.body) or ok(f"{site.place} passes long polling and `Host` on")]


async def _sticky(site: Site, opened: bytes) -> Finding | None:
    """Use a session over many new connections; return a problem if it is not known each time."""
    try:
        sid = json.decode(opened[1:], type=_Opened).sid
    except MsgspecError:
        return problem(f"{site.place} changes the answers of long polling. Let it pass them on as they are")
    answers = await asyncio.gather(*(_post(site, sid, _NOOP) for _ in range(_TIMES)))
    unknown = sum(answer.status != _OK for answer in answers)
    await _post(site, sid, _CLOSE)
    if not unknown:
        return None
    return problem(
        f"{site.place} is not sticky for long polling: {unknown} of {_TIMES} requests of one session came to a machine "
        "that does not know it. Let the balancer send a guest always to the same machine "
        "(nginx: `hash $remote_addr consistent`, HAProxy: `balance source`)"
    )


async def _post(site: Site, sid: str, packet: bytes) -> Answer:
    """Send a packet of a session of long polling, on a connection of its own."""
    head = site.head(
        "POST",
        f"{_POLLING}&sid={quote(sid, safe='')}",
        Connection="close",
        Content_Type="text/plain;charset=UTF-8",
        Content_Length=str(len(packet)),
    )
    async with site.connected() as streams:
        return await site.ask(streams, head + packet)


async def websocket(site: Site) -> Sequence[Finding]:
    """Open a WebSocket, and read the first message of the server."""
    head = site.head(
        "GET",
        _WEBSOCKET,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=base64.b64encode(secrets.token_bytes(16)).decode(),
    )
    async with site.connected() as (reader, writer):
        writer.write(head)
        try:
            first = await reader.readuntil(b"\r\n\r\n")
            status = first.split(b" ", 2)[1].decode("ascii", "replace")
            if status == str(_SWITCHED) and (await _message(reader)).startswith(b"0{"):
                return [ok(f"{site.place} passes WebSockets on")]
            if status == str(_FORBIDDEN) and ORIGIN_FORBIDDEN in first + await reader.read(_READ):
                return []  # long polling is refused for the same reason, and says which
            what = f"HTTP {status}"
        except (OSError, EOFError, IndexError, asyncio.LimitOverrunError):
            what = "the connection was closed"
    text = (
        f"{site.place} does not pass WebSockets on ({what}): guests use long polling, which costs more. "
        "Let the proxy pass `Upgrade` and `Connection` on, with HTTP/1.1 to the server"
    )
    return [warning(text)]


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Return the payload of one short frame from a server (RFC 6455 §5.2). Raises EOFError."""
    _, length = await reader.readexactly(2)
    if length == _LONG_FRAME:
        length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


async def upload(site: Site, settings: Settings) -> Sequence[Finding]:
    """Announce a file of the largest size, and begin to send it: the server asks for a token at once."""
    largest = settings.file_limit
    head = site.head("PUT", "/api/files/doctor", Content_Length=str(largest), Content_Type="application/octet-stream")
    async with site.connected() as streams:
        try:
            async with asyncio.timeout(_NO_ANSWER):
                answer = await _begin(site, streams, head, largest)
        except TimeoutError:
            text = (
                f"{site.place} keeps uploads until they are complete. "
                "Let the proxy pass them on at once (nginx: `proxy_request_buffering off`)"
            )
            return [warning(text)]
    if answer.status == _TOO_LARGE:
        text = (
            f"{site.place} refuses files of FILE_LIMIT ({size(largest)}). "
            "Let the proxy take larger requests (nginx: `client_max_body_size 0`)"
        )
        return [problem(text)]
    if answer.status != _UNAUTHORIZED:
        return [problem(f"{site.place} does not pass uploads on (HTTP {answer.status}). Let PUT requests pass")]
    return [ok(f"{site.place} passes files of FILE_LIMIT ({size(largest)}) on, as they come")]


async def _begin(site: Site, streams: Streams, head: bytes, largest: int) -> Answer:
    """Send an upload slowly until the answer comes, or until little is left of it."""
    asking = asyncio.ensure_future(site.ask(streams, head))
    try:
        for _ in range(0, largest - 2 * _PIECE, _PIECE):
            done, _ = await asyncio.wait([asking], timeout=_PACE)
            if done:
                break
            streams[1].write(bytes(_PIECE))
        return await asking
    finally:
        asking.cancel()


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────


class _Envelope(Struct):
    data: Seen


async def forwarded(site: Site, settings: Settings) -> Sequence[Finding]:
    """Ask the server which address it sees, with an X-Forwarded-For as a guest could forge it."""
    if settings.jwt_secret is None:
        text = f"{site.place}: what proxies tell of a guest's address can only be checked if JWT_SECRET is set"
        return [warning(text)]
    probes = Probes(derive(settings.jwt_secret, PURPOSE), SystemClock())
    async with site.connected() as streams:
        own_port = streams[1].get_extra_info("sockname")[1]
        headers = {"X_Forwarded_For": FORGED, HEADER: probes.sign()}
        answer = await site.ask(streams, site.head("GET", PATH, Connection="close", **headers))
    try:
        seen = json.decode(answer.body, type=_Envelope).data
    except MsgspecError:
        text = (
            f"{site.place} did not accept the signature of this program: what proxies tell of a guest's address was "
            "not checked. Run it with the JWT_SECRET of the server, in the same version, and with the right time"
        )
        return [warning(text)]
    return [_address(site, seen, is_direct=seen.peer_port == own_port), *_spread(site, answer)]


def _spread(site: Site, answer: Answer) -> Sequence[Finding]:
    if answer.spread > PAUSE / 2:
        return []
    text = (
        f"{site.place} keeps answers until they are complete, also files of guests. "
        "Let the proxy pass them on at once (nginx: `proxy_buffering off`)"
    )
    return [warning(text)]


def _address(site: Site, seen: Seen, *, is_direct: bool) -> Finding:
    if is_direct:
        return _direct(site, seen)
    if not seen.is_trusted:
        return problem(
            f"{site.place}: the server sees all guests as {seen.peer}, so they share its limits. "
            f"If that is your proxy, add {seen.peer} to TRUSTED_PROXIES"
        )
    hops = [hop.strip() for hop in seen.forwarded_for.split(",") if hop.strip()]
    wrong = _not_told(seen, hops)
    if wrong:
        return problem(
            f"{site.place}: the proxy {seen.peer} {wrong}. Let it set X-Forwarded-For itself "
            "(nginx: `proxy_set_header X-Forwarded-For $remote_addr`)"
        )
    before = [hop for hop in hops[:-1] if hop != FORGED]
    if before and seen.address != FORGED:
        return warning(
            f"{site.place}: the server takes {seen.address} for the guest, and {before[-1]} stands before it. "
            f"If {seen.address} is a proxy of yours, add it to TRUSTED_PROXIES"
        )
    mine = hops[-1] if seen.address == FORGED else seen.address  # this machine is a trusted proxy itself
    return ok(
        f"{site.place}: through the proxy {seen.peer} the server sees this machine as {mine}, and no forged address"
    )


def _not_told(seen: Seen, hops: Sequence[str]) -> str:
    """Return what is wrong with the hops that a trusted proxy reports, or nothing."""
    if not hops:
        return "sends no X-Forwarded-For, so all guests share its limits"
    if hops == [FORGED]:
        return "passes X-Forwarded-For on as guests write it, so they can choose their address"
    if seen.address == seen.peer != hops[-1]:
        return "sends an X-Forwarded-For that has no readable address, so all guests share its limits"
    return ""


def _direct(site: Site, seen: Seen) -> Finding:
    if seen.address == FORGED and not is_local(seen.peer):
        return problem(
            f"{site.place}: {seen.peer} is no proxy, but in TRUSTED_PROXIES, so it can choose its address. Remove it"
        )
    return ok(f"{site.place}: no proxy stands between the server and this machine, which it sees as {seen.peer}")
