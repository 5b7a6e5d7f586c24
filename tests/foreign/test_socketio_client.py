"""The scenario with the web client's library, socket.io-client on Node.js."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.foreign.scenario import SEEN, TRANSPORTS, Scenario, reason_of_cut_line, transport_in_the_end
from tests.support.sio_server import BOUND, running

CLIENT = Path(__file__).with_name("client.mjs")


@TRANSPORTS
async def test_socketio_client_goes_through_the_scenario(transports: str) -> None:
    scenario = Scenario()
    async with running(scenario.subject) as server:
        scenario.running = server
        node = await asyncio.create_subprocess_exec(
            "node",
            CLIENT,
            f"http://127.0.0.1:{server.port}",
            transports,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(4 * BOUND):
                output, errors = await node.communicate()
        finally:
            if node.returncode is None:
                node.kill()
                await node.wait()
        assert (node.returncode, errors.decode()) == (0, "")
        assert json.loads(output) == SEEN
        reasons = [await asyncio.wait_for(scenario.left.get(), BOUND) for _ in range(2)]
        assert reasons[0] == reason_of_cut_line(transports)
        assert reasons[1] in ("client_disconnect", "transport_close")
        assert scenario.transports == [transport_in_the_end(transports)]
