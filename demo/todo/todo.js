// A to-do list. The machine is made only of building blocks, so a page's change always affects one thing: an item's label, its
// tick, or its place. That is why two people's changes merge.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import { Items } from "./items.js";
import { describe, explain, remember, situation } from "./words.js";
import "/shared/beside.js";

const { room: name, key } = address();
const path = `/rooms/todo/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain });
Object.assign(window, { room, network });

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  track(transition, room.apply(transition));
}

const part = (id) => document.getElementById(id);
const title = part("title");
const clear = document.querySelector("[data-action=clear]");
const items = new Items(part("items"), {
  rename: (id, label) => act({ Items: { Item: [id, { Label: { Replace: label } }] } }),
  tick: (id, done) => act({ Items: { Item: [id, { Done: { Replace: done } }] } }),
  move: (id, place) => act({ Items: { Move: { id, place } } }),
  remove: (id) => act({ Items: { Delete: id } }),
});

part("add").onsubmit = (event) => {
  event.preventDefault();
  const label = part("label").value.trim();
  part("label").value = "";
  part("label").focus();
  // The page chooses the id, so that it can refer to the item before the host has heard of it.
  if (label) act({ Items: { Insert: { id: crypto.randomUUID(), place: "Last", item: { label, done: false } } } });
};

title.onchange = () => {
  const asked = title.value.trim();
  if (asked !== room.view?.title) act({ Title: { Replace: asked } });
};
title.onkeydown = ({ key: pressed }) => {
  if (pressed === "Enter") title.blur();
};

clear.onclick = () => {
  for (const { id, item } of room.view.items) if (item.done) act({ Items: { Delete: id } });
};

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => {
  const { view, confirmed } = room;
  if (!view) return;
  remember(confirmed);
  remember(view);
  items.show(view.items, confirmed.items);
  if (document.activeElement !== title) title.value = view.title;
  title.classList.toggle("predicted", view.title !== confirmed.title);
  part("empty").hidden = view.items.length > 0;
  part("situation").textContent = situation(view.items);
  clear.disabled = !view.items.some(({ item }) => item.done);
});
