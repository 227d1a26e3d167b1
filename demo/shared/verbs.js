// What a page's words say of a transition is what one may ask for ("add “milk”"). The timeline tells what was done.

const PAST = {
  apply: "applied", begin: "began", bid: "bid", draw: "drew", drop: "dropped", leave: "left", put: "put", reset: "reset", ring: "rang", set: "set",
  sit: "sat", stop: "stopped", strike: "struck", take: "took", undo: "undid", write: "wrote",
};

/** The same in the past: "added “milk”". The first word is the verb. */
export function inPast(words) {
  const [, verb, rest] = /^(\w*)(.*)$/s.exec(words);
  const past = PAST[verb] ?? (verb.endsWith("e") ? `${verb}d` : `${verb}ed`);
  return past + rest;
}
