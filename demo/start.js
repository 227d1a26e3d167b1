// The start page: the answers of /machines and /rooms, requested every few seconds while the page is visible.

import { NAME_RULE, TITLES, nameFrom, pageOf } from "/shared/address.js";
import "/shared/hood.js";

const POLL_MS = 3000;
const ROOMS_SHOWN_MAX = 50;

const part = (id) => document.getElementById(id);
const form = part("new-room");

poll();
document.addEventListener("visibilitychange", () => document.hidden || refresh());
form.room.oninput = () => showName(form.room.value !== "");
form.onsubmit = (event) => {
  event.preventDefault();
  showName(true);
  // People type any name they like, and the room gets a valid name made from it.
  const name = nameFrom(form.room.value);
  if (name && form.machine.value) location.href = pageOf(form.machine.value, name);
  else form.room.focus();
};
form.room.value = new URLSearchParams(location.search).get("wrong") ?? "";
form.room.oninput();

async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, POLL_MS);
}

async function refresh() {
  try {
    const [{ machines }, { rooms }] = await Promise.all([ask("/machines"), ask("/rooms")]);
    showMachines(machines);
    showRooms(rooms);
    showTrouble("");
  } catch (error) {
    showTrouble(`${error.message} What you see may be old; trying again every ${POLL_MS / 1000} seconds.`);
  }
}

async function ask(path) {
  const response = await fetch(path, { cache: "no-store" }).catch(() => {
    throw new Error("The host does not answer. Is `reapply serve` running?");
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(`The host answered ${response.status} to ${path}: ${answer.error?.message ?? response.statusText}.`);
  return answer;
}

function showMachines(machines) {
  machines.sort((a, b) => a.name.localeCompare(b.name));
  showRows(part("machines"), machines, ({ name }) => name, "<a></a> <code></code> <span></span> <time></time>", (row, { name, digest, deployed, rooms }) => {
    row.children[0].href = pageOf(name, "lobby");
    row.children[0].title = "Enter its lobby";
    set(row.children[0], name);
    set(row.children[1], digest.slice(0, 12));
    row.children[1].title = `BLAKE3 of the component: ${digest}`;
    set(row.children[2], plural(rooms, "room"));
    showTime(row.children[3], "deployed", deployed);
  });
  showDemos(machines.map(({ name }) => name));
  form.querySelector("button").disabled = machines.length === 0;
  const names = machines.map(({ name }) => name).join();
  if (form.dataset.machines === names) return;
  form.dataset.machines = names;
  const chosen = form.machine.value;
  form.machine.replaceChildren(...machines.map(({ name }) => new Option(titleOf(name), name, false, name === chosen)));
}

/** Shows a card for each demo, pale if the host does not have it. Machines that are not demos have a card without a picture. */
function showDemos(deployed) {
  const list = part("demos");
  for (const card of list.children) card.classList.toggle("missing", !deployed.includes(card.dataset.machine));
  for (const name of deployed) {
    if (list.querySelector(`[data-machine="${name}"]`)) continue;
    const card = Object.assign(document.createElement("li"), { innerHTML: "<a><b></b><span>Your own machine, on a page for any machine.</span></a>" });
    card.dataset.machine = name;
    card.querySelector("a").href = pageOf(name, "lobby");
    card.querySelector("b").textContent = name;
    list.append(card);
  }
}

function titleOf(machine) {
  return TITLES[machine] ?? machine;
}

function showRooms(rooms) {
  rooms.sort((a, b) => new Date(b.changed) - new Date(a.changed));
  const shown = rooms.slice(0, ROOMS_SHOWN_MAX);
  showRows(part("rooms"), shown, ({ machine, room }) => `${machine}/${room}`, "<a><b></b><small></small></a> <span></span> <span class=hooded></span> <time></time>", (row, { machine, room, seq, participants, changed }) => {
    row.classList.toggle("awake", participants > 0);
    row.children[0].href = pageOf(machine, room);
    set(row.children[0].firstChild, room);
    set(row.children[0].lastChild, titleOf(machine));
    set(row.children[1], participants > 0 ? `${participants} here now` : "nobody here");
    set(row.children[2], `seq ${seq}`);
    showTime(row.children[3], "changed", changed);
  });
  const more = rooms.length - shown.length;
  set(part("rooms-note"), rooms.length === 0 ? "No rooms yet. A room begins when somebody enters it." : more > 0 ? `and ${more} more` : "");
}

/** Keeps each row's element while its key stays, so that focus and selection survive a refresh. */
function showRows(list, items, keyOf, template, show) {
  const old = new Map([...list.children].map((row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const row = old.get(key) ?? Object.assign(document.createElement("li"), { innerHTML: template });
    old.delete(key);
    row.dataset.key = key;
    show(row, item);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  for (const row of old.values()) row.remove();
}

/** Shows the name that the room will get, or the rule if what was typed gives no name. */
function showName(isTyped) {
  const name = nameFrom(form.room.value);
  const isBad = isTyped && name === "";
  form.room.setAttribute("aria-invalid", isBad);
  part("name-rule").classList.toggle("bad", isBad);
  set(part("name-rule"), name && name !== form.room.value ? `The room will be called ${name}.` : `A name is ${NAME_RULE}.`);
}

function showTrouble(text) {
  set(part("trouble"), text);
  document.body.classList.toggle("stale", text !== "");
}

function showTime(element, word, time) {
  const seconds = Math.max(0, (Date.now() - new Date(time)) / 1000);
  const [unit, length] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, length]) => seconds >= length) ?? ["second", 1];
  element.dateTime = time;
  element.title = new Date(time).toLocaleString();
  set(element, seconds < 5 ? `${word} just now` : `${word} ${plural(Math.floor(seconds / length), unit)} ago`);
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
