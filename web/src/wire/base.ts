/** Where the server is: `/`, or a path such as `/chat/` (ROOT_PATH). Both pages are directly in it. */
export const BASE = typeof location === 'undefined' ? '/' : new URL('.', location.href).pathname;
