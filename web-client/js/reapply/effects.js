// @ts-check
// What the driver asks for, noted while it is at work and done after: none of these may call it back.

/**
 * @typedef {import("../reapply.d.ts").Outcome} Outcome
 * @typedef {import("../reapply.d.ts").Returned} Returned
 * @typedef {import("../reapply.d.ts").Signal} Signal
 * @typedef {import("./store.js").Entry} Entry
 * @typedef {import("./store.js").Change} Change
 */

/**
 * Whoever does it.
 * @typedef {object} Actor
 * @property {(connection: number) => void} connect
 * @property {(connection: number) => void} disconnect
 * @property {(connection: number, frame: Uint8Array) => void} send
 * @property {(digest: string) => void} load
 * @property {(write: number, changes: Change[]) => void} write
 * @property {() => void} openStore
 * @property {() => void} findOrphan
 * @property {(text: string) => void} warn
 * @property {(text: string) => void} report
 */

/**
 * Whoever is told.
 * @typedef {object} Teller
 * @property {(ticket: number, outcome: Outcome) => void} decided
 * @property {() => void} joined
 * @property {(why: string) => void} closed
 * @property {(returned: Returned) => void} returned may call the page's own code
 * @property {(signal: Signal) => void} signalled likewise
 */

export class Effects {
  /** @type {((actor: Actor, teller: Teller) => void)[]} */
  #first = [];
  /** @type {((teller: Teller) => void)[]} */
  #last = [];
  /** The changes of the next write. @type {Change[]} */
  #changes = [];
  /** The transition of an earlier page that is decided next. @type {{ json: string, time: Date } | undefined} */
  #returning;

  /** Does what the driver asks for. @param {Actor} actor @param {Teller} teller */
  perform(actor, teller) {
    for (const effect of this.#first) effect(actor, teller);
  }

  /** Tells what may call the page's own code, which may do anything. @param {Teller} teller */
  tell(teller) {
    for (const effect of this.#last) effect(teller);
  }

  /** @param {number} connection */
  connect(connection) {
    this.#first.push((actor) => actor.connect(connection));
  }

  /** @param {number} connection */
  disconnect(connection) {
    this.#first.push((actor) => actor.disconnect(connection));
  }

  /** @param {number} connection @param {Uint8Array} frame */
  send(connection, frame) {
    this.#first.push((actor) => actor.send(connection, frame));
  }

  /** @param {string} digest */
  load(digest) {
    this.#first.push((actor) => actor.load(digest));
  }

  /** @param {number} order @param {number} number @param {string} json @param {number} time @param {number | undefined} head */
  put(order, number, json, time, head) {
    this.#changes.push({ put: { order, number, json, time, sent: head !== undefined, head } });
  }

  /** @param {number} order */
  delete(order) {
    this.#changes.push({ delete: order });
  }

  /** @param {number} last */
  reserve(last) {
    this.#changes.push({ reserve: last });
  }

  /** @param {number} write */
  write(write) {
    const changes = this.#changes;
    this.#changes = [];
    this.#first.push((actor) => actor.write(write, changes));
  }

  openStore() {
    this.#first.push((actor) => actor.openStore());
  }

  /** @param {number} ticket @param {number} seq @param {number} time_ms */
  accepted(ticket, seq, time_ms) {
    this.#decide(ticket, { status: "accepted", seq, time: new Date(time_ms) });
  }

  /** @param {number} ticket @param {string} kind @param {string} message @param {string | undefined} conflict @param {boolean} predicted */
  rejected(ticket, kind, message, conflict, predicted) {
    const outcome = /** @type {Outcome} */ ({ status: "rejected", kind, message, predicted });
    if (conflict !== undefined) Object.assign(outcome, { conflict: parse(conflict) });
    this.#decide(ticket, outcome);
  }

  /** @param {number} ticket */
  decided(ticket) {
    this.#decide(ticket, { status: "decided" });
  }

  /** @param {number} ticket */
  unknown(ticket) {
    this.#decide(ticket, { status: "unknown" });
  }

  /** The next decision is on a transition of an earlier page. @param {string} json @param {number} time_ms */
  returned(json, time_ms) {
    this.#returning = { json, time: new Date(time_ms) };
  }

  /** @param {string} participant @param {number} session @param {Uint8Array} body */
  signal(participant, session, body) {
    this.#last.push((teller) => teller.signalled({ participant, session, body }));
  }

  joined() {
    this.#first.push((_, teller) => teller.joined());
  }

  findOrphan() {
    this.#first.push((actor) => actor.findOrphan());
  }

  /** @param {number} seq @param {string} digest @param {string} ours @param {string} theirs */
  diverged(seq, digest, ours, theirs) {
    this.#first.push((actor) => actor.warn(`diverged at seq ${seq} under ${digest}: hash ${ours} here, ${theirs} in the room`));
  }

  /** @param {string} why */
  report(why) {
    this.#first.push((actor) => actor.report(why));
  }

  /** @param {string} why */
  closed(why) {
    this.#first.push((_, teller) => teller.closed(why));
  }

  /** @param {number} ticket @param {Outcome} outcome */
  #decide(ticket, outcome) {
    const returning = this.#returning;
    this.#returning = undefined;
    if (!returning) this.#first.push((_, teller) => teller.decided(ticket, outcome));
    else this.#last.push((teller) => teller.returned({ transition: JSON.parse(returning.json), outcome, time: returning.time }));
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
