// The cursors of the others on the board, sent as signals, which are ephemeral. A missed one is followed by the next.

import { nameOf, paint } from "/shared/names.js";
import { HEIGHT, WIDTH } from "./board.js";

const TELL_MS = 50;

export class Cursors {
  #layer;
  #room;
  /** Elements by session: a participant may be here in two tabs. */
  #cursors = new Map();
  #told = 0;
  #timer;
  #next;

  constructor(layer, room) {
    this.#layer = layer;
    this.#room = room;
    room.onsignal = (signal) => this.#heard(signal);
  }

  /** Tells the others where your own pen is: on the board, or nowhere. The last place of every moment is sent. */
  tell(point) {
    this.#next = point ?? null;
    const wait = this.#told + TELL_MS - performance.now();
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#told = performance.now();
      this.#room.signal(JSON.stringify({ cursor: this.#next }));
    }, Math.max(0, wait));
  }

  /** Removes the cursors of those who have left. */
  follow() {
    if (this.#cursors.size === 0) return;
    for (const [session, cursor] of this.#cursors) {
      if (this.#room.status === "live" && this.#room.participants.includes(cursor.dataset.cursor)) continue;
      cursor.remove();
      this.#cursors.delete(session);
    }
  }

  #heard({ participant, session, body }) {
    const cursor = pointIn(body);
    if (cursor === undefined) return;
    let element = this.#cursors.get(session);
    if (cursor === null) {
      element?.remove();
      this.#cursors.delete(session);
      return;
    }
    if (!element) {
      element = document.createElement("div");
      element.dataset.cursor = participant;
      element.textContent = nameOf(participant);
      paint(element, participant);
      this.#layer.append(element);
      this.#cursors.set(session, element);
    }
    const [x, y] = cursor;
    element.style.left = `${(x / WIDTH) * 100}%`;
    element.style.top = `${(y / HEIGHT) * 100}%`;
    element.classList.toggle("flipped", x > WIDTH * 0.7);
  }
}

/** Returns the place in a signal; `null` for none, `undefined` for any other signal. Anyone in the room may send anything. */
function pointIn(body) {
  try {
    const { cursor } = JSON.parse(new TextDecoder().decode(body));
    if (cursor === null) return null;
    const [x, y] = cursor;
    return x >= 0 && x < WIDTH && y >= 0 && y < HEIGHT ? [x, y] : undefined;
  } catch {
    return undefined;
  }
}
