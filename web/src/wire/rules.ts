// Made by `npm run types` from schema.json: change the server’s events instead.
export const USERNAME_MIN = 3;
export const USERNAME_MAX = 20;
export const USERNAME_CHARACTERS = /^[A-Za-z0-9_]+$(?!\n)/;
