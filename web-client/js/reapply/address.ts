// The address of a room.

export interface Address {
  readonly base: string;
  readonly machine: string;
  readonly room: string;
  /** The room's URL without a query, which identifies the room. */
  readonly name: string;
  readonly http: string;
  readonly socket: string;
}

/** Reads a room's URL: `/rooms/{machine}/{room}`, below the path that the host is mounted under. */
export function addressOf(url: string | URL): Address {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^ws/, "http");
  absolute.hash = "";
  const [, prefix, machine, room] = /^(.*)\/rooms\/([^/]+)\/([^/]+)$/.exec(absolute.pathname) ?? [];
  if (machine === undefined || room === undefined || !/^https?:$/.test(absolute.protocol)) {
    throw new TypeError(`${url} is not the URL of a room: it should end in /rooms/{machine}/{room}`);
  }
  const http = absolute.href;
  const base = absolute.origin + prefix;
  return { base, machine, room, name: `${base}/rooms/${machine}/${room}`, http, socket: http.replace(/^http/, "ws") };
}
