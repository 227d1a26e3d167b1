// Words for the machine's transitions and conflicts.

const CONFLICTS = {
  NoPoints: "A stroke needs a point",
  NothingToUndo: "You have no stroke to undo",
  NothingToClear: "The board is empty",
};

/** Describes a transition in a few words. */
export function describe(transition) {
  const { Start, Extend } = transition;
  if (Start) return `draw in ${Start.ink === "Plain" ? "ink" : Start.ink.toLowerCase()}`;
  if (Extend) return "draw on";
  return { Undo: "undo a stroke", Clear: "clear the board" }[transition] ?? JSON.stringify(transition);
}

/** The parts of a line are one line in the timeline. */
export function together(earlier, later) {
  const [before, after] = [earlier.Start ?? earlier.Extend, later.Extend];
  return before && after && before.id === after.id ? earlier : undefined;
}

/** Explains a conflict. */
export function explain(conflict) {
  if (conflict.NoSuchStroke) return "The stroke was taken away while you drew it";
  if (conflict.NotYourStroke) return "That stroke is somebody else's";
  if (conflict.IdTaken) return "Another stroke has that id";
  if (conflict.OffTheBoard) return `The board has ${conflict.OffTheBoard.width} by ${conflict.OffTheBoard.height} units`;
  if (conflict.WidthOutOfRange) return `A stroke is ${conflict.WidthOutOfRange.min} to ${conflict.WidthOutOfRange.max} units thick`;
  if (conflict.StrokeFull) return `A stroke has room for ${conflict.StrokeFull.points_max.toLocaleString()} points`;
  if (conflict.BoardFull) {
    const { strokes_max, points_max } = conflict.BoardFull;
    return `The board is full: it has room for ${strokes_max.toLocaleString()} strokes with ${points_max.toLocaleString()} points`;
  }
  return CONFLICTS[conflict] ?? JSON.stringify(conflict);
}

/** Describes what is on the board. */
export function situation(strokes, participant) {
  const own = strokes.filter(({ item }) => item.author === participant).length;
  if (strokes.length === 0) return "An empty board";
  return `${strokes.length} ${strokes.length === 1 ? "stroke" : "strokes"}, ${own} of them yours`;
}
