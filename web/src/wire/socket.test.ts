import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Wire } from './socket';

/** A Socket.IO server of one client, which polls: greets it, and notes the `at` of each session it opens. */
class Greeter {
  readonly places: (string | null)[] = [];
  /** Ends each session with the greeting. */
  hangsUp = false;
  #queued: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://test').searchParams;
    if (query.get('transport') !== 'polling') {
      response.writeHead(400).end();
    } else if (request.method === 'POST') {
      request.resume().on('end', () => response.end('ok'));
    } else if (query.has('sid')) {
      const packets = this.#queued.splice(0);
      if (packets.length > 0) response.end(packets.join('\x1e'));
      // else it waits, as a long poll does
    } else {
      this.places.push(query.get('at'));
      this.#queued = ['40{"sid":"s"}', '42["connection:established",{}]'];
      if (this.hangsUp) this.#queued.push('1');
      response.end(
        '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}',
      );
    }
  });

  async open(): Promise<void> {
    await new Promise<void>((opened) => this.#server.listen(0, '127.0.0.1', opened));
    const { port } = this.#server.address() as AddressInfo;
    vi.stubGlobal('location', { protocol: 'http:', host: `127.0.0.1:${String(port)}` });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Connects, and knows where the guest lives. */
class Guest {
  home: string | null = null;
  #greeted = (): void => undefined;
  readonly #wire = new Wire(
    { auth: () => ({ token: 't' }), home: () => this.home },
    {
      event: () => {
        this.#greeted();
      },
      down: () => undefined,
      refused: () => undefined,
    },
  );

  /** Connect, and wait for the greeting. */
  async connect(): Promise<void> {
    const greeting = this.greeting();
    this.#wire.connect();
    await greeting;
  }

  greeting(): Promise<void> {
    return new Promise((resolve) => (this.#greeted = resolve));
  }

  leave(): void {
    this.#wire.disconnect();
  }
}

let greeter: Greeter;
let guest: Guest;

beforeEach(async () => {
  greeter = new Greeter();
  await greeter.open();
  guest = new Guest();
});

afterEach(() => {
  guest.leave();
  greeter.close();
  vi.unstubAllGlobals();
});

test('each connection asks for the process where the guest lives by then', async () => {
  for (const home of [null, 'node_1', 'node_2', null]) {
    guest.home = home;
    await guest.connect();
  }
  expect(greeter.places).toEqual([null, 'node_1', 'node_2', null]);
});

test('a connection that comes back by itself does so, too', async () => {
  greeter.hangsUp = true;
  await guest.connect();
  greeter.hangsUp = false;
  guest.home = 'node_1';
  await guest.greeting();
  expect(greeter.places).toEqual([null, 'node_1']);
});
