// `<reapply-scrubber>`: a slider through a room's past. Give it a `room`. It sends an event for each `moment` that it shows, and for the return
// to `live`.
//
//   scrubber.room = room;
//   scrubber.addEventListener("moment", ({ detail }) => draw(detail.view));
//   scrubber.addEventListener("live", () => draw(room.view));

import type { Moment, Room } from "./reapply.js";

/** The keys of the slider itself, and of this element. Keys that are pressed here do not reach a page that listens for them. */
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " ", "Escape"];

/** Playing shows this many moments in a second, and takes about this many seconds at most. */
const PLAYED_PER_SECOND = 10;
const PLAYED_SECONDS_MAX = 20;

const TEMPLATE = `
  <style>
    :host { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .75rem; font-variant-numeric: tabular-nums; }
    :host([hidden]) { display: none; }
    button { font: inherit; font-weight: 600; color: inherit; background: none; border: 1.5px solid currentColor; border-radius: .7em; min-width: 2.75rem;
      min-height: 2.75rem; padding: .25rem .75rem; cursor: pointer; touch-action: manipulation; }
    button:disabled { opacity: .45; cursor: default; }
    :focus-visible { outline: 3px solid; outline-offset: 2px; }
    input { flex: 1 1 10rem; min-width: 0; min-height: 2.75rem; margin: 0; accent-color: currentColor; }
    output { flex: 1 0 100%; min-height: 1.5em; }
  </style>
  <button type="button" part="play" aria-label="Play">▶</button>
  <input type="range" part="slider" aria-label="Moment" min="0" max="0" step="1" value="0">
  <button type="button" part="live" aria-pressed="true">Live</button>
  <output part="moment" aria-live="off"></output>`;

/** `<reapply-scrubber>`: a slider through a room's past, with a button to play it and one for the present. Importing this file defines it.
 *
 * Events: `moment`, a `CustomEvent<Moment>`, with each moment that is shown; `live` on the return to the present.
 *
 * By keyboard: the slider's own keys, Space to play and pause, Escape for the present. For style: the parts `play`, `slider`, `live`, `moment`. */
export class Scrubber extends HTMLElement {
  #room: Room | undefined;
  #leave: () => void = () => {};
  readonly #slider: HTMLInputElement;
  readonly #play: HTMLButtonElement;
  readonly #live: HTMLButtonElement;
  readonly #said: HTMLOutputElement;
  /** The moment to show; `undefined` for the present. */
  #wanted: number | undefined;
  /** The moment that is shown. */
  #moment: Moment | undefined;
  #isMaking = false;
  #playing: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open", delegatesFocus: true });
    root.innerHTML = TEMPLATE;
    // The template has all of these elements.
    this.#slider = root.querySelector("input")!;
    this.#play = root.querySelector<HTMLButtonElement>("[part=play]")!;
    this.#live = root.querySelector<HTMLButtonElement>("[part=live]")!;
    this.#said = root.querySelector("output")!;
    this.#slider.oninput = () => this.#look(this.#slider.valueAsNumber);
    this.#play.onclick = () => this.#togglePlay();
    this.#live.onclick = () => this.goLive();
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The room whose past this shows. */
  get room(): Room | undefined {
    return this.#room;
  }

  set room(room: Room | undefined) {
    this.#leave();
    this.#room = room;
    this.goLive();
    this.#leave = room?.subscribe(() => this.#follow()) ?? (() => {});
  }

  /** The moment that is shown; `undefined` for the present, and until the moment is available. */
  get moment(): Moment | undefined {
    return this.#moment;
  }

  /** Whether the present is shown. */
  get isLive(): boolean {
    return this.#wanted === undefined;
  }

  /** @internal */
  disconnectedCallback(): void {
    this.goLive();
  }

  /** Shows the room as it was after this event. */
  seek(seq: number): void {
    this.#stop();
    this.#look(seq);
  }

