// A friendly name and a colour for every participant, made from the id alone: everyone sees the same without asking.

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

/** "Brisk Otter", and always the same for the same participant. */
export function nameOf(participant) {
  const hash = hashOf(participant);
  return `${MANNERS[hash % MANNERS.length]} ${ANIMALS[(hash >>> 8) % ANIMALS.length]}`;
}

/** A hue in degrees, for `--hue`. */
export function hueOf(participant) {
  return (hashOf(participant) >>> 16) % 360;
}

/** A round badge with the participant's initials and colour. */
export function avatar(participant) {
  const badge = document.createElement("span");
  badge.className = "avatar";
  badge.ariaHidden = "true";
  badge.style.setProperty("--hue", hueOf(participant));
  badge.textContent = nameOf(participant).split(" ").map((word) => word[0]).join("");
  return badge;
}

/** FNV-1a with a final mix, so that ids that differ little give hashes that differ much. */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}
