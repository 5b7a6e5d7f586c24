from __future__ import annotations

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
        pytest.param("10.0.0.1", "203.0.113.9,", "10.0.0.1", id="empty hop"),
        pytest.param("10.0.0.1", "<script>, 203.0.113.9", "203.0.113.9", id="rubbish before the proxy"),
        pytest.param("10.0.0.1", "2001:db8::7", "2001:db8::7", id="IPv6 client"),
        pytest.param("2001:db8:aaaa::1", "203.0.113.9", "203.0.113.9", id="IPv6 proxy"),
        pytest.param("2001:db8:bbbb::1", "203.0.113.9", "2001:db8:bbbb::1", id="IPv6 stranger"),
        pytest.param("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9", id="IPv4 proxy on an IPv6 socket"),
        pytest.param("", "203.0.113.9", "", id="no peer"),
    ],
)
def test_the_client_is_the_last_hop_that_no_proxy_vouches_for(peer: str, forwarded_for: str, expected: str) -> None:
    assert ClientAddress(PROXIES).of(peer, forwarded_for) == expected


def test_without_proxies_only_the_socket_counts() -> None:
    assert ClientAddress(()).of("127.0.0.1", "203.0.113.9") == "127.0.0.1"


def test_a_network_with_host_bits_is_that_network() -> None:
    assert ClientAddress(("10.1.2.3/8",)).of("10.200.0.1", "203.0.113.9") == "203.0.113.9"


@given(st.lists(st.ip_addresses(v=4).map(str) | st.text(max_size=10), max_size=5).map(", ".join))
def test_whatever_a_client_writes_before_the_proxy_changes_nothing(header: str) -> None:
    spoofed = f"{header}, 203.0.113.9" if header else "203.0.113.9"

    assert ClientAddress(PROXIES).of("10.0.0.1", spoofed) == "203.0.113.9"
    assert ClientAddress(PROXIES).of("192.0.2.1", header) == "192.0.2.1"


@pytest.mark.parametrize("network", ["", "10", "10.0.0.0/33", "nowhere", "10.0.0.1-10.0.0.9"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ClientAddress((network,))


def test_a_chain_without_end_is_read_only_so_far() -> None:
    client = ClientAddress(["10.0.0.0/8"])
    chain = ["203.0.113.9", *(f"10.0.0.{number}" for number in range(MAX_HOPS + 5))]

    assert client.of("10.0.0.250", ", ".join(chain[:MAX_HOPS])) == "203.0.113.9"
    assert client.of("10.0.0.250", ", ".join(chain)) == "10.0.0.5"
