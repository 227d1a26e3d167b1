// Draws the items, and lets people change them in place, by pointer and by keyboard.

const PARTS = `
  <button type="button" data-action="drag" tabindex="-1" aria-hidden="true"><svg viewBox="0 0 12 20"><path d="M3 4h0M9 4h0M3 10h0M9 10h0M3 16h0M9 16h0"/></svg></button>
  <input type="checkbox" data-part="done">
  <div class="grows"><textarea data-part="label" rows="1" autocomplete="off" enterkeyhint="done" aria-keyshortcuts="Alt+ArrowUp Alt+ArrowDown"></textarea></div>
  <button type="button" data-action="delete" class="quiet">✕</button>`;

/** A list whose rows stay the same elements while their items stay, so that nobody's typing is interrupted. */
export class Items {
  #list;
  #act;
  #rows = new Map();
  /** The shown items, in order. */
  #items = [];
  #dragged;

  /** `act` has `rename(id, label)`, `tick(id, done)`, `move(id, place)` and `remove(id)`. */
  constructor(list, act) {
    this.#list = list;
    this.#act = act;
  }

  /** Shows the optimistic `items`, and the differences from the `confirmed` ones. */
  show(items, confirmed) {
    const known = new Map(confirmed.map(({ id, item }) => [id, item]));
    const ids = new Set(items.map(({ id }) => id));
    for (const [id, row] of this.#rows) if (!ids.has(id)) this.#drop(id, row);
    this.#items = items;
    const moved = movedOf(items.filter(({ id }) => known.has(id)), confirmed.filter(({ id }) => ids.has(id)));
    for (const { id, item } of items) {
      const before = known.get(id);
      const row = this.#rows.get(id) ?? this.#make(id);
      this.#fill(row, item);
      row.classList.toggle("predicted", before?.label !== item.label || before.done !== item.done || moved.has(id));
    }
    if (!this.#dragged) this.#arrange(items.map(({ id }) => this.#rows.get(id)), document.activeElement?.closest?.("#items > li"));
  }

  #make(id) {
    const row = Object.assign(document.createElement("li"), { innerHTML: PARTS });
    row.dataset.id = id;
    const { done, label } = partsOf(row);
    done.onchange = () => this.#act.tick(id, done.checked);
    label.onchange = () => this.#rename(id, label);
    label.oninput = () => grow(label);
    row.querySelector("[data-action=delete]").onclick = () => this.#remove(id, row);
    row.querySelector("[data-action=drag]").onpointerdown = (event) => this.#drag(event, id, row);
    row.onkeydown = (event) => this.#key(event, id, row);
    this.#rows.set(id, row);
    return row;
  }

  #fill(row, item) {
    const { done, label } = partsOf(row);
    done.checked = item.done;
    done.ariaLabel = `Done: ${item.label}`;
    row.classList.toggle("done", item.done);
    row.querySelector("[data-action=delete]").ariaLabel = `Delete ${item.label}`;
    label.ariaLabel = `Item: ${item.label}`;
    // A label that is being edited does not change until the edit is done; then the later one wins.
    if (document.activeElement !== label || label.value === row.dataset.label) label.value = item.label;
    row.dataset.label = item.label;
    grow(label);
  }

  /** Removes a row. Unfinished typing in it is sent anyway: the machine answers why it cannot apply. */
  #drop(id, row) {
    const { label } = partsOf(row);
    const lost = document.activeElement === label && label.value !== row.dataset.label;
    label.onchange = null;
    this.#rows.delete(id);
    row.remove();
    if (lost) this.#act.rename(id, label.value);
  }

  /** Puts the rows in order. The others move around the row that is `kept`: moving it would lose its focus, or the pointer that drags it. */
  #arrange(rows, kept) {
    const at = rows.indexOf(kept);
    rows.forEach((row, index) => {
      if (row === kept || this.#list.children[index] === row) return;
      if (index < at) kept.before(row);
      else this.#list.insertBefore(row, rows[index - 1]?.nextSibling ?? (index === 0 ? this.#list.firstChild : null));
    });
  }

  #rename(id, label) {
    // An item is one line, however long; pasted text may have more.
    const asked = label.value.replace(/\s+/g, " ").trim();
    const shown = label.closest("li").dataset.label;
    label.value = asked || shown;
    grow(label);
    if (asked && asked !== shown) this.#act.rename(id, asked);
  }

  /** Moves the focus to a neighbour, so that keyboard users stay in the list. */
  #remove(id, row) {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    (neighbour?.querySelector("[data-action=delete]") ?? document.getElementById("label")).focus();
    this.#act.remove(id);
  }

  #key(event, id, row) {
    const { label } = partsOf(row);
    const step = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      event.preventDefault();
      const from = this.#items.findIndex((entry) => entry.id === id);
      this.#move(id, from + step);
    } else if (event.target === label && event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      label.blur();
      label.focus();
    } else if (event.target === label && event.key === "Escape") {
      label.value = row.dataset.label;
      grow(label);
    }
  }

  /** Sends the new place as the neighbours' ids: it means the same place whatever the others do meanwhile. */
  #move(id, to) {
    const others = this.#items.map((entry) => entry.id).filter((other) => other !== id);
    const from = this.#items.findIndex((entry) => entry.id === id);
    if (to === from || to < 0 || to > others.length) return;
    const [before, after] = [others[to - 1], others[to]];
    this.#act.move(id, before === undefined ? "First" : after === undefined ? "Last" : { Between: [before, after] });
  }

  /** While it is dragged, the row is where the pointer is, in this page only. */
  #drag(event, id, row) {
    if (event.button !== 0) return;
    event.preventDefault();
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    this.#dragged = row;
    row.classList.add("dragged");
    handle.onpointermove = ({ clientY }) => {
      const others = [...this.#list.children].filter((other) => other !== row);
      const before = others.filter((other) => middleOf(other) < clientY).length;
      if (others[before - 1] !== (row.previousElementSibling ?? undefined)) this.#arrange(others.toSpliced(before, 0, row), row);
    };
    const end = (drop) => {
      handle.onpointermove = handle.onpointerup = handle.onlostpointercapture = null;
      row.classList.remove("dragged");
      this.#dragged = undefined;
      if (drop && this.#rows.has(id)) this.#move(id, [...this.#list.children].indexOf(row));
      this.#arrange(this.#items.map((entry) => this.#rows.get(entry.id)), row);
    };
    handle.onpointerup = () => end(true);
    handle.onlostpointercapture = () => end(false);
  }
}

/** Returns the ids of the items that have moved: those between other neighbours than before. */
function movedOf(items, before) {
  const neighbours = new Map(before.map(({ id }, index) => [id, [before[index - 1]?.id, before[index + 1]?.id]]));
  const moved = items.filter(({ id }, index) => {
    const [previous, next] = neighbours.get(id);
    return items[index - 1]?.id !== previous && items[index + 1]?.id !== next;
  });
  return new Set(moved.map(({ id }) => id));
}

function partsOf(row) {
  return { done: row.querySelector("[data-part=done]"), label: row.querySelector("[data-part=label]") };
}

/** Makes a label as high as its text: the style sheet lays a copy of it beneath. */
function grow(label) {
  label.parentElement.dataset.text = label.value;
}

function middleOf(element) {
  const { top, height } = element.getBoundingClientRect();
  return top + height / 2;
}
