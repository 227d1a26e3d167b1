// A text that several people write at once. The machine names every character, and this page refers to characters by these names; editor.js
// shows how. mirror.js shows, beneath, what a text area cannot: marks, and where the others are.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import { Carets } from "./carets.js";
import { Chars } from "./chars.js";
import { Editor } from "./editor.js";
import { Mirror } from "./mirror.js";
import { describe, explain, situation, together } from "./words.js";
import "/shared/beside.js";

const { room: name, key } = address();
const path = `/rooms/text/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain, together });
Object.assign(window, { room, network });

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  const outcome = room.apply(transition);
  // Every keystroke writes, so only a failure is worth a message.
  if (transition.Body && !transition.Body.Mark) outcome.then(({ status }) => status === "rejected" && track(transition, outcome), () => {});
  else track(transition, outcome);
}

const part = (id) => document.getElementById(id);
const [area, title] = [part("text"), part("title")];
const undo = document.querySelector("[data-action=undo]");
const redo = document.querySelector("[data-action=redo]");
const marks = [...document.querySelectorAll("[data-mark]")];
const mirror = new Mirror(part("mirror"));
const carets = new Carets(room, draw);
const editor = new Editor(area, {
  act: (transition) => act({ Body: transition }),
  body: () => room.view.body,
  changed: draw,
  selected: showSelection,
});

undo.onclick = () => editor.undo();
redo.onclick = () => editor.redo();
for (const button of marks) {
  // The selection stays in the text while the button is pressed.
  button.onpointerdown = (event) => event.preventDefault();
  button.onclick = () => editor.toggle(button.dataset.mark);
}
area.addEventListener("keydown", (event) => {
  const mark = { u: "underline", H: "highlight", X: "strike" }[event.key];
  if (!mark || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  editor.toggle(mark);
});
area.onblur = area.onfocus = showSelection;

title.onchange = () => {
  const asked = title.value.trim();
  if (asked !== room.view?.title) act({ Title: { Replace: asked } });
};
title.onkeydown = ({ key: pressed }) => {
  if (pressed === "Enter") title.blur();
};

let confirmed = { body: undefined, chars: new Chars({ text: "", runs: [] }) };

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => {
  if (!room.view) return;
  area.readOnly = room.status === "closed";
  if (confirmed.body !== room.confirmed.body) confirmed = { body: room.confirmed.body, chars: new Chars(room.confirmed.body) };
  editor.show();
  draw();
  if (document.activeElement !== title) title.value = room.view.title;
  title.classList.toggle("predicted", room.view.title !== room.confirmed.title);
});

/** Draws everything that depends on the text, and on the places of the others. */
function draw() {
  const { chars } = editor;
  const isDecided = !editor.isWaiting && room.view?.body === room.confirmed?.body;
  mirror.draw(chars, isDecided ? undefined : confirmed.chars, carets.places(chars));
  const words = situation(chars.text);
  if (part("situation").textContent !== words) part("situation").textContent = words;
  undo.disabled = !editor.canUndo;
  redo.disabled = !editor.canRedo;
  showSelection();
}

function showSelection() {
  carets.tell(document.activeElement === area ? editor.caret : undefined);
  for (const button of marks) {
    const isMarked = editor.isMarked(button.dataset.mark);
    button.disabled = isMarked === undefined;
    button.ariaPressed = String(isMarked ?? false);
  }
}
