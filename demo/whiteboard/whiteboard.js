// A board to draw on together. A stroke is an event when it begins, and another for every few points after that. The place of a pen that
// does not draw is a signal, which no log keeps.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { History } from "/shared/history.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import { Board } from "./board.js";
import { Cursors } from "./cursors.js";
import { Pen } from "./pen.js";
import { describe, explain, situation, together } from "./words.js";
import "/shared/beside.js";

const INKS = ["Plain", "Red", "Orange", "Green", "Blue", "Violet"];
const WIDTHS = { Thin: 12, Medium: 28, Thick: 72 };

const { room: name, key } = address();
const path = `/rooms/whiteboard/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain, together });
Object.assign(window, { room, network });

const canvas = document.querySelector("#board canvas");
const undo = document.querySelector("[data-action=undo]");
const clear = document.querySelector("[data-action=clear]");
const tools = document.querySelector(".tools");
const said = document.querySelector("#situation");

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  const outcome = room.apply(transition);
  // A stroke is extended many times a second, so only a failure is worth a message.
  if (transition.Extend) outcome.then(({ status }) => status === "rejected" && track(transition, outcome), () => {});
  else track(transition, outcome);
  return outcome;
}

const board = new Board(canvas);
const cursors = new Cursors(document.querySelector("#cursors"), room);
const pen = new Pen(canvas, {
  act,
  tool: () => ({ ink: tools.ink.value, width: WIDTHS[tools.width.value] }),
  drawing: (stroke) => board.showOwn(stroke),
  moved: (point) => cursors.tell(point),
  say: (words) => (said.textContent = words),
});

choices(".inks", "ink", INKS);
choices(".widths", "width", Object.keys(WIDTHS));
undo.onclick = () => act("Undo");
clear.onclick = () => act("Clear");
tools.onsubmit = (event) => event.preventDefault();
addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.target.closest?.("input[type=text]")) return;
  event.preventDefault();
  if (!undo.disabled && !history.isPast) act("Undo");
});

let view;

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => {
  cursors.follow();
  if (!history.isPast) show(room);
});

// A slider through the past: while it is not at its end, the page shows an earlier moment.
const history = new History(room, show);

function show(shown) {
  if (!shown.view || (shown.view === view && board.isSettled)) return;
  view = shown.view;
  const { strokes } = view;
  board.show(strokes, shown.confirmed.strokes, shown.participant);
  if (!history.isPast) pen.follow(strokes);
  if (!pen.isDown) said.textContent = situation(strokes, shown.participant);
  undo.disabled = !strokes.some(({ item }) => item.author === shown.participant);
  clear.disabled = strokes.length === 0;
}

/** A group of radio buttons, of which the first is chosen. */
function choices(group, name, values) {
  document.querySelector(group).append(...values.map((value, index) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value, checked: index === 0 });
    input.ariaLabel = value === "Plain" ? "Ink" : value;
    label.title = input.ariaLabel;
    label.dataset[name] = value;
    label.append(input, document.createElement("i"));
    return label;
  }));
}
