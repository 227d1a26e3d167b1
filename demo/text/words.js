// Words for the machine's transitions and conflicts.

const TEXT_CHARS_MAX = 40;

const MARKS = ["highlight", "underline", "strike"];

const LIMITS = {
  Chars: "characters, including deleted ones",
  Offset: "characters from one page",
  InsertBytes: "bytes in one piece",
  Ranges: "pieces at once",
  MarkNameBytes: "bytes in a mark's name",
  MarkValueBytes: "bytes in a mark",
  MarksPerChar: "marks on one character",
  MarkBytesPerChar: "bytes of marks on one character",
  MarkBytes: "bytes of marks in all",
  Pieces: "pieces, including deleted ones",
};

/** Describes a transition in a few words. */
export function describe({ Title: title, Body: body }) {
  if (title) return `call the text ${quoted(title.Replace)}`;
  const { Insert: insert, Delete: remove, Mark: mark } = body;
  if (insert) return `write ${quoted(insert.text)}`;
  if (remove) return `delete ${counted(remove.ranges)}`;
  if (mark.value === null) return `remove the ${mark.mark} from ${counted(mark.ranges)}`;
  const verb = MARKS.includes(mark.mark) ? mark.mark : `mark as ${quoted(mark.mark)}:`;
  return `${verb} ${counted(mark.ranges)}`;
}

/** Consecutive typing by one person is one line in the timeline; so is consecutive deleting. */
export function together({ Body: earlier }, { Body: later }) {
  if (earlier?.Insert && later?.Insert) {
    const { id, offset, text } = earlier.Insert;
    const goesOn = later.Insert.id === id && later.Insert.after?.id === id && later.Insert.after.offset === later.Insert.offset - 1;
    return goesOn ? { Body: { Insert: { ...earlier.Insert, id, offset, text: text + later.Insert.text } } } : undefined;
  }
  if (earlier?.Delete && later?.Delete) return { Body: { Delete: { ranges: [...earlier.Delete.ranges, ...later.Delete.ranges] } } };
  return undefined;
}

/** Explains a conflict. */
export function explain(conflict) {
  const { IdTaken: taken, NoSuchChar: missing, TooLong: long } = conflict.Body ?? {};
  if (long) return `There is room for ${long.max.toLocaleString()} ${LIMITS[long.limit]}`;
  if (taken) return "These characters are there already";
  if (missing) return "The place is not in this text";
  if (conflict.NotYourId) return "Somebody else writes under this id";
  if (conflict.Full) return `There is room for ${conflict.Full.entries_max.toLocaleString()} pages that write`;
  return JSON.stringify(conflict);
}

/** Describes how long the text is. */
export function situation(text) {
  const words = text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0;
  return words === 0 ? "Nothing written yet" : `${words.toLocaleString()} ${words === 1 ? "word" : "words"}`;
}

function counted(ranges) {
  const count = ranges.reduce((sum, { length }) => sum + length, 0);
  return `${count.toLocaleString()} ${count === 1 ? "character" : "characters"}`;
}

function quoted(text) {
  const chars = [...text.replaceAll("\n", "↵")];
  return `“${chars.length > TEXT_CHARS_MAX ? `${chars.slice(0, TEXT_CHARS_MAX).join("")}…` : chars.join("")}”`;
}
