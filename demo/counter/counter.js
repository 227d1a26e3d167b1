// A number that everyone in the room can change. This page shows everything of Reapply that a page needs.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { History } from "/shared/history.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import "/shared/beside.js";

const TRANSITIONS = { increment: { Increment: 1 }, decrement: { Decrement: 1 }, reset: "Reset" };
const CONFLICTS = { BelowZero: "The counter cannot go below zero", Overflow: "The counter cannot go any higher" };

const { room: name, key } = address();
const path = `/rooms/counter/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, together, explain: (conflict) => CONFLICTS[conflict] ?? conflict });
Object.assign(window, { room, network });

const value = document.querySelector("#value");
const confirmed = document.querySelector("#confirmed");

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => history.isPast || show(room));

// A slider through the past: while it is not at its end, the page shows an earlier moment.
const history = new History(room, show);

function show(shown) {
  if (!shown.view) return;
  value.textContent = shown.view.count;
  value.style.setProperty("--digits", value.textContent.length);
  confirmed.textContent = shown.confirmed.count;
  value.classList.toggle("predicted", shown.pending > 0);
}

// Sends a transition. The outcome arrives when the host has decided.
function act(action) {
  const transition = TRANSITIONS[action];
  track(transition, room.apply(transition));
}

for (const button of document.querySelectorAll(".counter [data-action]")) button.onclick = () => act(button.dataset.action);

addEventListener("keydown", (event) => {
  const action = { ArrowUp: "increment", "+": "increment", ArrowDown: "decrement", "-": "decrement" }[event.key];
  if (!action || history.isPast || event.target.closest("input") || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  act(action);
});

function describe(transition) {
  if (transition === "Reset") return "reset the counter";
  return "Increment" in transition ? `add ${transition.Increment}` : `take away ${transition.Decrement}`;
}

/** Steps in the same direction are one line in the timeline. */
function together(earlier, later) {
  for (const way of ["Increment", "Decrement"]) {
    if (earlier[way] !== undefined && later[way] !== undefined) return { [way]: earlier[way] + later[way] };
  }
  return undefined;
}
