// The HTTP part of a conversation, with the types that openapi-typescript makes of the server's document.
// Run by test_generated_clients.py, which answers the line with the session by the id of a room.
import { createInterface } from "node:readline/promises";
import type { paths } from "./api";

type Created =
  paths["/api/guest"]["post"]["responses"][201]["content"]["application/json"];
type Uploaded =
  paths["/api/files/{room_id}"]["put"]["responses"][201]["content"]["application/json"];
type Ended =
  paths["/api/guest/me"]["delete"]["responses"][200]["content"]["application/json"];
type Wish = NonNullable<
  NonNullable<
    paths["/api/guest"]["post"]["requestBody"]
  >["content"]["application/json"]
>;

async function main(server: string): Promise<void> {
  const wish: Wish = { username: "Typed", language: "en" };
  const headers = { "Content-Type": "application/json" };
  const created = (await (
    await fetch(`${server}/api/guest`, {
      method: "POST",
      headers,
      body: JSON.stringify(wish),
    })
  ).json()) as Created;
  const authorization = { Authorization: `Bearer ${created.data.token}` };
  console.log(
    JSON.stringify({ token: created.data.token, user: created.data.user }),
  );

  const room = await createInterface({ input: process.stdin }).question("");
  const uploaded = (await (
    await fetch(`${server}/api/files/${room}`, {
      method: "PUT",
      headers: {
        ...authorization,
        "Content-Type": "text/plain",
        "X-File-Name": "a.txt",
      },
      body: "Hello!",
    })
  ).json()) as Uploaded;
  const text = await (
    await fetch(`${server}${uploaded.data.downloadUrl}`)
  ).text();
  const ended = (await (
    await fetch(`${server}/api/guest/me`, {
      method: "DELETE",
      headers: authorization,
    })
  ).json()) as Ended;
  console.log(
    JSON.stringify({
      text,
      size: uploaded.data.fileSize,
      ended: ended.success,
    }),
  );
  process.exit(0);
}

void main(process.argv[2] ?? "");
