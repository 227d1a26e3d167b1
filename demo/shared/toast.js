// One line above the stage that says what went wrong, in words, and goes away by itself. Nothing that is used lies under it.

const SHOWN_MS = 6000;
let timer;

// There from the start: screen readers announce changes of an element they know, not new elements.
const element = document.createElement("div");
element.id = "toast";
element.role = "status";
element.append(document.createElement("b"), document.createElement("small"));
document.querySelector(".stage").append(element);

/** Shows `text`, with `note` below it in small; one about how it works is shown under the hood only. */
export function toast(text, note, isHooded = false) {
  const [line, small] = element.children;
  line.textContent = text;
  small.textContent = note;
  small.classList.toggle("hooded", isHooded);
  element.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => element.classList.remove("shown"), SHOWN_MS);
}
