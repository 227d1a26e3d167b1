// The characters of a text and their places. The machine names characters and counts Unicode scalar values; a text area counts UTF-16 code
// units. All places here are a text area's.

/**
 * @typedef {{ id: string, offset: number }} CharId
 * @typedef {{ id: string, offset: number, length: number, marks?: Record<string, string> }} Run
 */

const SURROGATE = /[\ud800-\udfff]/;

/** A text, and the names of its characters, as in the machine's view. It never changes. */
export class Chars {
  /** @type {(Run & { start: number, end: number })[]} */
  #runs = [];
  /** The runs of each id, by the numbers of their characters. */
  #byId = new Map();

  constructor({ text, runs }) {
    this.text = text;
    const isWide = SURROGATE.test(text);
    let start = 0;
    for (const run of runs) {
      const end = isWide ? unitsAfter(text, start, run.length) : start + run.length;
      const placed = { ...run, start, end };
      this.#runs.push(placed);
      if (!this.#byId.has(run.id)) this.#byId.set(run.id, []);
      this.#byId.get(run.id).push(placed);
      start = end;
    }
    for (const runsOfId of this.#byId.values()) runsOfId.sort((a, b) => a.offset - b.offset);
  }

  /** Returns the characters between two places, in order. */
  ranges(from, to) {
    const ranges = [];
    for (let n = this.#runAt(from); n < this.#runs.length && this.#runs[n].start < to; n += 1) {
      const run = this.#runs[n];
      const skipped = this.#count(run, Math.max(from, run.start));
      const length = this.#count(run, Math.min(to, run.end)) - skipped;
      if (length > 0) ranges.push({ ...named(run, skipped, length), ...(run.marks && { marks: run.marks }) });
    }
    return ranges;
  }

  /** Returns the character before a place; `null` at the start. */
  before(place) {
    const run = this.#runs[this.#runAt(place - 1)];
    return place === 0 || !run ? null : { id: run.id, offset: run.offset + this.#count(run, place) - 1 };
  }

  /** Returns the place after a character; `undefined` if it is not there. `null` is the start. */
  after(char) {
    if (char === null) return 0;
    return this.#lastOf(char.id, char.offset, 1);
  }

  /** Returns where a place of this text is in a later one: after the same character, or else after the nearest one before it that still exists. */
  follow(place, later) {
    for (const { id, offset, length } of this.ranges(0, place).reverse()) {
      const found = later.#lastOf(id, offset, length);
      if (found !== undefined) return found;
    }
    return 0;
  }

  /** Returns those of these characters that still exist, in the order of the text: as ranges, and as text. */
  present(ranges) {
    const found = [];
    for (const { id, offset, length } of ranges) {
      for (const run of this.#runsOf(id, offset, length)) {
        const [first, end] = [Math.max(offset, run.offset), Math.min(offset + length, run.offset + run.length)];
        found.push({ id, offset: first, length: end - first, start: this.#placeIn(run, first - run.offset) });
      }
    }
    found.sort((a, b) => a.start - b.start);
    const text = found.map(({ start, length }) => this.text.slice(start, unitsAfter(this.text, start, length))).join("");
    return { ranges: found, text };
  }

  /** Returns the text in pieces with the same marks, of which another text has all characters or none. Without another text, it has all. */
  *pieces(other) {
    for (const run of this.#runs) {
      if (!other) {
        yield { marks: run.marks ?? {}, isShared: true, text: this.text.slice(run.start, run.end) };
        continue;
      }
      const shared = other.present([run]).ranges;
      const cuts = shared.flatMap(({ offset, length }) => [offset - run.offset, offset + length - run.offset]).sort((a, b) => a - b);
      let from = 0;
      for (const [n, to] of [...cuts, run.length].entries()) {
        const text = this.text.slice(this.#placeIn(run, from), this.#placeIn(run, to));
        if (text !== "") yield { marks: run.marks ?? {}, isShared: n % 2 === 1, text };
        from = to;
      }
    }
  }

  /** Returns this text with other characters between two places. `first` names the first of them. */
  edited(from, to, text, first) {
    const inserted = text === "" ? [] : [{ ...first, length: lengthOf(text) }];
    const runs = [...this.ranges(0, from), ...inserted, ...this.ranges(to, this.text.length)];
    return new Chars({ text: this.text.slice(0, from) + text + this.text.slice(to), runs });
  }

  /** Returns the place after the last existing one of some characters of one id. */
  #lastOf(id, offset, length) {
    const run = this.#runsOf(id, offset, length).at(-1);
    return run && this.#placeIn(run, Math.min(offset + length, run.offset + run.length) - run.offset);
  }

  /** Returns the runs that have some of these characters. */
  #runsOf(id, offset, length) {
    const runs = this.#byId.get(id) ?? [];
    const first = firstWhere(runs, (run) => run.offset + run.length > offset);
    let end = first;
    while (end < runs.length && runs[end].offset < offset + length) end += 1;
    return runs.slice(first, end);
  }

  /** Returns the index of the run that a place is in. */
  #runAt(place) {
    return firstWhere(this.#runs, (run) => run.end > place);
  }

  /** Returns how many characters of a run are before a place in it. */
  #count(run, place) {
    return run.end - run.start === run.length ? place - run.start : lengthOf(this.text.slice(run.start, place));
  }

  #placeIn(run, count) {
    return unitsAfter(this.text, run.start, count);
  }
}

/** Returns how many characters a text has. */
export function lengthOf(text) {
  if (!SURROGATE.test(text)) return text.length;
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/** Returns the change from one text to another: the part between two places of the first became `text`. The caret is behind it. */
export function changeOf(before, after, caret) {
  let end = 0;
  const endMax = Math.min(before.length, after.length - caret);
  while (end < endMax && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  let start = 0;
  const startMax = Math.min(before.length, after.length) - end;
  while (start < startMax && before[start] === after[start]) start += 1;
  // Never half a character.
  if (isInside(before, start) || isInside(after, start)) start -= 1;
  if (isInside(before, before.length - end) || isInside(after, after.length - end)) end -= 1;
  return { from: start, to: before.length - end, text: after.slice(start, after.length - end) };
}

/** Returns whether a place is between the two units of one character. */
export function isInside(text, place) {
  const unit = (at) => text.charCodeAt(at) & 0xfc00;
  return unit(place - 1) === 0xd800 && unit(place) === 0xdc00;
}

/** Returns the index of the first item that passes a test which all later ones pass too. */
function firstWhere(items, isTrue) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isTrue(items[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Returns the place a number of characters after another. */
function unitsAfter(text, place, count) {
  for (let n = 0; n < count; n += 1) place += text.codePointAt(place) > 0xffff ? 2 : 1;
  return place;
}

function named({ id, offset }, skipped, length) {
  return { id, offset: offset + skipped, length };
}
