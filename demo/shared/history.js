// A slider through the room's past, in the page's `.past`: while it shows an earlier moment, so does the page.

import "/reapply/scrubber.js";

export class History {
  #room;
  #draw;
  #scrubber = document.querySelector("reapply-scrubber");

  /** `draw(shown)` draws a moment; a `Room` stands for its own current moment. */
  constructor(room, draw) {
    this.#room = room;
    this.#draw = draw;
    const scrubber = this.#scrubber;
    scrubber.room = room;
    scrubber.addEventListener("moment", ({ detail: { view } }) => this.#show({ view, confirmed: view, participant: room.participant, pending: 0 }));
    scrubber.addEventListener("live", () => this.#show(room));
    scrubber.closest("details").addEventListener("toggle", ({ target }) => target.open || scrubber.goLive());
  }

  /** Whether the page shows the past: then its controls do nothing. */
  get isPast() {
    return !this.#scrubber.isLive;
  }

  #show(shown) {
    document.querySelector(".stage").inert = this.isPast;
    document.body.toggleAttribute("data-moment", this.isPast);
    this.#draw(shown);
  }
}
