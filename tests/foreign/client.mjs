// Goes through the scenario of scenario.py with the client that the web page uses:
//
//     node client.mjs URL TRANSPORTS
//
// and prints what it saw as one line of JSON.

import { createRequire } from "node:module";

const { io } = createRequire(new URL("../../web/package.json", import.meta.url))("socket.io-client");

const [url, names] = process.argv.slice(2);
const transports = names.split(",");
const options = { transports, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, timeout: 5000 };

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
const plain = (value) => {
  if (Buffer.isBuffer(value)) return value.toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  return value;
};
const ask = (socket, event, ...args) =>
  new Promise((resolve, reject) =>
    socket.timeout(5000).emit(event, ...args, (error, ...answer) => (error ? reject(error) : resolve(answer))),
  );
const exchange = async (socket, ...args) => {
  const back = once(socket, "message-back");
  socket.emit("message", ...args);
  return plain(await back);
};
const upgraded = async (socket) => {
  if (socket.io.engine.transport.name !== transports.at(-1)) await once(socket.io.engine, "upgrade");
};

const seen = {};
setTimeout(() => {
  console.error(`the scenario did not end: ${JSON.stringify(seen)}`);
  process.exit(1);
}, 15000).unref();

const socket = io(url, { ...options, auth: { token: "abc" } });
[seen.auth] = await once(socket, "auth");
await upgraded(socket);
const custom = socket.io.socket("/custom", { auth: { token: "of /custom" } });
[seen["custom auth"]] = await once(custom, "auth");

seen["message-back"] = await exchange(socket, 1, "2", { 3: [true] }, "é😀\u001e", null);
seen["binary message-back"] = await exchange(socket, Buffer.from([0, 255]), {
  deep: [Buffer.alloc(0), Buffer.alloc(300, 0xab)],
});
seen["large message-back"] = (await exchange(socket, "x".repeat(200_000)))[0].length;
seen["custom message-back"] = await exchange(custom, "to /custom");
seen.ack = await ask(socket, "message-with-ack", 1, { 2: [false] });
seen["binary ack"] = plain(await ask(socket, "message-with-ack", Buffer.from([1]), "last"));

socket.once("question", (...args) => {
  args.pop()(42, Buffer.from([3]));
  seen.question = plain(args);
});
const answered = once(socket, "answered");
socket.emit("ask", "how much?", Buffer.from([2]));
seen.answered = plain(await answered);

const refusing = socket.io.socket("/refusing");
const [refusal] = await once(refusing, "connect_error");
seen.refused = { message: refusal.message, data: refusal.data };
const unknown = socket.io.socket("/nowhere");
seen["unknown namespace"] = (await once(unknown, "connect_error"))[0].message;
refusing.disconnect();
unknown.disconnect();

const before = socket.id;
const back = once(socket, "auth");
socket.emit("drop");
await back;
await upgraded(socket);
seen.reconnected = socket.id !== before && custom.active;
seen["after reconnecting"] = await exchange(socket, "back again");
await ask(socket, "transport");

const line = JSON.stringify(seen);
const gone = once(socket.io.engine, "close");
custom.disconnect();
socket.disconnect();
await gone;
console.log(line);
