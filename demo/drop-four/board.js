// Draws the board: decided discs are filled, predicted ones are outlines, and undone ones shake and fade.

const UNDONE_MS = 900;

/** A board whose columns are buttons: by pointer, by the keys 1 to 7, or by the arrows and Enter. */
export class Board {
  #columns = [];
  #cells = [];
  #element;
  #drop;

  /** `drop(column)` is called when a column is chosen. */
  constructor(element, drop) {
    this.#element = element;
    this.#drop = drop;
    element.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea") || event.ctrlKey || event.metaKey || event.altKey;
      if (!typing && event.key >= "1" && event.key <= String(this.#columns.length)) drop(Number(event.key) - 1);
    });
  }

  /** Shows the optimistic `view`, and the differences from the `confirmed` one. `seat` is this page's own, -1 for onlookers. */
  show(view, confirmed, seat) {
    if (this.#columns.length === 0) this.#make(view.board.length, view.board[0].length);
    const line = new Set(view.line.map(String));
    this.#element.dataset.turn = view.turn === seat ? String(seat) : "";
    view.board.forEach((row, r) => row.forEach((disc, c) => {
      const cell = this.#cells[r][c];
      const predicted = disc !== null && confirmed.board[r][c] !== disc;
      if (cell.classList.contains("predicted") && disc === null && confirmed.board[r][c] === null) undo(cell);
      cell.dataset.disc = disc ?? "";
      cell.classList.toggle("predicted", predicted);
      cell.classList.toggle("line", line.has(String([r, c])));
      cell.classList.toggle("last", String(view.last) === String([r, c]));
    }));
    this.#columns.forEach((column, c) => {
      const discs = view.board.map((row) => row[c]).filter((disc) => disc !== null).reverse();
      column.ariaLabel = `Column ${c + 1}: ${discs.map((disc) => ["red", "yellow"][disc]).join(", ") || "empty"}`;
    });
  }

  #make(rows, columns) {
    for (let c = 0; c < columns; c += 1) {
      const column = document.createElement("button");
      column.type = "button";
      column.dataset.col = c;
      column.tabIndex = c === Math.floor(columns / 2) ? 0 : -1;
      column.onclick = () => this.#drop(c);
      this.#columns.push(column);
    }
    for (let r = 0; r < rows; r += 1) {
      this.#cells.push(this.#columns.map((column, c) => {
        const cell = document.createElement("i");
        cell.dataset.cell = `${r},${c}`;
        cell.style.setProperty("--fall", r + 1);
        column.append(cell);
        return cell;
      }));
    }
    this.#element.replaceChildren(...this.#columns);
  }

  #key(event) {
    const at = this.#columns.indexOf(document.activeElement);
    const last = this.#columns.length - 1;
    const to = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(last, at + 1), Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    this.#columns[at].tabIndex = -1;
    this.#columns[to].tabIndex = 0;
    this.#columns[to].focus();
  }
}

/** Leaves a ghost of a predicted disc in a cell, for as long as it takes to see it disappear. */
function undo(cell) {
  cell.dataset.undone = cell.dataset.disc;
  setTimeout(() => delete cell.dataset.undone, UNDONE_MS);
}
