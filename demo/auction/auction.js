// An auction. The machine does not show what each bidder would pay at most; this page can only show what its view says, and remembers
// its own bid.

import { connect } from "/reapply.js";
import { address } from "/shared/address.js";
import { Countdown, clock, spoken } from "/shared/countdown.js";
import { avatar, nameOf } from "/shared/names.js";
import { Network } from "/shared/network.js";
import { roomBar } from "/shared/room-bar.js";
import { amount, describe, explain, ownWords, situation, waiting } from "./words.js";
import "/shared/beside.js";

const SOON_MS = 10_000;

const { room: name, key } = address();
const path = `/rooms/auction/${name}`;
const network = new Network();

// Joins the room, which begins on first use. `socket` is only here so that the network can be made worse.
const room = connect(path, { key, socket: network.socket });
const track = roomBar(room, network, path, { describe, explain });
Object.assign(window, { room, network });

const part = (id) => document.getElementById(id);
const stage = document.querySelector(".auction");
const toEnd = new Countdown(room, showRemaining);
const toAnyone = new Countdown(room, showWait);

// Sends a transition. The view has already changed when `apply` returns; the outcome arrives when the host has decided.
function act(transition) {
  const outcome = room.apply(transition);
  track(transition, outcome);
  return outcome;
}

part("bid").onsubmit = (event) => {
  event.preventDefault();
  const most = numberIn(part("most"));
  if (most !== undefined) bid(most);
};

async function bid(most) {
  const memory = memoryOf(view.number);
  const { status } = await act({ Bid: { most } });
  if (status !== "accepted") return;
  // The machine never shows a maximum, not even your own: every page gets the same view.
  sessionStorage[memory] = most;
  propose(part("most"), view.least);
  part("own").textContent = ownWords(view, room.participant, sessionStorage[memoryOf(view.number)]);
}

part("offer").onsubmit = (event) => {
  event.preventDefault();
  const [reserve, step, seconds] = ["reserve", "step", "seconds"].map((name) => numberIn(fieldOf(name)));
  const isComplete = [reserve, step, seconds].every((number) => number !== undefined);
  if (isComplete) act({ Offer: { item: fieldOf("item").value.trim(), reserve, step, seconds } });
};

// A proposal gives way to what is typed: the first click or tab into a field selects all of it.
for (const field of document.querySelectorAll("#most, #offer input")) {
  field.addEventListener("focus", () => field.select());
  // Otherwise a click would place the caret afterwards, and end the selection.
  field.addEventListener("mousedown", (event) => {
    if (document.activeElement === field) return;
    event.preventDefault();
    field.focus();
  });
}

/** Proposes a value that typing replaces. */
function propose(field, value) {
  if (field.value === String(value)) return;
  field.value = value;
  if (document.activeElement === field) field.select();
}

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea") || event.ctrlKey || event.metaKey || event.altKey;
  if (typing || event.key !== "b" || part("bid").hidden) return;
  event.preventDefault();
  part("most").focus();
});

let view;

// Called after every change: after your own in the same tick, before the host has heard of it, and after everyone else's.
room.subscribe(() => {
  if (!room.view || view === room.view) return;
  const before = view;
  view = room.view;
  stage.classList.toggle("predicted", JSON.stringify(view) !== JSON.stringify(room.confirmed));
  stage.classList.toggle("leads", view.leader !== null && view.leader === room.participant);
  showLot();
  showForms(before);
  showBids();
  toEnd.until(view.phase === "Open" ? view.ends / 1000 : undefined);
  if (view.phase !== "Open") showRemaining(0);
  toAnyone.until(view.phase === "Closed" && !isParty() ? view.anyone_from / 1000 : undefined);
});

function showLot() {
  const { lot, number, price, seller } = view;
  part("number").textContent = number === 0 ? "The first lot" : `Lot ${number}, from ${seller === room.participant ? "you" : nameOf(seller)}`;
  part("item").textContent = lot.item;
  part("terms").textContent = `from ${amount(lot.reserve)}, in steps of ${amount(lot.step)}`;
  part("price").textContent = price === null ? "–" : amount(price);
  part("situation").textContent = situation(view, room.participant);
  part("own").textContent = ownWords(view, room.participant, sessionStorage[memoryOf(number)]);
}

