from __future__ import annotations

import pytest

from passerby.redis.client import LostError, RefusedError, Script
from tests.support.valkey import connected, valkey


async def test_commands_and_scripts(tmp_path) -> None:
    path = tmp_path / "add.lua"
    path.write_text("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    script = Script(path)
    async with valkey() as server, connected(server.url, "p:") as redis:
        got: list[object] = []
        redis.send(got.append, "SET", redis.key("x"), 1)
        redis.send(got.append, "INCR", redis.key("x"))
        redis.send(got.append, "GET", redis.key("x"))
        assert got == []
        assert await redis.run(script, [redis.key("x")], 2) == 4
        assert got == [b"OK", 2, b"2"]
        await server.command("SCRIPT", "FLUSH")
        assert await redis.run(script, [redis.key("x")], 2) == 6
        with pytest.raises(RefusedError) as refused:
            await redis.command("LPUSH", "p:x", "1")
        assert refused.value.code == "WRONGTYPE"
        assert (await server.command_stats())["eval"] == 2
        server.kill()
        with pytest.raises(LostError):
            await redis.command("GET", "p:x")
        assert not redis.is_usable
        await server.start()
        assert await redis.ready(3)
        assert await redis.command("GET", "p:x") is None
