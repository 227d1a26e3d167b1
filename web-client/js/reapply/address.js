// @ts-check
// Where a room is, and why one cannot be joined.

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

/**
 * Asks over HTTP why a socket was refused, which a browser does not tell. Nothing, when trying again may help.
 * @param {Address} address
 * @returns {Promise<string | undefined>}
 */
export async function whyRefused({ base, machine, http }) {
  try {
    let response = await fetch(http);
    // A room that was never used is not there yet; a machine that is not there is another matter.
    if (response.status === 404) response = await fetch(`${base}/machines/${machine}`);
    if (![400, 403, 404].includes(response.status)) return undefined;
    const { error } = await response.json();
    return error.message;
  } catch {
    return undefined;
  }
}
