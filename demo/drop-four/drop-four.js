// Four in a row for two, and for any number of onlookers. The rules are in the machine; this page only draws its view.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { History } from "/shared/history.js";
import { Network } from "/shared/network.js";
import { nameOf } from "/shared/names.js";
import { roomBar } from "/shared/room-bar.js";
import { Board } from "./board.js";
import { describe, explain, situation } from "./words.js";
import "/shared/beside.js";

const { room: name, key } = address();
const path = `/rooms/drop-four/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain });
Object.assign(window, { room, network });

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  if (history.isPast) return;
  track(transition, room.apply(transition));
}

const board = new Board(document.querySelector("#board"), (column) => act({ Drop: column }));
const seats = document.querySelectorAll("[data-seat]");
const rematch = document.querySelector("[data-action=rematch]");
const leave = document.querySelector("[data-action=leave]");
rematch.onclick = () => act("Rematch");
leave.onclick = () => act("Leave");
for (const button of document.querySelectorAll("[data-action=join]")) button.onclick = () => act("Join");

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => history.isPast || show(room));

// A slider through the past: while it is not at its end, the page shows an earlier moment.
const history = new History(room, show);

function show({ view, confirmed, participant }) {
  if (!view) return;
  const own = view.players.indexOf(participant);
  board.show(view, confirmed, own);
  seats.forEach((element, seat) => showSeat(element, seat, view, confirmed, participant));
  document.querySelector("#situation").textContent = situation(view, participant);
  rematch.disabled = own < 0 || !over(view);
  leave.disabled = own < 0;
}

function showSeat(element, seat, view, confirmed, participant) {
  const player = view.players[seat];
  element.classList.toggle("turn", view.turn === seat && !over(view) && !view.players.includes(null));
  element.classList.toggle("predicted", player !== confirmed.players[seat]);
  element.querySelector("[data-score]").textContent = view.score[seat];
  // A player who joins gets the first empty seat.
  element.querySelector("[data-action=join]").hidden = view.players.indexOf(null) !== seat || view.players.includes(participant);
  element.querySelector("[data-player]").textContent = player === null ? "Empty seat" : nameOf(player);
  element.querySelector("small").textContent = player !== null && player === participant ? "you" : "";
}

function over(view) {
  return view.winner !== null || view.draw;
}
