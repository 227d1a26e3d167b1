// A page for any machine: its view as JSON, and a box for transitions. `/room.html?machine=M&room=R`

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import { examplesOf } from "/shared/schema.js";
import "/shared/beside.js";

const { machine, room: name, key } = address();
const path = `/rooms/${machine}/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe: (asked) => `apply ${short(asked)}`, explain: short });
Object.assign(window, { room, network });

const view = document.querySelector("#view");
const transition = document.querySelector("#transition");
const wrong = document.querySelector("#wrong");

room.subscribe(() => {
  if (room.view !== undefined) showView(lines(room.view), new Set(lines(room.confirmed)));
});

document.querySelector("#apply").onsubmit = (event) => {
  event.preventDefault();
  wrong.textContent = "";
  try {
    const asked = JSON.parse(transition.value);
    track(asked, room.apply(asked));
  } catch (error) {
    wrong.textContent = `This is not JSON: ${error.message}`;
  }
};
transition.onkeydown = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
};
showSchema();

/** Marks the lines that are only in the optimistic view. */
function showView(optimistic, confirmed) {
  view.replaceChildren(...optimistic.map((text) => {
    const line = document.createElement("span");
    line.textContent = `${text}\n`;
    if (!confirmed.has(text)) line.className = "predicted";
    return line;
  }));
}

async function showSchema() {
  const response = await fetch(`/machines/${machine}`);
  if (!response.ok) return;
  const { description } = await response.json();
  const schemas = typeof description.schemas === "string" ? JSON.parse(description.schemas) : description.schemas;
  document.querySelector("#schema").textContent = JSON.stringify(schemas.transition, null, 2);
  const examples = examplesOf(schemas.transition);
  transition.value = short(examples[0]);
  document.querySelector("#examples").append(...examples.map((example) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: short(example) });
    button.onclick = () => (transition.value = button.textContent);
    return button;
  }));
}

function lines(value) {
  return JSON.stringify(value, null, 2).split("\n");
}

function short(value) {
  return JSON.stringify(value) ?? "";
}
