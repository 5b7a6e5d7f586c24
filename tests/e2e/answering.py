"""Stands between a page and its server: answers in its place what no server says at will, and passes on the rest."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import Page, Route, WebSocketRoute

_EVENT = "42"
_CONNECT = "40"
_REFUSED = "44"


class Answering:
    """The answers to one page. Give `join` to `Street.visitor` as `before`, with `touch`: the tab is used once."""

    def __init__(self, **house: object) -> None:
        """`house` is what `GET /api/house` says; nothing: it fails."""
        self.sent: list[tuple[str, Any]] = []
        """The events that the page has sent."""
        self.answers: dict[str, tuple[str, dict[str, Any]]] = {}
        """Which event answers which; the server gets none of these."""
        self.bodies: dict[str, Any] = {}
        """What is answered to a request, by the end of its path; what is no `data` is a failure."""
        self.asked: list[tuple[str, Any]] = []
        """Those requests, with their bodies."""
        self.refusal: dict[str, Any] | None = None
        """With which connections are refused."""
        self._socket: WebSocketRoute | None = None
        self._server: WebSocketRoute | None = None
        self.bodies["/api/house"] = {"data": house} if house else {"code": "not_found"}

    async def join(self, page: Page) -> None:
        """Be there from the next page on that is loaded."""
        await page.route("**/api/**", self._request)
        await page.route_web_socket("**/socket.io/**", self._connect)

    def say(self, event: str, **payload: object) -> None:
        """Send an event to the page."""
        assert self._socket is not None
        self._socket.send(_EVENT + json.dumps([event, payload]))

    def tell(self, event: str, **payload: object) -> None:
        """Send an event to the server, as if the page had."""
        assert self._server is not None
        self._server.send(_EVENT + json.dumps([event, payload]))

    def of(self, event: str) -> list[Any]:
        """The payloads of the events of this name that the page has sent."""
        return [payload for name, payload in self.sent if name == event]

    async def _request(self, route: Route) -> None:
        request = route.request
        path = next((path for path in self.bodies if request.url.endswith(path)), None)
        if path is None:
            await route.fallback()
            return
        self.asked.append((path, request.post_data_json if request.post_data else None))
        # Always 200, or the browser complains: the page looks at what is in it.
        await route.fulfill(json={"success": True, "message": "", **self.bodies[path]})

    def _connect(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        self._socket, self._server = socket, server

        def from_page(message: str | bytes) -> None:
            if isinstance(message, str) and message.startswith(_CONNECT) and self.refusal is not None:
                socket.send(_REFUSED + json.dumps({"message": "No", "data": self.refusal}))
                return
            if isinstance(message, str) and message.startswith(_EVENT):
                name, payload = json.loads(message[len(_EVENT) :])
                self.sent.append((name, payload))
                if name in self.answers:
                    event, answer = self.answers[name]
                    self.say(event, **answer)
                    return
            server.send(message)

        socket.on_message(from_page)
        server.on_message(socket.send)
