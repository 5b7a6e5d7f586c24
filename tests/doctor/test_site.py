"""`--url`: through the real proxies of the README, with mistakes that operators make."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from passerby.doctor import site
from passerby.http.probes import Seen
from tests.doctor.diagnosis import HOST, Report, diagnose, silent
from tests.proxies import proxy
from tests.support.server import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.conftest import StartServer
    from tests.support.server import InsideServer

FINE = ["leads to a Passerby", "passes long polling", "passes WebSockets", "passes files", "no forged address"]
"""One line for each question."""
LARGE = 2 << 20
"""Bytes; more than nginx takes by itself."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let chat.example be this machine."""
    real = socket.getaddrinfo

    def lookup(host: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the original
        return real(HOST if host == proxy.HOST else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def through(name: str, folder: Path, server: InsideServer, **changes: str) -> AbstractContextManager[proxy.Proxy]:
    """Run a proxy of the README in front of a server, with `changes` to the example."""
    try:
        program = proxy.ensure(name)
    except proxy.NoProxyError as error:
        pytest.fail(str(error), pytrace=False)
    return proxy.running(name, program, folder, int(server.url.rpartition(":")[2]), changes=changes)


@contextmanager
def trusted(monkeypatch: pytest.MonkeyPatch, running: AbstractContextManager[proxy.Proxy]) -> Iterator[proxy.Proxy]:
    """Trust the certificate of a proxy."""
    with running as before:
        monkeypatch.setenv("SSL_CERT_FILE", str(before.certificate))
        yield before


@pytest.fixture
async def behind(start_server: StartServer) -> InsideServer:
    """Run a server that trusts proxies on this machine."""
    return await start_server(trusted_proxies=proxy.trusted_proxies())


async def look(url: str) -> Report:
    return await diagnose(url, trusted_proxies=proxy.trusted_proxies(), file_limit=LARGE, files_limit=10 * LARGE)


@pytest.mark.parametrize("name", proxy.NAMES)
async def test_the_readmes_proxies_are_fine(
    name: str, here: None, behind: InsideServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trusted(monkeypatch, through(name, tmp_path, behind)) as before:
        report = await look(before.url)

    lines = report.about(proxy.HOST)
    assert [line.split()[0] for line in lines] == ["ok"] * len(FINE), lines
    assert all(text in line for text, line in zip(FINE, lines, strict=True)), lines
    assert SECRET not in "".join(report.lines)


MISTAKES = [
    ("proxy_set_header Host $http_host;", "", "problem", "must pass `Host` on"),
    ("proxy_set_header Upgrade $http_upgrade;", "", "warning", "does not pass WebSockets on"),
    ("client_max_body_size 0;", "", "problem", "client_max_body_size"),
    ("proxy_request_buffering off;", "", "warning", "proxy_request_buffering"),
    ("proxy_buffering off;", "", "warning", "`proxy_buffering off`"),
    (
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "",
        "problem",
        "passes X-Forwarded-For on as guests write it",
    ),
    (
        "proxy_set_header X-Forwarded-For $remote_addr;",
        'proxy_set_header X-Forwarded-For "";',
        "problem",
        "sends no X-Forwarded-For",
    ),
    (
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-For unknown;",
        "problem",
        "no readable address",
    ),
    (
        "proxy_set_header X-Forwarded-For $remote_addr;",
        'proxy_set_header X-Forwarded-For "203.0.113.9, 198.51.100.7";',
        "warning",
        "203.0.113.9 stands before it",
    ),
    (
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "ok",
        "no forged address",
    ),
    ("location / {", "location /nowhere {", "problem", "not as Passerby does"),
]


@pytest.mark.parametrize(("old", "new", "level", "text"), MISTAKES, ids=[text for _, _, _, text in MISTAKES])
async def test_a_mistake_in_the_configuration_is_named(
    *,
    here: None,
    behind: InsideServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    level: str,
    text: str,
) -> None:
    with trusted(monkeypatch, through("nginx", tmp_path, behind, **{old: new})) as before:
        report = await look(before.url)

    assert report.level(text) == level
    worse = [line for line in report.about(proxy.HOST) if not line.startswith("ok")]
    assert len(worse) == (level != "ok"), worse


# ── a path ────────────────────────────────────────────────────────────────────────────────────────

_NGINX, _CADDY = "    location / {", "\treverse_proxy "
_WAYS = {
    "nginx, as it is": ("nginx", {_NGINX: "    location /chat {"}),
    "nginx, taken away": ("nginx", {_NGINX: "    location /chat/ {\n        rewrite ^/chat/(.*)$ /$1 break;"}),
    "caddy, as it is": ("caddy", {_CADDY: "\treverse_proxy /chat* "}),
    "caddy, taken away": ("caddy", {_CADDY: "\tredir /chat /chat/ 308\n\turi strip_prefix /chat\n\treverse_proxy "}),
}


@pytest.mark.parametrize("way", _WAYS)
async def test_a_path_of_a_site_is_fine(
    way: str, here: None, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server(trusted_proxies=proxy.trusted_proxies(), root_path="/chat")
    name, changes = _WAYS[way]
    with trusted(monkeypatch, through(name, tmp_path, server, **changes)) as before:
        report = await look(f"{before.url}/chat")

    lines = report.about(f"{before.url}/chat")
    assert [line.split()[0] for line in lines] == ["ok"] * (len(FINE) + 1), lines
    assert "/chat/ has the page, as ROOT_PATH says" in lines[1]


_AS_IT_IS = {_NGINX: "    location /chat {"}
_TAKEN = {_NGINX: "    location /chat/ {\n        rewrite ^/chat/(.*)$ /$1 break;"}
_PART = {_NGINX: "    location = /chat/ { return 404; }\n    location /chat {"}
_NO_ASSETS = {_NGINX: "    location /chat/assets { return 404; }\n    location /chat {"}
_NO_SOCKETS = {_NGINX: "    location /chat/socket.io { return 404; }\n    location /chat {"}
_NO_LEAD = {_NGINX: "    location = /chat { return 404; }\n    location /chat/ {"}
_ALL_TAKEN = {_NGINX: "    location /chat {\n        rewrite ^/chat/?(.*)$ /$1 break;"}
_TOO_MUCH = {_NGINX: "    location /chat {\n        rewrite ^/chat/(.*)$ /x/$1 break;"}
MISFITS = [
    ("/chat", "", _TAKEN, "problem", "takes /chat away, and the server does not know.*Set ROOT_PATH=/chat"),
    ("/chat", "", _AS_IT_IS, "problem", "a Passerby that does not know this path. Set ROOT_PATH=/chat"),
    ("/chat", "/chat", _TOO_MUCH, "problem", "take it away and nothing else"),
    ("/chat", "/other", _TAKEN, "problem", "ROOT_PATH is /other in the server. Set it to /chat"),
    ("", "/chat", {}, "problem", "ROOT_PATH is /chat in the server, so guests are at .*/chat/"),
    ("", "/chat", _AS_IT_IS, "problem", "ROOT_PATH is set: check --url"),
    ("/chat", "", {_NGINX: "    location /chat { return 404; }\n    location / {"}, "problem", "but .* does. Let the"),
    ("/chat", "/chat", {_NGINX: "    location /other {"}, "problem", "Check where the proxy sends the path /chat"),
    ("/chat", "/chat", _PART, "problem", "is not the page of Passerby .HTTP 404."),
    ("/chat", "/chat", _NO_ASSETS, "problem", "is the page, but not what it loads .HTTP 404."),
    ("/chat", "/chat", _NO_LEAD, "warning", "does not lead to the page .HTTP 404.. Let the proxy lead /chat to /chat/"),
    ("/chat", "/chat", _ALL_TAKEN, "problem", "without / at its end is the page, which finds nothing"),
    ("/chat", "/chat", _NO_SOCKETS, "problem", "does not pass long polling on .HTTP 404."),
]


@pytest.mark.parametrize(("at", "root", "changes", "level", "text"), MISFITS, ids=[row[-1] for row in MISFITS])
async def test_a_path_that_does_not_fit_is_said(
    *,
    here: None,
    start_server: StartServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    root: str,
    changes: dict[str, str],
    level: str,
    text: str,
) -> None:
    server = await start_server(trusted_proxies=proxy.trusted_proxies(), root_path=root)
    with trusted(monkeypatch, through("nginx", tmp_path, server, **changes)) as before:
        report = await diagnose(
            before.url + at,
            trusted_proxies=proxy.trusted_proxies(),
            file_limit=LARGE,
            files_limit=10 * LARGE,
            root_path=root,
        )

    assert report.level(text) == level


async def test_a_proxy_that_the_server_does_not_trust(
    here: None, server: InsideServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trusted(monkeypatch, through("nginx", tmp_path, server)) as before:
        report = await look(before.url)

    assert report.level(f"add {HOST} to TRUSTED_PROXIES") == "problem"


async def test_a_proxy_without_a_server(
    here: None, start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server()
    with trusted(
        monkeypatch, through("nginx", tmp_path, server, **{"proxy_pass http://": "proxy_pass https://"})
    ) as it:
        report = await look(it.url)

    assert report.level("not as Passerby does") == "problem"


async def test_a_certificate_that_nobody_trusts(here: None, behind: InsideServer, tmp_path: Path) -> None:
    with through("nginx", tmp_path, behind) as before:
        report = await look(before.url)

    assert report.level("the certificate is not valid") == "problem"


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
async def test_without_a_proxy(start_server: StartServer, proxies: tuple[str, ...]) -> None:
    server = await start_server(trusted_proxies=proxies)
    report = await diagnose(server.url, trusted_proxies=proxies)

    lines = report.about(server.url)
    assert [line.split()[0] for line in lines] == ["ok"] * 5, lines
    assert "no proxy stands between" in lines[-1]


@pytest.mark.parametrize("secret", [None, "another secret, which is long enough"])
async def test_without_the_servers_secret_addresses_are_not_checked(server: InsideServer, secret: str | None) -> None:
    report = await diagnose(server.url, jwt_secret=secret)

    assert report.level(f"{server.url}.*JWT_SECRET") == "warning"
    assert report.code == 0


async def test_a_site_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent(socket.SOCK_STREAM) as port:
        report = await diagnose(f"http://{HOST}:{port}", deadline=0.5)

    assert report.level(f"{port}.*no answer within") == "problem"


async def test_one_question_without_an_answer_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "_SECONDS", 0.3)
    monkeypatch.setattr(site, "_NO_ANSWER", 0.2)

    writers = []

    async def only_health(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        line = await reader.readline()
        if b"/health " in line:
            body = b'{"data":{"status":"ok","version":"1"}}'
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    server = await asyncio.start_server(only_health, HOST, 0)
    async with server:
        report = await diagnose(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    lines = report.about(f"{HOST}:") + report.about("no answer")
    assert [line.split()[0] for line in lines] == ["warning", "warning", *["problem"] * 4], lines


async def test_a_name_without_address() -> None:
    assert (await diagnose("https://no-such-host.invalid")).level("has no address") == "problem"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Chat.Example/", ("https://chat.example", "chat.example", 443, "chat.example", True, "")),
        ("https://a.example/x/chat/", ("https://a.example", "a.example", 443, "a.example", True, "/x/chat")),
        (
            "http://chat.example:8080",
            ("http://chat.example:8080", "chat.example", 8080, "chat.example:8080", False, ""),
        ),
        ("https://[2001:db8::5]:444", ("https://[2001:db8::5]:444", "2001:db8::5", 444, "[2001:db8::5]:444", True, "")),
    ],
)
def test_a_url_is_read(url: str, expected: object) -> None:
    assert site.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "count"), [("http://chat.example", 1), ("http://localhost", 0), ("http://127.0.0.1", 0), ("https://a", 0)]
)
def test_a_site_without_tls_is_a_warning(url: str, count: int) -> None:
    assert [finding.level.value for finding in site._scheme(site.parse(url))] == ["warning"] * count


def test_a_guest_who_is_trusted_as_a_proxy_can_choose_the_address() -> None:
    seen = Seen(peer="203.0.113.9", peer_port=1, is_trusted=True, forwarded_for=site.FORGED, address=site.FORGED)
    finding = site._address(site.parse("http://chat.example"), seen, is_direct=True)

    assert finding.level.value == "problem"
    assert "can choose its address" in finding.text


@pytest.mark.parametrize(
    ("name", "stickiness"),
    [("nginx", "hash $remote_addr consistent;"), ("haproxy", "balance source"), ("caddy", "lb_policy ip_hash")],
)
@pytest.mark.parametrize("is_sticky", [True, False])
async def test_a_balancer_that_is_not_sticky(
    *,
    name: str,
    stickiness: str,
    is_sticky: bool,
    here: None,
    start_server: StartServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = []
    for _ in range(2):
        server = await start_server(trusted_proxies=proxy.trusted_proxies())
        ports.append(int(server.url.rpartition(":")[2]))
    others = {"nginx": "", "haproxy": "balance roundrobin", "caddy": "lb_policy round_robin"}
    changes = {} if is_sticky else {stickiness: others[name]}
    before = proxy.running(name, proxy.ensure(name), tmp_path, *ports, changes=changes)
    with trusted(monkeypatch, before) as running:
        report = await look(running.url)

    if is_sticky:
        assert report.level("passes long polling") == "ok"
    else:
        assert report.level("is not sticky for long polling: [1-9]") == "problem"
        assert report.code == 1
