// The lists on the host's own page.

const fill = (id, rows, none) => {
  const body = document.getElementById(id);
  for (const cells of rows.length ? rows : [[none]]) {
    const row = body.insertRow();
    for (const cell of cells) row.insertCell().append(cell);
  }
};
const link = (href, text) => Object.assign(document.createElement("a"), { href, textContent: text });
const { machines } = await (await fetch("/machines")).json();
fill("machines", machines.map(({ name, digest, rooms }) => [link(`/machines/${name}`, name), digest.slice(0, 12), rooms]),
  "None yet: reapply deploy DIR");
const { rooms } = await (await fetch("/rooms")).json();
fill("rooms", rooms.map(({ machine, room, seq, changed }) =>
  [link(`/rooms/${machine}/${room}`, `${machine}/${room}`), seq, changed]), "None yet: they begin when someone connects.");
