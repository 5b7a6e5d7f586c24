"""HTTP transfers with minimal cost for the load process."""

import asyncio
from collections.abc import Mapping

from benchmarks.servers import ADDRESS, MeasurementError

CHUNK = 256 * 1024
STEADY_CHUNK = 64 * 1024


class TransferError(MeasurementError):
    """A transfer was refused, or the content differs."""


async def put(
    port: int, path: str, body: memoryview, headers: Mapping[str, str], *, seconds: float = 0, phase: float = 0
) -> bytes:
    """Upload ``body``, spread evenly over ``seconds``; return the response's body.

    ``phase`` delays the start, in chunks, so that concurrent uploads do not run in step.
    """
    loop = asyncio.get_running_loop()
    chunk = STEADY_CHUNK if seconds else CHUNK
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    lines = [f"PUT {path} HTTP/1.1", f"Host: {ADDRESS}:{port}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        began = loop.time() + phase * seconds * chunk / len(body)
        for start in range(0, len(body), chunk):
            await asyncio.sleep(began + seconds * start / len(body) - loop.time() if seconds else 0)
            writer.write(body[start : start + chunk])
            await writer.drain()
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head.startswith((b"HTTP/1.1 201", b"HTTP/1.1 204")):
        raise TransferError(f"PUT {path}: {head[:100]!r} {content[:200]!r}")
    return content


async def get(port: int, path: str, size: int) -> None:
    """Download ``path``, which has ``size`` bytes."""
    reader, writer = await asyncio.open_connection(ADDRESS, port, limit=4 * CHUNK)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        received = 0
        while part := await reader.read(CHUNK):
            received += len(part)
    finally:
        writer.close()
    if not head.startswith(b"HTTP/1.1 200") or received != size:
        raise TransferError(f"GET {path}: {head[:100]!r}, {received} of {size} bytes")
