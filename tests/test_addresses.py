from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.addresses import MAX_HOPS, ClientAddress

PROXIES = ("10.0.0.0/8", "2001:db8:aaaa::/48")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        pytest.param("192.0.2.1", "", "192.0.2.1", id="no proxy, no header"),
        pytest.param("192.0.2.1", "203.0.113.9", "192.0.2.1", id="a stranger's header is not believed"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="the proxy itself"),
        pytest.param("10.0.0.1", "203.0.113.9", "203.0.113.9", id="one proxy"),
        pytest.param("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9", id="spoofed before the proxy"),
        pytest.param("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9", id="spoofed before two proxies"),
        pytest.param("10.0.0.1", "10.0.0.9, 203.0.113.9, 10.0.0.2", "203.0.113.9", id="spoofed as a proxy"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="all hops are proxies"),
        pytest.param("10.0.0.1", "  203.0.113.9  ", "203.0.113.9", id="spaces"),
        pytest.param("10.0.0.1", "203.0.113.9,10.0.0.2", "203.0.113.9", id="no spaces"),
        pytest.param("10.0.0.1", "nonsense", "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1", id="behind something that is no address"),
        pytest.param("10.0.0.1", "203.0.113.9,, ", "203.0.113.9", id="empty hops"),
        pytest.param("10.0.0.1", "<script>, 203.0.113.9", "203.0.113.9", id="rubbish before the proxy"),
        pytest.param("10.0.0.1", "2001:db8::7", "2001:db8::7", id="IPv6 client"),
        pytest.param("2001:db8:aaaa::1", "203.0.113.9", "203.0.113.9", id="IPv6 proxy"),
        pytest.param("2001:db8:bbbb::1", "203.0.113.9", "2001:db8:bbbb::1", id="IPv6 stranger"),
        pytest.param("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9", id="IPv4 proxy on an IPv6 socket"),
        pytest.param("", "203.0.113.9", "", id="no peer"),
        pytest.param("10.0.0.1", "203.0.113.9:17085", "203.0.113.9", id="a port"),
        pytest.param("10.0.0.1", "203.0.113.9:1, 10.0.0.2:65535", "203.0.113.9", id="ports on every hop"),
        pytest.param("10.0.0.1", "[2001:db8::5]:443", "2001:db8::5", id="brackets and a port"),
        pytest.param("10.0.0.1", '"[2001:db8::5]:443"', "2001:db8::5", id="quotes"),
        pytest.param("10.0.0.1", "[2001:DB8::5]", "2001:db8::5", id="brackets"),
        pytest.param("10.0.0.1", "203.0.113.9, [2001:db8:aaaa::1]:443", "203.0.113.9", id="a proxy in brackets"),
        pytest.param("10.0.0.1", "[::ffff:203.0.113.9]:80", "203.0.113.9", id="IPv4 as IPv6 in brackets"),
        pytest.param("10.0.0.1", "[203.0.113.9]:80", "203.0.113.9", id="IPv4 in brackets"),
        pytest.param("10.0.0.1", "2001:db8::5:443", "2001:db8::5:443", id="a port without brackets is not one"),
        pytest.param("10.0.0.1", "203.0.113.9:", "10.0.0.1", id="a colon without a port"),
        pytest.param("10.0.0.1", "203.0.113.9:x", "10.0.0.1", id="a port that is no number"),
        pytest.param("10.0.0.1", "203.0.113.9:123456", "10.0.0.1", id="a port that is too long"),
        pytest.param("10.0.0.1", "[2001:db8::5", "10.0.0.1", id="half a bracket"),
        pytest.param("10.0.0.1", "[]:443", "10.0.0.1", id="empty brackets"),
        pytest.param("10.0.0.1", "[[2001:db8::5]]", "10.0.0.1", id="two brackets"),
        pytest.param("10.0.0.1", "1.2.3:80", "10.0.0.1", id="half an address and a port"),
        pytest.param("10.0.0.1", "[" * 5000, "10.0.0.1", id="endless"),
    ],
)
def test_the_client_is_the_last_hop_that_no_proxy_vouches_for(peer: str, forwarded_for: str, expected: str) -> None:
    assert ClientAddress(PROXIES).of(peer, forwarded_for) == expected


@pytest.mark.parametrize(("peer", "warns"), [("127.0.0.1", True), ("10.1.2.3", True), ("8.8.8.8", False)])
def test_a_proxy_that_nobody_has_named_is_told_once(caplog: pytest.LogCaptureFixture, peer: str, warns: bool) -> None:
    addresses = ClientAddress(())
    for header in ("", "203.0.113.7", "203.0.113.8, 10.0.0.1"):
        assert addresses.of(peer, header) == peer
    told = [record.getMessage() for record in caplog.records]
    assert ["TRUSTED_PROXIES does not name" in line for line in told] == [True] * warns
    assert "203.0.113" not in caplog.text


def test_without_proxies_only_the_socket_counts() -> None:
    assert ClientAddress(()).of("127.0.0.1", "203.0.113.9") == "127.0.0.1"


def test_a_network_with_host_bits_is_that_network() -> None:
    assert ClientAddress(("10.1.2.3/8",)).of("10.200.0.1", "203.0.113.9") == "203.0.113.9"


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_any_address_counts_the_same_with_its_port(address: IPv4Address | IPv6Address, port: int) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    client = ClientAddress(PROXIES)

    assert client.of("10.0.0.1", f"{host}:{port}") == client.of("10.0.0.1", str(address))


@given(st.lists(st.ip_addresses(v=4).map(str) | st.text(max_size=10), max_size=5).map(", ".join))
def test_whatever_a_client_writes_before_the_proxy_changes_nothing(header: str) -> None:
    spoofed = f"{header}, 203.0.113.9" if header else "203.0.113.9"

    assert ClientAddress(PROXIES).of("10.0.0.1", spoofed) == "203.0.113.9"
    assert ClientAddress(PROXIES).of("192.0.2.1", header) == "192.0.2.1"


def test_what_is_no_address_from_a_proxy_is_logged_once_without_it(caplog: pytest.LogCaptureFixture) -> None:
    client = ClientAddress(PROXIES)
    for header in ("unknown", "203.0.113.9, _hidden", "203.0.113.9:x", ""):
        assert client.of("10.0.0.1", header) == "10.0.0.1"

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "X-Forwarded-For" in record.getMessage()
    for secret in ("unknown", "_hidden", "203.0.113.9", "10.0.0.1"):
        assert secret not in record.getMessage()


@pytest.mark.parametrize(
    ("peer", "header"),
    [
        pytest.param("192.0.2.1", "unknown", id="from a stranger"),
        pytest.param("10.0.0.1", "unknown, 203.0.113.9", id="before the proxy"),
        pytest.param("10.0.0.1", "", id="no header, as of a proxy's own checks"),
    ],
)
def test_what_a_client_can_write_is_not_logged(caplog: pytest.LogCaptureFixture, peer: str, header: str) -> None:
    ClientAddress(PROXIES).of(peer, header)

    assert not caplog.records


@pytest.mark.parametrize("network", ["", "10", "10.0.0.0/33", "nowhere", "10.0.0.1-10.0.0.9"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ClientAddress((network,))


def test_a_chain_without_end_is_read_only_so_far() -> None:
    client = ClientAddress(["10.0.0.0/8"])
    chain = ["203.0.113.9", *(f"10.0.0.{number}" for number in range(MAX_HOPS + 5))]

    assert client.of("10.0.0.250", ", ".join(chain[:MAX_HOPS])) == "203.0.113.9"
    assert client.of("10.0.0.250", ", ".join(chain)) == "10.0.0.5"
