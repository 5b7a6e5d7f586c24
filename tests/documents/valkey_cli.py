"""Prints what `valkey-cli` would: of a server at a Unix socket, for the commands in the documents.

python -m tests.documents.valkey_cli SOCKET [--raw] COMMAND …
"""

from __future__ import annotations

import sys

from redis import Redis


def main(socket: str, *arguments: str) -> None:
    is_raw = arguments[0] == "--raw"
    command = arguments[is_raw:]
    with Redis(unix_socket_path=socket, decode_responses=True) as client:
        client.response_callbacks.clear()
        answer = client.execute_command(*command)
    for number, part in enumerate(answer if isinstance(answer, list) else [answer], 1):
        shown = str(part) if is_raw else f"(integer) {part}" if isinstance(part, int) else f'"{part}"'
        print(f"{number}) {shown}" if isinstance(answer, list) else shown)


if __name__ == "__main__":
    main(*sys.argv[1:])
