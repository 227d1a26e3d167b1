// A friendly name and a colour for every participant, made only from the ids: everyone sees the same without asking.

const MANNERS = [
  "Able", "Airy", "Brave", "Brisk", "Calm", "Clever", "Cosy", "Daring", "Deft", "Eager", "Fair", "Fleet", "Gentle", "Glad", "Handy",
  "Hardy", "Jolly", "Keen", "Kind", "Lively", "Lucky", "Mellow", "Merry", "Neat", "Nimble", "Noble", "Patient", "Quick", "Quiet",
  "Steady", "Sunny", "Wry",
];
const ANIMALS = [
  "Badger", "Beaver", "Bison", "Crane", "Curlew", "Dormouse", "Egret", "Falcon", "Ferret", "Finch", "Gecko", "Hare", "Heron", "Ibex",
  "Jackdaw", "Kestrel", "Lark", "Lynx", "Marten", "Mole", "Newt", "Otter", "Owl", "Pika", "Plover", "Puffin", "Raven", "Robin", "Seal",
  "Stoat", "Swift", "Wren",
];

/** Returns a name such as "Brisk Otter", always the same for the same participant. */
export function nameOf(participant) {
  const hash = hashOf(participant);
  return `${MANNERS[hash % MANNERS.length]} ${ANIMALS[(hash >>> 8) % ANIMALS.length]}`;
}

/** Hues that differ enough to be told apart at a glance. */
const HUES = [25, 70, 115, 160, 205, 250, 295, 340];

/** The colours of present participants, by id. */
let colours = new Map();

/** Assigns each present participant a colour, all different while there are enough, and shows them. */
export function colour(participants) {
  const free = new Set(HUES.keys());
  const chosen = new Map();
  // In an order that is the same for everyone. A participant whose favourite colour nobody else has keeps it, whoever comes and goes.
  const waiting = [];
  for (const participant of participants.toSorted()) {
    const favourite = favouriteOf(participant);
    if (free.delete(favourite)) chosen.set(participant, HUES[favourite]);
    else waiting.push(participant);
  }
  for (const participant of waiting) {
    const [next = favouriteOf(participant)] = free;
    free.delete(next);
    chosen.set(participant, HUES[next]);
  }
  colours = chosen;
  for (const element of document.querySelectorAll("[data-colour-of]")) paint(element, element.dataset.colourOf);
}

/** Returns the colour of a participant, as a hue in degrees. */
export function hueOf(participant) {
  return colours.get(participant) ?? HUES[favouriteOf(participant)];
}

/** Sets `--hue` to the participant's colour, now and whenever it changes while the element is in the page. */
export function paint(element, participant) {
  element.dataset.colourOf = participant;
  element.style.setProperty("--hue", hueOf(participant));
}

function favouriteOf(participant) {
  return (hashOf(participant) >>> 16) % HUES.length;
}

/** A round badge with the participant's initials and colour. */
export function avatar(participant) {
  const badge = document.createElement("span");
  badge.className = "avatar";
  badge.ariaHidden = "true";
  paint(badge, participant);
  badge.textContent = nameOf(participant).split(" ").map((word) => word[0]).join("");
  return badge;
}

/** FNV-1a with a final mix, so that similar ids give very different hashes. */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}
