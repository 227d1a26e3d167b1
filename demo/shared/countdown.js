// The remaining time by the host's clock, drawn in every frame. The host's alarm decides when the time has come.

const TENTHS_BELOW_MS = 60_000;

export class Countdown {
  #room;
  #draw;
  #due_ms;
  #frame;

  /** `draw(remaining_ms)` is called at once and in every frame, at the end with 0. */
  constructor(room, draw) {
    this.#room = room;
    this.#draw = draw;
  }

  /** Counts down to a time in milliseconds since the Unix epoch; `undefined` stops. */
  until(due_ms) {
    this.#due_ms = due_ms;
    cancelAnimationFrame(this.#frame);
    if (due_ms !== undefined) this.#tick();
  }

  #tick() {
    const remaining_ms = Math.max(0, this.#due_ms - this.#room.now());
    this.#draw(remaining_ms);
    if (remaining_ms > 0) this.#frame = requestAnimationFrame(() => this.#tick());
  }
}

/** "1:02:03", "4:05", and "0:09.3" where tenths matter. */
export function clock(remaining_ms, tenths = remaining_ms < TENTHS_BELOW_MS) {
  const unit_ms = tenths ? 100 : 1000;
  // Rounded up, so that it shows zero only at zero.
  const all = Math.ceil(remaining_ms / unit_ms) * (unit_ms / 100);
  const [hours, minutes, seconds] = [all / 36_000, (all / 600) % 60, (all / 10) % 60].map(Math.floor);
  const two = (number) => String(number).padStart(2, "0");
  const text = hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
  return tenths ? `${text}.${Math.floor(all % 10)}` : text;
}

/** The same for screen readers: "1 hour 2 minutes 3 seconds". */
export function spoken(remaining_ms) {
  const all = Math.ceil(remaining_ms / 1000);
  const parts = [[Math.floor(all / 3600), "hour"], [Math.floor(all / 60) % 60, "minute"], [all % 60, "second"]];
  const words = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`);
  return words.join(" ") || "0 seconds";
}
