// @ts-check
// Where a room is.

/**
 * `name` is the room's URL without a query: what tells it from all other rooms.
 * @typedef {{ base: string, machine: string, room: string, name: string, http: string, socket: string }} Address
 */

/**
 * Reads a room's URL: `/rooms/{machine}/{room}`, below whatever the host is mounted under.
 * @param {string | URL} url
 * @returns {Address}
 */
export function addressOf(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^ws/, "http");
  absolute.hash = "";
  const match = /^(.*)\/rooms\/([^/]+)\/([^/]+)$/.exec(absolute.pathname);
  if (!match || !/^https?:$/.test(absolute.protocol)) {
    throw new TypeError(`${url} is not the URL of a room: it should end in /rooms/{machine}/{room}`);
  }
  const [, prefix, machine, room] = match;
  const http = absolute.href;
  const base = absolute.origin + prefix;
  return { base, machine, room, name: `${base}/rooms/${machine}/${room}`, http, socket: http.replace(/^http/, "ws") };
}
