import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const server = 'http://localhost:3001';

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: '../src/passerby/static',
    emptyOutDir: true,
    target: 'es2022',
    // Every browser of that target knows module preload.
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      '/api': server,
      '/schema': server,
      '/socket.io': { target: server, ws: true },
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
  },
});
