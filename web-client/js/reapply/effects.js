// @ts-check
// What the replica brings forth, noted while it is at work and dealt with after: none of these may call it back.

/**
 * @typedef {import("../reapply.d.ts").Outcome} Outcome
 * @typedef {import("../reapply.d.ts").Signal} Signal
 */

export class Effects {
  /** @type {Uint8Array[]} */
  frames = [];
  /** @type {[number, Outcome][]} */
  outcomes = [];
  /** @type {Signal[]} */
  signals = [];
  /** @type {{ seq: number, digest: string, ours: string, theirs: string }[]} */
  divergences = [];
  /** @type {number | undefined} */
  pongValue;

  /** @param {Uint8Array} frame */
  transmit(frame) {
    this.frames.push(frame);
  }

  /** @param {number} number @param {number} seq @param {number} time_us */
  accepted(number, seq, time_us) {
    this.outcomes.push([number, { status: "accepted", seq, time: new Date(time_us / 1000) }]);
  }

  /** @param {number} number @param {string} kind @param {string} message @param {string | undefined} conflict */
  rejected(number, kind, message, conflict) {
    // Number 0 is a transition that the prediction refused: nothing was sent.
    const outcome = /** @type {Outcome} */ ({ status: "rejected", kind, message, predicted: number === 0 });
    if (conflict !== undefined) Object.assign(outcome, { conflict: parse(conflict) });
    this.outcomes.push([number, outcome]);
  }

  /** @param {number} number */
  decided(number) {
    this.outcomes.push([number, { status: "decided" }]);
  }

  /** @param {number} number */
  unknown(number) {
    this.outcomes.push([number, { status: "unknown" }]);
  }

  /** @param {string} participant @param {number} session @param {Uint8Array} body */
  signal(participant, session, body) {
    this.signals.push({ participant, session, body });
  }

  /** @param {number} seq @param {string} digest @param {string} ours @param {string} theirs */
  diverged(seq, digest, ours, theirs) {
    this.divergences.push({ seq, digest, ours, theirs });
  }

  /** @param {number} value */
  pong(value) {
    this.pongValue = value;
  }
}

/** @param {string} json */
function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    // A machine that writes no JSON is still heard.
    return json;
  }
}
