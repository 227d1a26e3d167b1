// Draws the strokes: decided ones in full, predicted ones pale.

/** The board's size in units. Strokes are in these; the canvas has as many pixels as the screen shows of it. */
export const WIDTH = 4096;
export const HEIGHT = 3072;

const PALE = 0.4;

/** The speed at which another's line grows: in each frame by this part of what is missing. Points arrive in small batches, and this makes them look drawn. */
const GROWTH = 0.25;

export class Board {
  #canvas;
  #context;
  /** The current colours of the inks, as far as they were needed. */
  #colours = {};
  /** The drawing of each stroke, by id: its path, and how many of its points are in it. */
  #drawn = new Map();
  #strokes = [];
  #confirmed = new Map();
  #own;
  #frame;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#resize()).observe(canvas);
    // Zooming and another screen change the pixels of a point; the colours follow the system's.
    addEventListener("resize", () => this.#resize());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#soon());
    this.#resize();
  }

  /** Whether everything that is drawn has been decided. */
  get isSettled() {
    return this.#strokes.every(({ id, item }) => this.#confirmed.get(id) === item.points.length);
  }

  /** Shows the optimistic `strokes`; `confirmed` are those that the host has decided. */
  show(strokes, confirmed, participant) {
    const isFirst = this.#drawn.size === 0;
    const drawn = new Map();
    for (const { id, item } of strokes) {
      const others = item.author !== participant && !isFirst && !this.#calm.matches;
      const entry = this.#drawn.get(id) ?? { shown: 1 };
      entry.shown = others ? Math.min(entry.shown, item.points.length) : item.points.length;
      drawn.set(id, entry);
    }
    this.#drawn = drawn;
    this.#strokes = strokes;
    this.#confirmed = new Map(confirmed.map(({ id, item }) => [id, item.points.length]));
    this.#soon();
  }

  /** Shows what is being drawn and is not sent yet: `{ ink, width, points }`, or nothing. */
  showOwn(stroke) {
    this.#own = stroke;
    this.#soon();
  }

  #soon() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#draw();
    });
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    const width = Math.round(clientWidth * devicePixelRatio);
    const height = Math.round(clientHeight * devicePixelRatio);
    if (width === this.#canvas.width && height === this.#canvas.height) return;
    Object.assign(this.#canvas, { width, height });
    // Setting the size has wiped the canvas; drawing later would flicker.
    this.#draw();
  }

  #draw() {
    const context = this.#context;
    const { width, height } = this.#canvas;
    this.#colours = {};
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(width / WIDTH, 0, 0, height / HEIGHT, 0, 0);
    context.lineCap = context.lineJoin = "round";
    let grows = false;
    for (const { id, item } of this.#strokes) {
      const entry = this.#drawn.get(id);
      const missing = item.points.length - entry.shown;
      if (missing > 0) entry.shown += Math.ceil(missing * GROWTH);
      grows ||= entry.shown < item.points.length;
      const decided = this.#confirmed.get(id) ?? 0;
      if (decided < entry.shown) this.#stroke(item, pathOf(item.points, entry.shown), PALE);
      if (decided > 0) this.#stroke(item, cached(entry, item.points, Math.min(decided, entry.shown)), 1);
    }
    if (this.#own) this.#stroke(this.#own, pathOf(this.#own.points, this.#own.points.length), PALE);
    context.globalAlpha = 1;
    if (grows) this.#soon();
  }

  #stroke({ ink, width }, path, alpha) {
    this.#colours[ink] ??= getComputedStyle(this.#canvas).getPropertyValue(`--ink-${ink.toLowerCase()}`);
    this.#context.globalAlpha = alpha;
    this.#context.strokeStyle = this.#colours[ink];
    this.#context.lineWidth = width;
    this.#context.stroke(path);
  }
}

function cached(entry, points, count) {
  if (entry.count !== count) Object.assign(entry, { count, path: pathOf(points, count) });
  return entry.path;
}

/** A smooth line through the middles between the first `count` points, bent towards these. A single point is a dot. */
function pathOf(points, count) {
  const path = new Path2D();
  path.moveTo(...points[0]);
  for (let n = 1; n < count - 1; n += 1) {
    const [[x, y], [nextX, nextY]] = [points[n], points[n + 1]];
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  path.lineTo(...points[count - 1]);
  return path;
}
