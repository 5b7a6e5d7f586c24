import { svelte } from '@sveltejs/vite-plugin-svelte';
import { createLogger, type Plugin, type ProxyOptions } from 'vite';
import { defineConfig } from 'vitest/config';
import { compress } from './scripts/compress';

/** Where the server is. `make dev` sets it; `npm run dev` alone expects what `make run` starts. */
const given = process.env.PASSERBY_SERVER;
const server = given ?? 'http://localhost:3001';

// `Host` stays what the browser sent: the server compares it with the page's origin.
const toServer: ProxyOptions = { target: server, changeOrigin: false, ws: true };

/** Under `make dev`, which says itself which URL to open and what the server does. */
const underMake: Plugin = {
  name: 'under-make',
  configureServer(vite) {
    vite.printUrls = () => undefined;
    process.stdin.resume(); // its end ends Vite
  },
};

const logger = createLogger('info', { allowClearScreen: false });
const logError = logger.error.bind(logger);
// The server is away for a moment whenever it restarts, and the page tries again by itself.
logger.error = (message, options) => {
  if (!/proxy (socket )?error/.test(message)) logError(message, options);
};

export default defineConfig({
  plugins: [svelte(), compress(), given !== undefined && underMake],
  ...(given !== undefined && { customLogger: logger }),
  build: {
    outDir: '../src/passerby/static',
    emptyOutDir: true,
    target: 'es2022',
    // Every browser of that target knows module preload.
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      '/api': toServer,
      '/health': toServer,
      '/schema': toServer,
      '/socket.io': toServer,
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
  },
});
