"""The HTTP part of a conversation, with the client that openapi-python-client makes of the server's document.

Run by test_generated_clients.py, which answers the line with the session by the id of a room.
"""

from __future__ import annotations

import json
import sys
from io import BytesIO

from passerby_client import AuthenticatedClient
from passerby_client.api.files import download_file, upload_raw
from passerby_client.api.guests import create_session, end_session
from passerby_client.models import EmptyAnswer, FileInfoAnswer, GuestCreatedAnswer, NewGuest
from passerby_client.types import File

server = sys.argv[1]
created = create_session.sync(
    client=AuthenticatedClient(base_url=server, token="none"), body=NewGuest(username="Typed", language="en")
)
assert isinstance(created, GuestCreatedAnswer)
print(json.dumps({"token": created.data.token, "user": created.data.user.to_dict()}), flush=True)

room = sys.stdin.readline().strip()
client = AuthenticatedClient(base_url=server, token=created.data.token)
uploaded = upload_raw.sync(room, client=client, body=File(payload=BytesIO(b"Hello!")), x_file_name="a.txt")
assert isinstance(uploaded, FileInfoAnswer)
downloaded = download_file.sync(uploaded.data.file_id, client=client)
assert isinstance(downloaded, File)
ended = end_session.sync(client=client)
assert isinstance(ended, EmptyAnswer)
text = downloaded.payload.read().decode()
print(json.dumps({"text": text, "size": uploaded.data.file_size, "ended": ended.success}))
