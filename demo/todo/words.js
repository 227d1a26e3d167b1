// Words for the machine's transitions and conflicts.

const LABEL_CHARS_MAX = 24;

/** The labels of items, including deleted ones: transitions and conflicts only have their ids. */
const labels = new Map();

/** Remembers the labels of a view's items. */
export function remember(view) {
  for (const { id, item } of view.items) labels.set(id, item.label);
}

/** Describes a transition in a few words. */
export function describe({ Title: title, Items: items }) {
  if (title) return `call the list ${quoted(title.Replace)}`;
  if (items.Insert) return `add ${quoted(items.Insert.item.label)}`;
  if (items.Delete) return `delete ${nameOf(items.Delete)}`;
  if (items.Move) return `move ${nameOf(items.Move.id)}`;
  const [id, { Label: label, Done: done }] = items.Item;
  if (label) return `rename an item to ${quoted(label.Replace)}`;
  return `${done.Replace ? "tick" : "untick"} ${nameOf(id)}`;
}

/** Explains a conflict. */
export function explain(conflict) {
  const { NoSuchItem: gone, IdTaken: taken, Full: full } = conflict.Items ?? {};
  if (full) return `The list is full: ${full.entries_max.toLocaleString()} items, or ${full.bytes_max.toLocaleString()} bytes`;
  if (gone) return `Somebody has deleted ${nameOf(gone)}`;
  if (taken) return `Another item has the id of ${nameOf(taken)}`;
  return JSON.stringify(conflict);
}

/** Says how much is left to do. */
export function situation(items) {
  const left = items.filter(({ item }) => !item.done).length;
  if (items.length === 0) return "\u00a0";
  return left === 0 ? "All done" : `${left} of ${items.length} to do`;
}

function nameOf(id) {
  return labels.has(id) ? quoted(labels.get(id)) : "an item";
}

function quoted(text) {
  return `“${text.length > LABEL_CHARS_MAX ? `${text.slice(0, LABEL_CHARS_MAX).trimEnd()}…` : text}”`;
}
