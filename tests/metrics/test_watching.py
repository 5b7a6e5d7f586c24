"""The alerts and the dashboard, with a real Prometheus that scrapes a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.metrics import prometheus
from tests.support.ports import free_port
from tests.support.server import RunningServer, http_client
from tests.support.valkey import valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import ServerProcess

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "passerby.rules.yaml"
RULES_TEST: Final = Path(__file__).with_name("rules.test.yaml")
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "passerby.json"
DOCUMENT: Final = ROOT / "docs" / "watching.md"

SILENT: Final = (
    "passerby_call_connect_seconds",  # nobody calls: a quantile of nothing is NaN
    "passerby_gc_pause_seconds",  # perhaps none in these seconds
)
"""Metrics of which nothing happens in the scene: quantiles of them have no number."""


def alerts() -> dict[str, str]:
    """Return the alerts by name, each with its runbook."""
    text = RULES.read_text(encoding="utf-8")
    return dict(re.findall(r"- alert: (\w+)\n.*?\n\s+runbook: (\S+)", text, re.DOTALL))


def expressions() -> list[str]:
    """Return the expressions of the alerts as promtool understands them, without their thresholds' `for`."""
    found = re.findall(r"^\s+expr: (?:\|\n((?:\s{10,}.*\n)+)|(.*)\n)", RULES.read_text(encoding="utf-8"), re.MULTILINE)
    return [" ".join((block or line).split()) for block, line in found]


def panels() -> Iterator[dict[str, Any]]:
    """Yield the panels that show something."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> list[str]:
    """Return the dashboard's queries, as Grafana sends them."""
    return [
        target["expr"].replace("$__rate_interval", "1m").replace("$job", ".+")
        for panel in panels()
        for target in panel["targets"]
    ]


def anchors() -> set[str]:
    """Return the anchors of the document's headings."""
    headings = re.findall(r"^#+ (.+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_rules_are_valid_and_fire_when_they_should() -> None:
    prometheus.promtool("check", "rules", str(RULES))
    prometheus.promtool("test", "rules", str(RULES_TEST))


def test_each_alert_is_tried_and_has_a_section_that_says_what_to_do() -> None:
    tried = set(re.findall(r'alertname="(\w+)"', RULES_TEST.read_text(encoding="utf-8")))

    assert set(alerts()) == tried
    for name, runbook in alerts().items():
        document, _, anchor = runbook.partition("#")
        assert (ROOT / document) == DOCUMENT
        assert anchor == name.lower()
        assert anchor in anchors()


def test_each_panel_is_where_no_other_is() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


async def test_every_query_finds_what_a_server_says(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    port = free_port()
    async with valkey() as store:
        process = start_process(
            METRICS_PORT=str(port), REDIS_URL=store.url, MEMORY_LIMIT=str(8 << 30)
        ).wait_until_ready()
        with prometheus.running(tmp_path, [f"127.0.0.1:{port}"]) as url:
            async with http_client(process.url) as http, prometheus.client(url) as asking:
                watch = prometheus.Prometheus(asking)
                await watch.until("up == 1", lambda found: found)
                await _talk(RunningServer(process.url, http))
                await watch.until("increase(passerby_messages_total[1m]) > 0", lambda found: found)
                await watch.until("increase(passerby_room_length_seconds_count[1m]) > 0", lambda found: found)
                await watch.until("sum(rate(passerby_refusals_total[1m]))", lambda found: found)
                await watch.until("sum(rate(passerby_closings_total[1m]))", lambda found: found)
                await watch.until("sum(rate(passerby_limits_hit_total[1m]))", lambda found: found)
                for query in queries():
                    found = await watch.query(query)
                    assert found, query
                    is_number = all(sample["value"][1] != "NaN" for sample in found)
                    assert is_number or any(name in query for name in SILENT), (query, found)
                for expression in expressions():
                    await watch.query(expression)  # it is valid, and empty: nothing is wrong
                    for metric in re.findall(r"(?:passerby|process)_\w+|\bup\b", expression):
                        assert await watch.query(metric), metric


async def _talk(server: RunningServer) -> None:
    """Let two guests meet and talk; let one lose the connection, be refused, and leave."""
    (_, one), (berta, other), room = await server.pair()
    for _ in range(3):
        await one.say("hello")
        await other.until("chat:message")
    await other.emit("chat:message", {"type": "text", "content": ""})
    await other.until("chat:error")
    await other.cut()
    back = await server.connect(berta, {**room, "seq": 0})
    await back.until("room:resumed")
    for _ in range(60):
        await back.emit("user:match:cancel")
    await back.until("user:match:cancel:error", code="rate_limited")
    await one.emit("leave-room")
    await one.until("chat:clear:confirmed")
    answer = await server.http.get("/api/nothing")
    assert answer.status_code == 404
    await one.emit("user:match")
    await one.until("user:match:searching")
    await server.close()
