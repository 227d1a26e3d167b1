// Where the others write: told by signals, which are ephemeral. A caret is after a character, so it moves with the text.

const TELL_MS = 100;

export class Carets {
  #room;
  /** By session: somebody may be here in two tabs. `seen` is the last place of theirs that this page could find. */
  #carets = new Map();
  #timer;
  #next;
  #told;
  #audience;

  /** `changed()` is called when somebody's caret has moved. */
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

  /** Tells the others after which character one's own caret is; `undefined` where it is not in the text. */
  tell(after) {
    const audience = `${this.#room.status} ${this.#room.participants.join()}`;
    this.#next = JSON.stringify({ caret: after === undefined ? null : { after } });
    // Whoever has just come in has not heard where it is.
    if (this.#next === this.#told && audience === this.#audience) return;
    this.#audience = audience;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#room.signal(this.#next)) this.#told = this.#next;
    }, TELL_MS);
  }

  /** Where the carets of those are who are here. */
  places(chars) {
    const places = [];
    for (const [session, caret] of this.#carets) {
      if (this.#room.status !== "live" || !this.#room.participants.includes(caret.participant)) {
        this.#carets.delete(session);
        continue;
      }
      // A signal may be here before the character that it speaks of; and that may be deleted before they have moved on.
      if (chars.after(caret.after) !== undefined) caret.seen = caret.after;
      const place = caret.seen === undefined ? undefined : chars.after(caret.seen);
      if (place !== undefined) places.push({ place, participant: caret.participant });
    }
    return places;
  }
}

/** The caret that a signal tells; `null` for none, `undefined` if it is no such signal. Anyone in the room may send anything. */
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
