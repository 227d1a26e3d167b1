// The latest history of a room, newest first: accepted events from its log, and your own rejections.

import { avatar, nameOf } from "./names.js";
import { inPast } from "./verbs.js";

const LINES_MAX = 12;

/** Words for the other events of a log, besides transitions. */
const OTHERS = {
  joined: "came in",
  left: "went out",
  upgraded: "switched to a new build",
  checkpoint: "noted a checkpoint",
  forked: "began here, as a copy of another one",
};

/**
 * Keeps `list` (an `<ol>`) up to date with the room at `path`. `describe(transition)` returns in a few words what a transition does, beginning
 * with a verb. `together(earlier, later)`, if a page has it, combines two transitions in a row by one person, for one line.
 */
export class Timeline {
  #room;
  #path;
  #list;
  #describe;
  #together;
  /** The newest line, if it is an event's: `{ line, author, kind, transition }`. */
  #newest;
  #seen;
  #reading = false;

  constructor(room, path, list, { describe, together = () => undefined }) {
    this.#room = room;
    this.#path = path;
    this.#list = list;
    this.#describe = describe;
    this.#together = together;
  }

  /** Reads the events from the log that this replica has received and the list does not show yet. While the page is cut off, so is the list. */
  async follow() {
    if (this.#reading || this.#room.view === undefined) return;
    this.#reading = true;
    try {
      this.#seen ??= Math.max(0, this.#room.seq - LINES_MAX);
      while (this.#seen < this.#room.seq) {
        this.#seen = Math.max(this.#seen, this.#room.seq - LINES_MAX);
        const events = await readLog(this.#path, this.#seen, this.#room.seq - this.#seen);
        if (events.length === 0) break;
        for (const event of events) this.#event(event);
        this.#seen = events.at(-1).seq;
      }
    } catch {
      // The log cannot be read now; the next change of the room tries again.
    } finally {
      this.#reading = false;
    }
  }

  /** Adds one of your own transitions that was not applied, with the reason in words. */
  rejected(transition, reason) {
    this.#newest = undefined;
    this.#line("rejected", "✕", this.#room.participant, `could not ${this.#describe(transition)}: ${reason}`);
  }

  #event({ seq, time, author, kind, transition }) {
    const last = this.#newest;
    const isMore = last !== undefined && last.author === author && last.kind === kind && transition !== undefined;
    const both = isMore ? this.#together(last.transition, transition) : undefined;
    if (both !== undefined) {
      last.line.remove();
      transition = both;
    }
    // The log leaves out a transition that the machine cannot decode.
    const what = OTHERS[kind] ?? (transition === undefined ? "did something" : inPast(this.#describe(transition)));
    const line = this.#line("event", seq, author, what, time);
    line.dataset.kind = kind;
    this.#newest = { line, author, kind, transition };
  }

  #line(className, mark, author, what, time = new Date()) {
    const line = document.createElement("li");
    line.className = className;
    line.dataset.seq = mark;
    const seq = document.createElement("span");
    seq.className = "seq";
    seq.textContent = mark;
    const text = document.createElement("span");
    text.className = "what";
    const who = author === this.#room.participant ? "You" : author ? nameOf(author) : "The room";
    text.innerHTML = "<b></b> <span></span>";
    text.firstChild.textContent = who;
    text.lastChild.textContent = what;
    const when = document.createElement("time");
    when.dateTime = new Date(time).toISOString();
    when.textContent = new Date(time).toLocaleTimeString([], { hourCycle: "h23" });
    line.append(seq, author ? avatar(author) : document.createElement("span"), text, when);
    this.#list.prepend(line);
    while (this.#list.children.length > LINES_MAX) this.#list.lastChild.remove();
    return line;
  }
}

/** A room's log is JSON, with one event on each line: `GET /rooms/{machine}/{room}/log?after=N&limit=N`. */
async function readLog(path, after, limit) {
  const response = await fetch(`${path}/log?${new URLSearchParams({ after, limit })}`);
  if (!response.ok) return [];
  const lines = (await response.text()).split("\n");
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}
