// Three in a row for two, and for any number of onlookers. The rules are in the machine; this page only draws its view.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { Network } from "/shared/network.js";
import { nameOf } from "/shared/names.js";
import { roomBar } from "/shared/room-bar.js";
import { Board } from "./board.js";
import { describe, explain, situation } from "./words.js";
import "/shared/beside.js";

const { room: name, key } = address();
const path = `/rooms/tic-tac-toe/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain });
Object.assign(window, { room, network });

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  track(transition, room.apply(transition));
}

const BEYOND = 9;
const board = new Board(document.querySelector("#board"), (cell) => act({ Play: cell }));
const seats = document.querySelectorAll("[data-seat]");
const rematch = document.querySelector("[data-action=rematch]");
const leave = document.querySelector("[data-action=leave]");
rematch.onclick = () => act("Rematch");
leave.onclick = () => act("Leave");
document.querySelector("[data-action=beyond]").onclick = () => act({ Play: BEYOND });
for (const button of document.querySelectorAll("[data-action=join]")) button.onclick = () => act("Join");
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input") || event.ctrlKey || event.metaKey || event.altKey;
  if (!typing && event.key === "r" && !rematch.disabled) act("Rematch");
});

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => {
  const { view, confirmed, participant } = room;
  if (!view) return;
  const own = ["X", "O"].find((mark) => participant !== undefined && view.players[mark] === participant);
  board.show(view, confirmed, own);
  for (const element of seats) showSeat(element, view, confirmed, participant, own);
  document.querySelector("#situation").textContent = situation(view, participant);
  rematch.disabled = !own || !isOver(view);
  leave.disabled = !own;
});

function showSeat(element, view, confirmed, participant, own) {
  const { seat } = element.dataset;
  const player = view.players[seat];
  const isFull = view.players.X !== null && view.players.O !== null;
  element.classList.toggle("turn", view.turn === seat && isFull && !isOver(view));
  element.classList.toggle("predicted", player !== confirmed.players[seat]);
  // A player who joins gets the first empty seat.
  const firstEmpty = ["X", "O"].find((mark) => view.players[mark] === null);
  element.querySelector("[data-action=join]").hidden = own !== undefined || firstEmpty !== seat;
  element.querySelector("[data-player]").textContent = player === null ? "Empty seat" : nameOf(player);
  element.querySelector("small").textContent = seat === own ? "you" : "";
}

function isOver(view) {
  return view.winner !== null || view.draw;
}