  /** Goes back to the present. */
  goLive(): void {
    this.#stop();
    const wasPast = !this.isLive;
    this.#wanted = this.#moment = undefined;
    this.#follow();
    if (wasPast) this.dispatchEvent(new CustomEvent("live"));
  }

  /** Updates the slider after a change of the room. */
  #follow(): void {
    const head = this.#room?.seq ?? 0;
    this.#slider.max = String(head);
    if (this.isLive) this.#slider.value = String(head);
    this.#slider.disabled = this.#play.disabled = head === 0;
    this.#show();
  }

  /** Shows a moment as soon as it is available. If several are requested meanwhile, only the last one follows. */
  async #look(seq: number): Promise<void> {
    if (!Number.isFinite(seq)) return;
    this.#wanted = Math.min(Math.max(0, Math.round(seq)), this.#room?.seq ?? 0);
    this.#slider.value = String(this.#wanted);
    this.#show();
    if (this.#isMaking) return;
    this.#isMaking = true;
    while (this.#room && this.#wanted !== undefined && this.#wanted !== this.#moment?.seq) {
      const [room, wanted]: [Room, number] = [this.#room, this.#wanted];
      try {
        const moment = await room.at(wanted);
        if (room !== this.#room || this.isLive) continue;
        this.#moment = moment;
        this.#show();
        this.dispatchEvent(new CustomEvent("moment", { detail: moment }));
      } catch (error) {
        if (wanted !== this.#wanted) continue;
        this.#stop();
        this.#show(error instanceof Error ? error.message : String(error));
        break;
      }
    }
    this.#isMaking = false;
  }

  #togglePlay(): void {
    if (this.#playing !== undefined) return this.#stop();
    const head = this.#room?.seq ?? 0;
    // At the end there is nothing to play, so playing restarts at the beginning.
    const from = this.#wanted === undefined || this.#wanted >= head ? 0 : this.#wanted;
    const step = Math.max(1, Math.round((head - from) / (PLAYED_PER_SECOND * PLAYED_SECONDS_MAX)));
    this.#look(from);
    this.#playing = setInterval(() => this.#playOn(step), 1000 / PLAYED_PER_SECOND);
    this.#show();
  }

  #playOn(step: number): void {
    const at = this.#wanted ?? 0;
    // Waits for a moment that is not available yet: playing skips no moment, not even the last one.
    if (this.#moment?.seq !== at) return;
    if (at >= (this.#room?.seq ?? 0)) this.goLive();
    else this.#look(at + step);
  }

  #stop(): void {
    clearInterval(this.#playing);
    this.#playing = undefined;
    this.#show();
  }

  #key(event: KeyboardEvent): void {
    if (!KEYS.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    const isSlider = event.composedPath()[0] === this.#slider;
    if (event.key === "Escape") this.goLive();
    else if (event.key === " " && isSlider) this.#togglePlay();
    else if (isSlider && this.#playing !== undefined) this.#stop();
    if (event.key === "Escape" || (event.key === " " && isSlider)) event.preventDefault();
  }

  #show(trouble?: string): void {
    const isPlaying = this.#playing !== undefined;
    this.#play.textContent = isPlaying ? "⏸" : "▶";
    this.#play.ariaLabel = isPlaying ? "Pause" : "Play";
    this.#live.ariaPressed = String(this.isLive);
    const head = this.#room?.seq ?? 0;
    const moment = this.#moment;
    const isMade = moment !== undefined && moment.seq === this.#wanted;
    const when = isMade ? ` · ${moment.time.toLocaleString()}` : "";
    const said = trouble ?? (this.isLive ? `Live, event ${head}` : `Event ${this.#wanted} of ${head}${when}`);
    if (this.#said.textContent !== said) this.#said.textContent = said;
    this.#slider.setAttribute("aria-valuetext", said);
    this.toggleAttribute("data-past", !this.isLive);
  }
}

customElements.define("reapply-scrubber", Scrubber);

declare global {
  interface HTMLElementTagNameMap {
    "reapply-scrubber": Scrubber;
  }
}
