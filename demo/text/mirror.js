// The same text again, beneath the text area, letter over letter. It shows marks, the carets of others,
// and undecided text, which a text area cannot show. It also makes the editor as high as its text.

import { nameOf, paint } from "/shared/names.js";

/** The marks that it can show, which do not move letters. Others may exist. */
const MARKS = ["highlight", "underline", "strike"];

export class Mirror {
  #element;

  constructor(element) {
    this.#element = element;
  }

  /** Draws a text. `confirmed` are the characters that the host has decided, if others exist, and `carets` those of others: `{ place, participant }`. */
  draw(chars, confirmed, carets) {
    const nodes = [];
    const waiting = carets.toSorted((a, b) => a.place - b.place);
    let place = 0;
    for (const { marks, isShared, text } of chars.pieces(confirmed)) {
      let rest = text;
      while (waiting.length > 0 && waiting[0].place < place + rest.length) {
        const before = waiting[0].place - place;
        nodes.push(...pieceOf(rest.slice(0, before), marks, isShared), caretOf(waiting.shift()));
        rest = rest.slice(before);
        place += before;
      }
      nodes.push(...pieceOf(rest, marks, isShared));
      place += rest.length;
    }
    nodes.push(...waiting.map(caretOf));
    // Without it, an empty last line would have no height.
    nodes.push("\u200b");
    this.#element.replaceChildren(...nodes);
  }
}

function pieceOf(text, marks, isShared) {
  if (text === "") return [];
  const names = MARKS.filter((mark) => mark in marks);
  if (names.length === 0 && isShared) return [text];
  const piece = document.createElement("span");
  piece.textContent = text;
  piece.classList.toggle("predicted", !isShared);
  for (const name of names) piece.dataset[`mark_${name}`] = "";
  return [piece];
}

function caretOf({ participant }) {
  const caret = document.createElement("i");
  caret.dataset.caret = participant;
  paint(caret, participant);
  caret.append(Object.assign(document.createElement("b"), { textContent: nameOf(participant) }));
  return caret;
}
