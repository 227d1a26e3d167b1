// Words for the machine's transitions, conflicts and situations.

import { clock } from "/shared/countdown.js";
import { nameOf } from "/shared/names.js";

const CONFLICTS = {
  Running: "The timer is running already: stop it first",
  NotRunning: "The timer is not running",
  OnlyTheAlarmRings: "Only the alarm rings the timer",
  NotDue: "It is not time to ring",
};

/** Describes a transition in a few words. */
export function describe(transition) {
  if (transition.Set) return `set the timer to ${clock(transition.Set.seconds * 1000, false)}${transition.Set.repeats ? ", repeating" : ""}`;
  return { Start: "start the timer", Stop: "stop the timer", Reset: "reset the timer", Ring: "ring the bell" }[transition] ?? JSON.stringify(transition);
}

/** Explains a conflict. */
export function explain(conflict) {
  const { LengthOutOfRange: range } = conflict;
  if (range) return `A length is ${range.min} second to ${clock(range.max * 1000, false)}`;
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** Describes what the timer is doing. */
export function situation({ phase: { Running, Stopped }, length }, participant) {
  if (Running) return `Running, started by ${who(Running.starter, participant)}`;
  return Stopped.remaining < length ? "Stopped" : "Ready";
}

/** Says how often it rang, and who had started it. */
export function ringWords({ rings, last_ring: ring }, participant) {
  if (!ring) return "";
  const times = rings === 1 ? "once" : `${rings} times, the last time`;
  return `It rang ${times} at ${new Date(ring.at / 1000).toLocaleTimeString([], { hourCycle: "h23" })}. ${capital(who(ring.starter, participant))} had started it.`;
}

/** Says how late the last ring was. */
export function lateWords({ last_ring: ring }) {
  if (!ring) return "";
  const late_s = (ring.at - ring.due) / 1e6;
  return `The alarm was ${late_s < 1 ? `${Math.round(late_s * 1000)} ms` : `${late_s.toFixed(1)} s`} late.`;
}

/** Returns the seconds in "90", "1:30" or "1:00:00"; `undefined` for any other text. */
export function secondsOf(text) {
  const match = /^(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6})$/.exec(text.trim());
  if (!match) return undefined;
  const [, hours = 0, minutes = 0, seconds] = match;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

function who(participant, own) {
  return participant === own ? "you" : nameOf(participant);
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
