// A countdown that everyone in the room shares. The host's alarm rings it; this page only draws the remaining time.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { Countdown, clock, spoken } from "/shared/countdown.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import { describe, explain, lateWords, ringWords, secondsOf, situation } from "./words.js";
import "/shared/beside.js";

const PRESETS_S = [5, 30, 60, 300, 1500];
const RINGING_MS = 5000;

const { room: name, key } = address();
const path = `/rooms/timer/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain });
Object.assign(window, { room, network });

const part = (id) => document.getElementById(id);
const stage = document.querySelector(".timer");
const toggle = document.querySelector("[data-action=toggle]");
const countdown = new Countdown(room, showRemaining);

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  track(transition, room.apply(transition));
}

const startOrStop = () => act(room.view?.phase.Running ? "Stop" : "Start");
const reset = () => act("Reset");
toggle.onclick = startOrStop;
document.querySelector("[data-action=reset]").onclick = reset;

part("set").onsubmit = (event) => {
  event.preventDefault();
  const seconds = secondsOf(part("time").value);
  part("time").setAttribute("aria-invalid", seconds === undefined);
  part("wrong").textContent = seconds === undefined ? "Write a time like 90, 1:30 or 1:00:00." : "";
  if (seconds !== undefined) set(seconds);
};
part("time").oninput = () => part("time").dataset.edited = "";
part("repeats").onchange = () => room.view && set(room.view.length / 1e6);
document.querySelector(".presets").append(...PRESETS_S.map((seconds) => {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: seconds < 60 ? `${seconds} s` : `${seconds / 60} min` });
  button.dataset.seconds = seconds;
  button.onclick = () => set(seconds);
  return button;
}));

function set(seconds) {
  delete part("time").dataset.edited;
  act({ Set: { seconds, repeats: part("repeats").checked } });
}

addEventListener("keydown", (event) => {
  const used = event.target.closest?.("input, button, a, summary") || event.ctrlKey || event.metaKey || event.altKey;
  const action = { " ": startOrStop, r: reset }[event.key];
  // A focused button needs the space bar for itself.
  if (!action || event.repeat || (used && (event.key === " " || event.target.matches("input")))) return;
  event.preventDefault();
  action();
});

let view;

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => {
  if (!room.view || view === room.view) return;
  const isFirst = view === undefined;
  view = room.view;
  const { Running, Stopped } = view.phase;
  stage.classList.toggle("running", Boolean(Running));
  stage.classList.toggle("predicted", JSON.stringify(view) !== JSON.stringify(room.confirmed));
  toggle.textContent = Running ? "Stop" : "Start";
  part("length").textContent = `of ${clock(view.length / 1000, false)}${view.repeats ? ", repeating" : ""}`;
  part("situation").textContent = situation(view, room.participant);
  showForm(Boolean(Running));
  showRing(isFirst);
  countdown.until(Running && Running.due / 1000);
  if (Stopped) showRemaining(Stopped.remaining / 1000);
});

function showRemaining(remaining_ms) {
  part("remaining").textContent = clock(remaining_ms);
  part("remaining").ariaLabel = spoken(remaining_ms);
  stage.style.setProperty("--spent", 1 - (remaining_ms * 1000) / view.length);
}

/** The length can be set while the timer stands still. */
function showForm(running) {
  for (const element of document.querySelectorAll("#set :is(input, button), .presets button")) element.disabled = running;
  if (!("edited" in part("time").dataset)) part("time").value = clock(view.length / 1000, false);
  part("repeats").checked = view.repeats;
}

/** Says that it rang; if the page saw it happen, also shows it and plays a sound. */
function showRing(isFirst) {
  const at = String(view.last_ring?.at ?? "");
  if (stage.dataset.rung === at) return;
  stage.dataset.rung = at;
  part("rings").textContent = ringWords(view, room.participant);
  part("late").textContent = lateWords(view);
  if (isFirst || at === "") return;
  stage.classList.add("ringing");
  setTimeout(() => stage.dataset.rung === at && stage.classList.remove("ringing"), RINGING_MS);
  beep();
}

/** Three short tones, if somebody has used the page: browsers allow sound in no others. */
function beep() {
  if (!navigator.userActivation?.hasBeenActive) return;
  const audio = new AudioContext();
  const tone = new OscillatorNode(audio, { frequency: 880 });
  const volume = new GainNode(audio, { gain: 0 });
  for (const start of [0, 0.25, 0.5]) volume.gain.setValueAtTime(0.08, start).setValueAtTime(0, start + 0.15);
  tone.connect(volume).connect(audio.destination);
  tone.onended = () => audio.close();
  tone.start();
  tone.stop(0.7);
}
