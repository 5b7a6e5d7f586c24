import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Wire } from './socket';

/** A Socket.IO server of one client, which polls: greets it, and notes the `at` of each session it opens. */
class Greeter {
  readonly places: (string | null)[] = [];
  /** What the client gets after its CONNECT, once: events as JSON. */
  events: unknown[][] = [];
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
      this.#queued = ['40{"sid":"s"}', ...this.events.map((event) => `42${JSON.stringify(event)}`)];
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

let greeter: Greeter;

beforeEach(async () => {
  greeter = new Greeter();
  await greeter.open();
});

afterEach(() => {
  greeter.close();
  vi.unstubAllGlobals();
});

/** Connect `times` times, each time until the last of the events has come. */
async function visit(times: number, first: unknown[][], later = first): Promise<void> {
  let heard = (): void => undefined;
  let missing = 0;
  const wire = new Wire(() => ({ token: 't' }), {
    event: () => {
      missing -= 1;
      if (missing === 0) heard();
    },
    down: () => undefined,
    refused: () => undefined,
  });
  for (let number = 0; number < times; number += 1) {
    greeter.events = number === 0 ? first : later;
    missing = greeter.events.length;
    const all = new Promise<void>((resolve) => (heard = resolve));
    wire.connect();
    await all;
  }
  wire.disconnect();
}

test('a later connection asks for the process where the guest lives', async () => {
  await visit(2, [['connection:established', { at: 'node_1' }]]);
  expect(greeter.places).toEqual([null, 'node_1']);
});

test('a match can move the guest', async () => {
  await visit(2, [
    ['connection:established', { at: 'node_1' }],
    ['user:matched', { at: 'node_2' }],
  ]);
  expect(greeter.places).toEqual([null, 'node_2']);
});

test('a server that is one process is asked for nothing', async () => {
  await visit(3, [['connection:established', { at: 'node_1' }]], [['connection:established', {}]]);
  expect(greeter.places).toEqual([null, 'node_1', null]);
});

test('other events do not matter', async () => {
  await visit(2, [
    ['connection:established', { at: 'node_1' }],
    ['chat:message', { at: 'elsewhere' }],
  ]);
  expect(greeter.places).toEqual([null, 'node_1']);
});
