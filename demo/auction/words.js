// Words for the machine's transitions, conflicts and situations.

import { nameOf } from "/shared/names.js";

const CONFLICTS = {
  NothingForSale: "Nothing is for sale yet",
  StillOpen: "The last lot is still open",
  Ended: "The time is over: the lot is closed",
  OwnItem: "You cannot bid on your own lot",
  AlreadyLeading: "You already lead, with at least that maximum",
  OnlyTheAlarmCloses: "Only the alarm closes a lot",
  NotDue: "It is not time to close",
};

/** "1,250" */
export function amount(number) {
  return number.toLocaleString("en");
}

/** Describes a transition in a few words. The maximum of a bid is not shown to everyone. */
export function describe(transition) {
  if (transition.Bid) return "bid";
  if (transition.Offer) return `put up “${transition.Offer.item}”`;
  return { Close: "close the lot" }[transition] ?? JSON.stringify(transition);
}

/** Explains a conflict. */
export function explain(conflict) {
  const { TooLow, TooHigh, BadLot, NotYourTurn } = conflict;
  if (TooLow) return `Too low: the least bid is now ${amount(TooLow.least)}`;
  if (TooHigh) return `Too high: the most is ${amount(TooHigh.most)}`;
  if (BadLot) return `That lot is not valid: ${BadLot.why}`;
  if (NotYourTurn) return `The last seller and buyer may put up the next lot until ${new Date(NotYourTurn.until / 1000).toLocaleTimeString([], { hourCycle: "h23" })}`;
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** Describes the state of the lot. */
export function situation({ phase, seller, leader }, participant) {
  const name = leader === participant ? "You" : nameOf(leader ?? "");
  if (phase === "Waiting") return "Whoever puts it up sells it";
  if (phase === "Closed") return leader === null ? "Nobody wanted it" : leader === participant ? "You bought it!" : `Sold to ${name}`;
  if (leader === null) return seller === participant ? "Waiting for a bid" : "Nobody has bid yet";
  return leader === participant ? "You lead" : `${name} leads`;
}

/** Describes what this page remembers of its own bid. */
export function ownWords({ phase, leader, price }, participant, most) {
  if (most === undefined || phase === "Waiting") return "";
  if (leader === participant) return phase === "Closed" ? `for ${amount(price)}; you would have paid up to ${amount(Number(most))}` : `You would pay up to ${amount(Number(most))}`;
  return phase === "Closed" ? "" : `You are outbid: you said up to ${amount(Number(most))}`;
}

/** Says who may put up the next lot, and when everyone else may. */
export function waiting({ seller, leader }, left) {
  const parties = [seller, leader].filter(Boolean).map(nameOf).join(" or ");
  return `${parties} may put up the next lot; everyone else in ${left}.`;
}
