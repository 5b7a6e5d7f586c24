from __future__ import annotations

import pytest

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.redis.client import Redis
from passerby.redis_url import RedisUrl, RedisUrlError, Tls, check_prefix, parse
from passerby.settings import SettingsError

GOOD: dict[str, RedisUrl] = {
    "redis://db.example": RedisUrl("server", (("db.example", 6379),)),
    "redis://db.example/": RedisUrl("server", (("db.example", 6379),)),
    "REDIS://db.example:7000/3": RedisUrl("server", (("db.example", 7000),), database=3),
    "redis://db.example?db=3": RedisUrl("server", (("db.example", 6379),), database=3),
    "redis://10.0.0.1:65535": RedisUrl("server", (("10.0.0.1", 65535),)),
    "redis://[::1]:7000": RedisUrl("server", (("::1", 7000),)),
    "redis://[fe80::1%25eth0]": RedisUrl("server", (("fe80::1%eth0", 6379),)),
    "redis://:secret@db_1": RedisUrl("server", (("db_1", 6379),), None, "secret"),
    "redis://:@db": RedisUrl("server", (("db", 6379),)),
    "redis://chat:p%40%2F%3A%23%25@db": RedisUrl("server", (("db", 6379),), "chat", "p@/:#%"),
    "redis://chat:a@b:c@db": RedisUrl("server", (("db", 6379),), "chat", "a@b:c"),
    "rediss://db": RedisUrl("server", (("db", 6379),), tls=Tls()),
    "rediss://db?ssl_ca_certs=/a/b.pem": RedisUrl("server", (("db", 6379),), tls=Tls("/a/b.pem")),
    "rediss://db/1?ssl_certfile=a&ssl_keyfile=b": RedisUrl(
        "server", (("db", 6379),), database=1, tls=Tls(None, "a", "b")
    ),
    "rediss://db?ssl_cert_reqs=none": RedisUrl("server", (("db", 6379),), tls=Tls(is_verified=False)),
    "unix:///run/v/v.sock": RedisUrl("server", (("/run/v/v.sock", 0),)),
    "unix:///a%20b/c@d?db=2": RedisUrl("server", (("/a b/c@d", 0),), database=2),
    "unix://chat:secret@/v": RedisUrl("server", (("/v", 0),), "chat", "secret"),
    "redis+sentinel://a,b:7000,[::1]/mymaster": RedisUrl(
        "sentinel", (("a", 26379), ("b", 7000), ("::1", 26379)), name="mymaster"
    ),
    "redis+sentinel://:p@a/my%20master?db=4": RedisUrl(
        "sentinel", (("a", 26379),), None, "p", database=4, name="my master"
    ),
    "rediss+sentinel://a/m": RedisUrl("sentinel", (("a", 26379),), name="m", tls=Tls()),
    "redis+cluster://u:p@a:1,b": RedisUrl("cluster", (("a", 1), ("b", 6379)), "u", "p"),
    "rediss+cluster://a?ssl_cert_reqs=required": RedisUrl("cluster", (("a", 6379),), tls=Tls()),
}

BAD: dict[str, str] = {
    "": "must begin with",
    "db.example:6379": "must begin with",
    "redis:db.example": "must begin with",
    "http://db.example": "must begin with",
    "redis+tls://db.example": "must begin with",
    "redis://": "no valid host",
    "redis://:6379": "a port without a host",
    "redis:///0": "no valid host",
    "redis://a b": "no valid host",
    "redis://a..b": "no valid host",
    "redis://[::1": "without \\[ \\]",
    "redis://::1": "without \\[ \\]",
    f"redis://{'a' * 64}": "no valid host",
    "redis://db:0": "a port",
    "redis://db:65536": "a port",
    "redis://db:http": "a port",
    "redis://db:٣": "a port",
    "redis://db/one": "a database that is not a number",
    "redis://db/-1": "a database that is not a number",
    "redis://db/0/1": "a database that is not a number",
    "redis://db/1?db=1": "the database twice",
    "redis://db?db=1&db=1": "the same parameter twice",
    "redis://db?ssl_ca_certs=a": "an unknown parameter: it may have db",
    "redis://db?timeout=1": "an unknown parameter",
    "redis://a,b": "more than one host",
    "redis://chat@db": "a user without a password",
    "redis://:secret/x@db": "is no URL",
    "redis://:secret?x@db": "is no URL",
    "redis://:secret#x@db": "is no URL",
    "rediss://db?ssl_cert_reqs=maybe": "must be required or none",
    "rediss://db?ssl_keyfile=a": "ssl_keyfile without ssl_certfile",
    "unix://run/v.sock": "an absolute path",
    "unix://": "an absolute path",
    "unix:///": "an absolute path",
    "unix:///v?db=x": "a database that is not a number",
    f"redis://db/{'9' * 5000}": "a database that is not a number",
    f"redis://db:{'9' * 5000}": "a port that is not a number",
    "rediss://db?ssl_ca_certs=%00": "a parameter with a NUL character",
    "redis+sentinel://a": "the primary's name",
    "redis+sentinel://a/": "the primary's name",
    "redis+sentinel://a/m/0": "the primary's name",
    "redis+sentinel://a,/m": "no valid host",
    "redis+cluster://a/0": "a Cluster has only one",
    "redis+cluster://a?db=1": "a Cluster has only one",
    "redis+cluster://a?x=1": "may not have parameters",
}


@pytest.mark.parametrize("url", GOOD)
def test_what_a_url_means(url: str) -> None:
    assert parse(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_one_line_that_does_not_quote_it(url: str) -> None:
    with pytest.raises(RedisUrlError, match=BAD[url]) as caught:
        parse(url)

    line = str(caught.value)
    assert "\n" not in line
    assert "secret" not in line


@pytest.mark.parametrize("url", [url for url, meaning in GOOD.items() if meaning.password])
def test_no_login_is_shown(url: str) -> None:
    meaning = parse(url)
    assert all(text not in repr(meaning) for text in (meaning.password, meaning.user) if text and len(text) > 1)


@pytest.mark.parametrize("prefix", ["{", "}", "{chat}:", "a{b"])
def test_a_prefix_with_braces_is_refused(prefix: str) -> None:
    with pytest.raises(RedisUrlError, match="must not contain"):
        check_prefix(prefix)


@pytest.mark.parametrize(
    "url", ["redis://db:x", "rediss://db?ssl_ca_certs=/is/not/there", "rediss://db?ssl_certfile=/no"]
)
async def test_a_client_of_a_bad_url_is_not_made(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: "):
        Redis(url, "", Background(SystemClock()))
