// The pen: a pointer, a finger, or the keyboard. It turns drawing into transitions, a few points at a time.

import { HEIGHT, WIDTH } from "./board.js";

/** The time that points wait for others to travel with. */
const BATCH_MS = 50;

/** Points closer to each other than this, in units, count as one. */
const STEP_MIN = 8;

/** The maximum number of points of one stroke: a longer line is drawn as several. */
const STROKE_POINTS_MAX = 2_000;

const KEY_STEP = 64;
const KEY_STEP_SMALL = 8;

export class Pen {
  #canvas;
  #host;
  /** The stroke that is being drawn: `{ id, ink, width, started, count, last, waiting }`. */
  #stroke;
  #timer;
  #pointer;
  /** The place of the keyboard's pen, once it has been used. */
  #place;
  #mark;

  /**
   * `host` has `act(transition)`, which resolves to the outcome, `tool()`, `drawing(stroke)` for points that are not sent yet,
   * `moved(point)` and `say(words)`.
   */
  constructor(canvas, host) {
    this.#canvas = canvas;
    this.#host = host;
    canvas.onpointerdown = (event) => this.#down(event);
    canvas.onpointermove = (event) => this.#drag(event);
    canvas.onpointerup = canvas.onpointercancel = ({ pointerId }) => {
      if (pointerId === this.#pointer) this.#up();
    };
    canvas.onpointerleave = () => {
      if (!this.#stroke) host.moved(undefined);
    };
    canvas.onkeydown = (event) => this.#key(event);
    canvas.onblur = () => this.#leave();
  }

  /** Whether the pen touches the board. */
  get isDown() {
    return this.#stroke !== undefined;
  }

  /** Lifts the pen when its stroke is no longer on the board. */
  follow(strokes) {
    if (this.#stroke?.started && !strokes.some(({ id }) => id === this.#stroke.id)) this.#abandon();
  }

  #down(event) {
    if (!event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true, focusVisible: false });
    this.#hideMark();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointer = event.pointerId;
    this.#begin(this.#pointAt(event));
  }

  #drag(event) {
    if (!event.isPrimary) return;
    this.#host.moved(this.#pointAt(event));
    if (event.pointerId !== this.#pointer || !this.#stroke) return;
    // Browsers report once a frame; the places in between make it a curve.
    const places = event.getCoalescedEvents?.() ?? [];
    for (const place of places.length > 0 ? places : [event]) this.#draw(this.#pointAt(place));
  }

  #begin(point) {
    this.#up();
    this.#stroke = { id: crypto.randomUUID(), ...this.#host.tool(), started: false, count: 1, last: point, waiting: [point] };
    this.#send();
  }

  #draw(point) {
    const stroke = this.#stroke;
    const [x, y] = stroke.last;
    if (Math.hypot(point[0] - x, point[1] - y) < STEP_MIN) return;
    stroke.waiting.push(point);
    stroke.last = point;
    stroke.count += 1;
    if (stroke.count >= STROKE_POINTS_MAX) {
      this.#send();
      this.#stroke = { ...stroke, id: crypto.randomUUID(), started: false, count: 1, waiting: [point] };
    }
    this.#timer ??= setTimeout(() => this.#send(), BATCH_MS);
    this.#showTail();
  }

  /** Sends the points that wait. */
  #send() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stroke = this.#stroke;
    if (!stroke || stroke.waiting.length === 0) return;
    const { id, ink, width, waiting: points, started } = stroke;
    stroke.waiting = [];
    stroke.tail = stroke.last;
    stroke.started = true;
    const outcome = this.#host.act(started ? { Extend: { id, points } } : { Start: { id, ink, width, points } });
    outcome.then(({ status }) => status === "rejected" && this.#stroke?.id === id && this.#abandon(), () => this.#abandon());
    this.#showTail();
  }

  #up() {
    if (!this.#stroke) return;
    this.#send();
    this.#stroke = undefined;
    this.#pointer = undefined;
    this.#host.drawing(undefined);
  }

  /** The host refuses the stroke, or somebody has removed it: the waiting points are not sent. */
  #abandon() {
    clearTimeout(this.#timer);
    this.#timer = this.#stroke = this.#pointer = undefined;
    this.#host.drawing(undefined);
    this.#showMark();
  }

  /** Shows the waiting points at once, joined to the stroke. */
  #showTail() {
    const { ink, width, waiting, tail } = this.#stroke;
    this.#host.drawing(waiting.length > 0 ? { ink, width, points: tail ? [tail, ...waiting] : waiting } : undefined);
  }

  #pointAt({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return within([((clientX - left) / width) * WIDTH, ((clientY - top) / height) * HEIGHT]);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? KEY_STEP_SMALL : KEY_STEP;
    const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!way && ![" ", "Escape"].includes(event.key)) return;
    event.preventDefault();
    this.#place ??= [WIDTH / 2, HEIGHT / 2];
    if (way) {
      this.#place = within([this.#place[0] + way[0], this.#place[1] + way[1]]);
      this.#host.moved(this.#place);
      if (this.#stroke) this.#draw(this.#place);
    } else if (!event.repeat) {
      if (this.#stroke || event.key === "Escape") this.#up();
      else this.#begin(this.#place);
    }
    this.#showMark();
    const [x, y] = this.#place;
    this.#host.say(`Pen ${this.#stroke ? "down" : "up"}, ${Math.round((x / WIDTH) * 100)} % across, ${Math.round((y / HEIGHT) * 100)} % down`);
  }

  #leave() {
    this.#up();
    this.#hideMark();
    this.#host.moved(undefined);
  }

  /** Shows the keyboard's pen. */
  #showMark() {
    if (!this.#place) return;
    if (!this.#mark) {
      this.#mark = Object.assign(document.createElement("div"), { id: "pen" });
      this.#canvas.after(this.#mark);
    }
    this.#mark.hidden = false;
    this.#mark.classList.toggle("down", this.isDown);
    this.#mark.style.left = `${(this.#place[0] / WIDTH) * 100}%`;
    this.#mark.style.top = `${(this.#place[1] / HEIGHT) * 100}%`;
  }

  #hideMark() {
    if (this.#mark) this.#mark.hidden = true;
  }
}

/** Returns a place on the board, in whole units. */
function within([x, y]) {
  return [clamp(x, WIDTH), clamp(y, HEIGHT)];
}

function clamp(value, size) {
  return Math.min(Math.max(Math.round(value), 0), size - 1);
}
