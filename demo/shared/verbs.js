// A page's words for a transition say what to do ("add “milk”"). The timeline says what was done.

const PAST = {
  apply: "applied", begin: "began", bid: "bid", draw: "drew", drop: "dropped", leave: "left", put: "put", reset: "reset", ring: "rang", set: "set",
  sit: "sat", stop: "stopped", strike: "struck", take: "took", undo: "undid", write: "wrote",
};

/** Returns the same in the past: "added “milk”". The first word is the verb. */
export function inPast(words) {
  const [, verb, rest] = /^(\w*)(.*)$/s.exec(words);
  const past = PAST[verb] ?? (verb.endsWith("e") ? `${verb}d` : `${verb}ed`);
  return past + rest;
}
