// One's own edits, to take back and do again. An edit is of characters by their names, so it can be taken back from wherever they
// are by then, and what others have done in the meantime stays.

/** What is typed within so long is taken back at once. */
const TOGETHER_MS = 1_000;

const EDITS_MAX = 500;

/**
 * What was done: `text`, whose characters were `removed`, has given way to those that were `inserted`, directly behind one.
 * @typedef {{ after: CharId | null, inserted: Range[], removed: Range[], text: string }} Edit
 */

/** What this page has done to the text, and what of that it has taken back. */
export class Undo {
  #done = [];
  #undone = [];
  #last_ms = 0;

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Keeps an edit that was made by hand. */
  push(edit, now_ms) {
    this.#undone = [];
    const last = this.#done.at(-1);
    const isSoon = now_ms - this.#last_ms < TOGETHER_MS;
    this.#last_ms = now_ms;
    if (last && isSoon && typesOn(last, edit)) {
      last.inserted.push(...edit.inserted);
    } else if (last && isSoon && deletesOn(last, edit)) {
      Object.assign(last, { after: edit.after, removed: [...edit.removed, ...last.removed], text: edit.text + last.text });
    } else {
      this.#done = [...this.#done.slice(1 - EDITS_MAX), edit];
    }
  }

  /** The last edit, to be taken back; what was done for that goes to `undone`. */
  takeDone() {
    this.#last_ms = 0;
    return this.#done.pop();
  }

  /** The last edit that was taken back, to be done again by its opposite; what was done for that goes to `redone`. */
  takeUndone() {
    return this.#undone.pop();
  }

  /** An edit has been taken back by this one. */
  undone(edit) {
    this.#undone.push(edit);
  }

  /** An edit has been done again by this one. */
  redone(edit) {
    this.#done.push(edit);
  }

  /** Characters have come back by other names: whatever has inserted them before means these now. */
  renamed(before, after) {
    const [start] = after;
    if (!start) return;
    for (const edit of [...this.#done, ...this.#undone]) {
      let skipped = 0;
      const back = [];
      for (const range of before) {
        for (const { id, offset, length } of edit.inserted) {
          const first = Math.max(offset, range.offset);
          const end = Math.min(offset + length, range.offset + range.length);
          if (id === range.id && first < end) back.push({ id: start.id, offset: start.offset + skipped + first - range.offset, length: end - first });
        }
        skipped += range.length;
      }
      edit.inserted.push(...back);
    }
  }
}

/** The last of some characters. */
export function lastOf(ranges) {
  const range = ranges.at(-1);
  return range && { id: range.id, offset: range.offset + range.length - 1 };
}

function typesOn(last, edit) {
  return edit.removed.length === 0 && last.inserted.length > 0 && isSame(lastOf(last.inserted), edit.after);
}

function deletesOn(last, edit) {
  return edit.inserted.length === 0 && last.inserted.length === 0 && isSame(lastOf(edit.removed), last.after);
}

function isSame(a, b) {
  return a !== null && b !== null && a?.id === b?.id && a?.offset === b?.offset;
}
