// A text area for several people. Typing becomes transitions that name characters; changes of others update the
// text around the caret, which stays with its character.

import { Chars, changeOf, isInside, lengthOf } from "./chars.js";
import { Undo, lastOf } from "./undo.js";

/** The machine accepts 32 KiB of text in one insert, and a UTF-16 code unit is at most three bytes. */
const INSERT_UNITS_MAX = 8_192;

/** The maximum number of ranges that the machine accepts in one transition. */
const RANGES_MAX = 1_024;

/** The time that a keystroke waits for others to travel with. */
const TOGETHER_MS = 100;

export class Editor {
  #area;
  #host;
  /** The text in the area, and the names of its characters. */
  #chars = new Chars({ text: "", runs: [] });
  /** The room's text that this was made from, before edits. */
  #body;
  #composing = false;
  #undo = new Undo();
  /** The last typing that is not sent yet: `{ Insert }` or `{ Delete }`, on top of the room's text `body`. */
  #waiting;
  #timer;
  /** The names of this page's inserts: an id of its own, and consecutive numbers. */
  #id = crypto.randomUUID();
  #offset = 0;

  /**
   * `host` has `act(transition)`, and `body()`, the room's text as this page sees it; `selected()` is called when the selection has
   * changed, and `changed()` when the undo history has.
   */
  constructor(area, host) {
    this.#area = area;
    this.#host = host;
    area.addEventListener("input", () => this.#composing || this.#read());
    // Text that is being composed belongs to the input method: the area must not change until it is done.
    area.addEventListener("compositionstart", () => (this.#composing = true));
    area.addEventListener("compositionend", () => {
      this.#composing = false;
      this.#read();
    });
    area.addEventListener("beforeinput", (event) => this.#beforeInput(event));
    area.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("selectionchange", () => host.selected());
    // Nothing stays unsent when the focus or the page goes.
    area.addEventListener("blur", () => this.#send());
    addEventListener("pagehide", () => this.#send());
    document.addEventListener("visibilitychange", () => document.hidden && this.#send());
  }

  /** Whether something is not sent yet. */
  get isWaiting() {
    return this.#waiting !== undefined;
  }

  get chars() {
    return this.#chars;
  }

  get canUndo() {
    return this.#undo.canUndo;
  }

  get canRedo() {
    return this.#undo.canRedo;
  }

  /** The character before the caret; `null` at the start. */
  get caret() {
    const { selectionStart, selectionEnd, selectionDirection } = this.#area;
    return this.#chars.before(selectionDirection === "backward" ? selectionStart : selectionEnd);
  }

  /** Shows the room's text. */
  show() {
    if (this.#composing) return;
    // Waiting edits go on top of a new text, and are sent like any other.
    if (this.#waiting && this.#host.body() !== this.#waiting.body) this.#send();
    const body = this.#host.body();
    if (this.#waiting || body === this.#body) return;
    const chars = new Chars(body);
    const area = this.#area;
    const text = shown(chars.text);
    if (text !== area.value) {
      const { selectionStart, selectionEnd, selectionDirection } = area;
      const [start, end] = [selectionStart, selectionEnd].map((place) => this.#chars.follow(place, chars));
      area.value = text;
      area.setSelectionRange(start, Math.max(start, end), selectionDirection);
    }
    this.#chars = chars;
    this.#body = body;
  }

  /** Undoes the last edit of this page. */
  undo() {
    const edit = this.#composing ? undefined : this.#undo.takeDone();
    if (edit) this.#undo.undone(this.#takeBack(edit));
    this.#host.changed();
  }

  /** Redoes the last edit that was undone. */
  redo() {
    const edit = this.#composing ? undefined : this.#undo.takeUndone();
    if (edit) this.#undo.redone(this.#takeBack(edit));
    this.#host.changed();
  }

  /** Returns whether all selected characters have a mark; `undefined` if none are selected. */
  isMarked(mark) {
    const ranges = this.#selected();
    return ranges.length === 0 ? undefined : ranges.every(({ marks }) => marks?.[mark] !== undefined);
  }

  /** Marks the selected characters, or removes the mark if all have it. */
  toggle(mark) {
    this.#send();
    const value = this.isMarked(mark) ? null : "true";
    for (const ranges of inParts(this.#selected())) this.#host.act({ Mark: { ranges, mark, value } });
  }

  #selected() {
    return this.#chars.ranges(this.#area.selectionStart, this.#area.selectionEnd);
  }

  /** Turns the changes in the area into transitions. */
  #read() {
    const area = this.#area;
    const value = area.value.toWellFormed?.() ?? area.value;
    const { from, to, text } = changeOf(shown(this.#chars.text), value, area.selectionEnd);
    if (from !== to || text !== "") {
      const after = this.#chars.before(from);
      const removed = this.#chars.ranges(from, to);
      this.#delete(removed);
      const inserted = this.#insert(after, text);
      this.#undo.push({ after, inserted, removed, text: this.#chars.text.slice(from, to) }, performance.now());
      this.#chars = this.#chars.edited(from, to, text, inserted[0]);
      this.#body = undefined;
    }
    this.show();
    this.#host.changed();
  }

  /** Performs the opposite of an edit, wherever its characters are now, and returns it. */
  #takeBack({ after, inserted, removed, text }) {
    this.#send();
    const { ranges, text: taken } = this.#chars.present(inserted);
    this.#delete(ranges);
    const back = this.#insert(after, text);
    this.#undo.renamed(removed, back);
    this.#send();
    this.show();
    const place = this.#chars.after(lastOf(back) ?? after);
    if (place !== undefined) this.#area.setSelectionRange(place, place);
    return { after, inserted: back, removed: ranges, text: taken };
  }

  #delete(ranges) {
    for (const part of inParts(ranges)) this.#ask({ Delete: { ranges: part } });
  }

  /** Sends something soon, together with the waiting transition if the two can be combined. */
  #ask(transition) {
    const both = this.#waiting && joined(this.#waiting, transition);
    if (!both) this.#send();
    this.#waiting = both ? { ...both, body: this.#waiting.body } : { ...transition, body: this.#host.body() };
    this.#timer ??= setTimeout(() => this.#send(), TOGETHER_MS);
  }

  /** Sends the waiting transition. */
  #send() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#waiting) return;
    const { body, ...transition } = this.#waiting;
    this.#waiting = undefined;
    this.#host.act(transition);
  }

  /** Sends an insert, and returns the names of its characters. */
  #insert(after, text) {
    const [id, offset] = [this.#id, this.#offset];
    while (text !== "") {
      const end = isInside(text, INSERT_UNITS_MAX) ? INSERT_UNITS_MAX - 1 : INSERT_UNITS_MAX;
      const part = text.slice(0, end);
      text = text.slice(end);
      this.#ask({ Insert: { id, offset: this.#offset, after, text: part } });
      this.#offset += lengthOf(part);
      after = { id, offset: this.#offset - 1 };
    }
    return this.#offset > offset ? [{ id, offset, length: this.#offset - offset }] : [];
  }

  /** The browser's own undo does not know of others: it would restore a text without theirs. */
  #beforeInput(event) {
    const action = { historyUndo: "undo", historyRedo: "redo" }[event.inputType];
    if (!action) return;
    event.preventDefault();
    this[action]();
  }

  #key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.isComposing) return;
    const pressed = event.key.toLowerCase();
    if (pressed !== "z" && pressed !== "y") return;
    event.preventDefault();
    if (pressed === "y" || event.shiftKey) this.redo();
    else this.undo();
  }
}

/** Returns one transition for two consecutive keystrokes; nothing if they are not consecutive. */
function joined({ Insert: typed, Delete: deleted }, { Insert: more, Delete: also }) {
  if (typed && more) {
    const isNext = more.after?.id === typed.id && more.after.offset === more.offset - 1 && more.offset === typed.offset + lengthOf(typed.text);
    const text = typed.text + more.text;
    return isNext && text.length <= INSERT_UNITS_MAX ? { Insert: { ...typed, text } } : undefined;
  }
  const ranges = deleted && also && [...deleted.ranges, ...also.ranges];
  return ranges && ranges.length <= RANGES_MAX ? { Delete: { ranges } } : undefined;
}

/** Returns what an area shows of a text: it turns a carriage return into a line end, and would count differently. */
function shown(text) {
  return text.replaceAll("\r", "␍");
}

function* inParts(ranges) {
  const named = ranges.map(({ id, offset, length }) => ({ id, offset, length }));
  for (let n = 0; n < named.length; n += RANGES_MAX) yield named.slice(n, n + RANGES_MAX);
}
