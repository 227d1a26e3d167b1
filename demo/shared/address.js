// The page's address: `?room=NAME`, and, for a second participant in the same tab, `&key=...&embedded`.

/** The host's rule for the names of machines and rooms. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,63}$/;
export const NAME_RULE = "1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit";

/** Turns what people type into a name: "Friday game!" becomes `friday-game`. Empty if nothing is left. */
export function nameFrom(text) {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9_]+/g, "-").replace(/^[-_]+/, "").slice(0, 64).replace(/-+$/, "");
}

/** The room in the address, `lobby` by default, and the client key to use, if there is one. */
export function address() {
  const query = new URLSearchParams(location.search);
  const room = query.get("room") || "lobby";
  const machine = query.get("machine") ?? location.pathname.split("/")[1];
  for (const name of [machine, room]) {
    if (NAME_PATTERN.test(name)) continue;
    location.replace(`/?${new URLSearchParams({ wrong: name })}`);
    throw new Error(`${JSON.stringify(name)} is not a name: use ${NAME_RULE}`);
  }
  return { machine, room, key: query.get("key") ?? undefined };
}

/** The titles of the demos with a page of their own. */
export const TITLES = {
  counter: "Counter",
  "drop-four": "Drop four",
  "tic-tac-toe": "Tic-tac-toe",
  todo: "To do",
  text: "Text",
  whiteboard: "Whiteboard",
  timer: "Timer",
  auction: "Auction",
};

/** Returns the address of a room's page: the machine's own page if the demo has one, else the page for any machine. */
export function pageOf(machine, room) {
  const own = Object.hasOwn(TITLES, machine);
  return own ? `/${machine}/?room=${encodeURIComponent(room)}` : `/room.html?${new URLSearchParams({ machine, room })}`;
}
