// The carets of the others, sent as signals, which are ephemeral. A caret is after a character, so it moves with the text.

const TELL_MS = 100;

export class Carets {
  #room;
  /** By session: a participant may be here in two tabs. `seen` is their last place that this page could find. */
  #carets = new Map();
  #timer;
  #next;
  #told;
  #audience;

  /** `changed()` is called when another caret has moved. */
  constructor(room, changed) {
    this.#room = room;
    room.onsignal = ({ participant, session, body }) => {
      const caret = caretIn(body);
      if (caret === undefined) return;
      if (caret === null) this.#carets.delete(session);
      else this.#carets.set(session, { ...this.#carets.get(session), participant, after: caret.after });
      changed();
    };
  }

  /** Tells the others after which character your own caret is; `undefined` if it is not in the text. */
  tell(after) {
    const audience = `${this.#room.status} ${this.#room.participants.join()}`;
    this.#next = JSON.stringify({ caret: after === undefined ? null : { after } });
    // A newcomer has not heard where the caret is.
    if (this.#next === this.#told && audience === this.#audience) return;
    this.#audience = audience;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#room.signal(this.#next)) this.#told = this.#next;
    }, TELL_MS);
  }

  /** Returns the carets of those who are present. */
  places(chars) {
    const places = [];
    for (const [session, caret] of this.#carets) {
      if (this.#room.status !== "live" || !this.#room.participants.includes(caret.participant)) {
        this.#carets.delete(session);
        continue;
      }
      // A signal may arrive before the character that it names; and the character may be deleted before the caret moves on.
      if (chars.after(caret.after) !== undefined) caret.seen = caret.after;
      const place = caret.seen === undefined ? undefined : chars.after(caret.seen);
      if (place !== undefined) places.push({ place, participant: caret.participant });
    }
    return places;
  }
}

/** Returns the caret in a signal; `null` for none, `undefined` for any other signal. Anyone in the room may send anything. */
function caretIn(body) {
  try {
    const { caret } = JSON.parse(new TextDecoder().decode(body));
    if (caret === null || caret.after === null) return caret;
    const { id, offset } = caret.after;
    return typeof id === "string" && Number.isInteger(offset) ? { after: { id, offset } } : undefined;
  } catch {
    return undefined;
  }
}
