import type { Moment, Room } from "./reapply.js";

/** `<reapply-scrubber>`: a slider through a room's past, with a button to play it and one for the present. Importing this file defines it.
 *
 * Events: `moment`, a `CustomEvent<Moment>`, with each moment that is shown; `live` on the return to the present.
 *
 * By keyboard: the slider's own keys, Space to play and pause, Escape for the present. For style: the parts `play`, `slider`, `live`, `moment`. */
export class Scrubber extends HTMLElement {
  /** The room whose past this shows. */
  room: Room | undefined;
  /** The moment that is shown, once it is there; nothing when it is the present. */
  readonly moment: Moment | undefined;
  /** Whether the present is shown. */
  readonly isLive: boolean;
  /** Shows the room as it was after this event. */
  seek(seq: number): void;
  /** Goes back to the present. */
  goLive(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "reapply-scrubber": Scrubber;
  }
}