/** The form for bids is for everyone but the seller, while the lot is open; the form for the next lot is for those who may put it up. */
function showForms(before) {
  part("bid").hidden = view.phase !== "Open" || view.seller === room.participant;
  const mayOffer = view.phase === "Waiting" || (view.phase === "Closed" && (isParty() || room.now() >= view.anyone_from / 1000));
  part("offer").hidden = !mayOffer;
  part("wait").hidden = view.phase !== "Closed" || mayOffer;
  if (before?.phase !== view.phase || before?.number !== view.number) {
    part("wrong").textContent = "";
    for (const [name, value] of Object.entries(view.lot)) propose(fieldOf(name), value);
  }
  // Typed text stays, whatever the others bid.
  if (before?.number !== view.number || part("most").value === String(before.least)) propose(part("most"), view.least);
  if (before?.least !== view.least || before?.number !== view.number) showAmounts();
}

/** Three useful amounts: the lowest accepted one, and two with room to spare. */
function showAmounts() {
  const { least, lot } = view;
  const amounts = [least, least + 5 * lot.step, least + 25 * lot.step];
  document.querySelector(".amounts").replaceChildren(...amounts.map((value) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: amount(value) });
    button.dataset.amount = value;
    button.onclick = () => {
      part("most").value = value;
      part("bid").querySelector(".main").focus();
    };
    return button;
  }));
}

function showBids() {
  const confirmed = new Set(room.confirmed.bids.map((bid) => JSON.stringify(bid)));
  part("bids").replaceChildren(...view.bids.map((bid) => {
    const line = document.createElement("li");
    line.className = confirmed.has(JSON.stringify(bid)) ? "" : "predicted";
    const [who, price, when] = ["span", "b", "time"].map((tag) => document.createElement(tag));
    who.textContent = (bid.bidder === room.participant ? "You" : nameOf(bid.bidder)) + (bid.automatic ? ", auto" : "");
    who.title = bid.automatic ? "Made on the bidder’s behalf, in answer to another bid" : "";
    price.textContent = amount(bid.amount);
    when.dateTime = new Date(bid.at / 1000).toISOString();
    when.textContent = new Date(bid.at / 1000).toLocaleTimeString([], { hourCycle: "h23" });
    line.append(avatar(bid.bidder), who, price, when);
    return line;
  }));
}

function showRemaining(remaining_ms) {
  const isOpen = view.phase === "Open";
  part("remaining").textContent = isOpen ? clock(remaining_ms) : view.phase === "Closed" ? "Closed" : clock(view.lot.seconds * 1000);
  part("remaining").ariaLabel = isOpen ? `${spoken(remaining_ms)} left` : null;
  part("ends").textContent = isOpen ? "left" : view.phase === "Waiting" ? "once it is put up" : new Date(view.ends / 1000).toLocaleTimeString([], { hourCycle: "h23" });
  stage.classList.toggle("soon", isOpen && remaining_ms < SOON_MS);
  stage.style.setProperty("--left", isOpen ? Math.min(1, remaining_ms / (view.lot.seconds * 1000)) : 0);
}

function showWait(remaining_ms) {
  if (remaining_ms > 0) part("wait").textContent = waiting(view, clock(remaining_ms, false));
  else showForms(view);
}

function isParty() {
  return [view.seller, view.leader].includes(room.participant);
}

function fieldOf(name) {
  return part("offer").querySelector(`[name=${name}]`);
}

/** Returns the key under which this tab stores its own maximum for a lot. */
function memoryOf(number) {
  return `most ${path} ${number} ${room.participant}`;
}

/** Returns the whole number in a field, or shows what is wrong with it next to it. */
function numberIn(field) {
  const number = /^\d{1,9}$/.test(field.value.trim()) ? Number(field.value) : undefined;
  field.setAttribute("aria-invalid", number === undefined);
  if (number !== undefined) {
    part("wrong").textContent = "";
    return number;
  }
  part("wrong").textContent = "Write whole numbers, such as 25.";
  field.focus();
  return undefined;
}
