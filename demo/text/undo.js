// Undo and redo for your own edits. An edit names its characters, so it can be undone wherever they
// are by then, and the changes of others stay.

/** Typing within this time is undone together. */
const TOGETHER_MS = 1_000;

const EDITS_MAX = 500;

/**
 * An edit: `text`, whose characters were `removed`, was replaced by those that were `inserted`, directly behind a character.
 * @typedef {{ after: CharId | null, inserted: Range[], removed: Range[], text: string }} Edit
 */

/** The edits of this page, and those of them that are undone. */
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

  /** Returns the last edit, to be undone; the edit that undoes it goes to `undone`. */
  takeDone() {
    this.#last_ms = 0;
    return this.#done.pop();
  }

  /** Returns the last undone edit, to be redone by its opposite; the edit that redoes it goes to `redone`. */
  takeUndone() {
    return this.#undone.pop();
  }

  /** Records the edit that undid another. */
  undone(edit) {
    this.#undone.push(edit);
  }

  /** Records the edit that redid another. */
  redone(edit) {
    this.#done.push(edit);
  }

  /** Characters have come back under other names: earlier records of them now mean these. */
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

/** Returns the last of some characters. */
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
