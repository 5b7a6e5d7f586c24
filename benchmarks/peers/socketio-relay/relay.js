// A bare relay on Socket.IO: guests are paired in order of connection, and
// each `chat:message` becomes the three events of the contract.
// No validation, no log, no limits: the minimum work of a Socket.IO server.
//
//   node relay.js PORT
import { createServer } from "node:http";
import { Server } from "socket.io";

const port = Number(process.argv[2]);
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});

let waiting = null;
let lastId = 0;

io.on("connection", (socket) => {
  socket.data.username = `BraveOtter${1000 + (lastId++ % 9000)}`;
  socket.on("chat:message", (message) => {
    const partner = socket.data.partner;
    if (!partner) return;
    const id = `msg_${Date.now()}_${(++lastId).toString(36)}`;
    const timestamp = new Date().toISOString();
    partner.emit("chat:message", {
      id,
      senderId: socket.id,
      senderUsername: socket.data.username,
      type: message.type,
      content: message.content,
      timestamp,
      status: "sent",
    });
    partner.emit("chat:message:delivered", { messageId: id, timestamp });
    socket.emit("chat:message:sent", { messageId: id, timestamp, status: "sent" });
  });
  socket.on("disconnect", () => {
    if (waiting === socket) waiting = null;
    if (socket.data.partner) socket.data.partner.data.partner = null;
  });
  if (waiting === null) {
    waiting = socket;
    return;
  }
  const partner = waiting;
  waiting = null;
  socket.data.partner = partner;
  partner.data.partner = socket;
  socket.emit("paired");
  partner.emit("paired");
});

http.listen(port, "127.0.0.1");
