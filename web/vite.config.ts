import { svelte } from '@sveltejs/vite-plugin-svelte';
import { createLogger, type Plugin, type ProxyOptions } from 'vite';
import { defineConfig } from 'vitest/config';
import { compress } from './scripts/compress';
import { recordSources } from './scripts/sources';

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

/** The console has the same address here as on the server. */
const console: Plugin = {
  name: 'console',
  configureServer(vite) {
    vite.middlewares.use((request, _, next) => {
      if (request.url === '/moderate') request.url = '/moderate.html';
      next();
    });
  },
};

// Two builds into one folder: whatever the guests' page and the console have in common, each has of its own, so that
// guests load nothing that only the console needs.
export default defineConfig(({ mode }) => ({
  // Under whatever path the server is: see ROOT_PATH.
  base: './',
  plugins: [
    svelte(),
    compress(),
    mode === 'console' && recordSources(), // of the last build: if one fails, there is no record
    console,
    given !== undefined && underMake,
  ],
  ...(given !== undefined && { customLogger: logger }),
  build: {
    outDir: '../src/passerby/static',
    emptyOutDir: mode !== 'console',
    copyPublicDir: mode !== 'console',
    rolldownOptions: { input: mode === 'console' ? 'moderate.html' : 'index.html' },
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
}));
