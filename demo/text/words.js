// The machine's transitions and conflicts, in words.

const TEXT_CHARS_MAX = 20;

const LIMITS = {
  Chars: "characters, those that are deleted included",
  Offset: "characters from one page",
  InsertBytes: "bytes in one piece",
  Ranges: "pieces at once",
  MarkNameBytes: "bytes in a mark's name",
  MarkValueBytes: "bytes in a mark",
  MarksPerChar: "marks on one character",
};

/** What a transition does, in a few words. */
export function describe({ Title: title, Body: body }) {
  if (title) return `call it ${quoted(title.Replace)}`;
  const { Insert: insert, Delete: remove, Mark: mark } = body;
  if (insert) return `write ${quoted(insert.text)}`;
  if (remove) return `delete ${counted(remove.ranges)}`;
  return `${mark.value === null ? "no " : ""}${mark.mark} on ${counted(mark.ranges)}`;
}

/** Why the machine said no. */
export function explain(conflict) {
  const { IdTaken: taken, NoSuchChar: missing, TooLong: long } = conflict.Body ?? {};
  if (long) return `There is room for ${long.max.toLocaleString()} ${LIMITS[long.limit]}`;
  if (taken) return "These characters are there already";
  if (missing) return "The place is not in this text";
  return JSON.stringify(conflict);
}

/** How much there is. */
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
