// Draws the board: decided marks are thick strokes, predicted ones are outlines.

const SIDE = 3;
const MARKS = { X: "cross", O: "nought" };

/** Nine cells as buttons: by pointer, by the keys 1 to 9, or by the arrows and Enter. */
export class Board {
  #element;
  #cells;

  /** `play(cell)` is called when a cell is chosen. */
  constructor(element, play) {
    this.#element = element;
    this.#cells = Array.from({ length: SIDE * SIDE }, (_, cell) => {
      const button = Object.assign(document.createElement("button"), { type: "button", tabIndex: cell === 4 ? 0 : -1 });
      button.dataset.cell = cell;
      button.onclick = () => play(cell);
      return button;
    });
    element.replaceChildren(...this.#cells);
    element.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea") || event.ctrlKey || event.metaKey || event.altKey;
      if (!typing && event.key >= "1" && event.key <= "9") play(Number(event.key) - 1);
    });
  }

  /** Shows the optimistic `view`, and the differences from the `confirmed` one. `mark` is this page's own, if it plays. */
  show(view, confirmed, mark) {
    this.#element.toggleAttribute("data-own-turn", mark === view.turn && view.winner === null && !view.draw);
    view.board.forEach((there, cell) => {
      const button = this.#cells[cell];
      button.classList.toggle("predicted", there !== null && confirmed.board[cell] !== there);
      button.classList.toggle("line", view.line.includes(cell));
      button.ariaLabel = `Row ${Math.floor(cell / SIDE) + 1}, column ${(cell % SIDE) + 1}: ${MARKS[there] ?? "empty"}`;
      if (button.dataset.mark === (there ?? "")) return;
      button.dataset.mark = there ?? "";
      const drawing = document.querySelector(`.seats [data-mark="${there}"]`)?.cloneNode(true);
      drawing?.removeAttribute("data-mark");
      button.replaceChildren(...(drawing ? [drawing] : []));
    });
  }

  #key(event) {
    const at = this.#cells.indexOf(document.activeElement);
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    const within = (place) => Math.min(SIDE - 1, Math.max(0, place));
    const to = within(Math.floor(at / SIDE) + step[0]) * SIDE + within((at % SIDE) + step[1]);
    this.#cells[at].tabIndex = -1;
    this.#cells[to].tabIndex = 0;
    this.#cells[to].focus();
  }
}
