// One line above the stage that says what went wrong, and disappears by itself. It never covers a control.

const SHOWN_MS = 6000;
let timer;

// Present from the start: screen readers announce changes of an element that they know, not new elements.
const element = document.createElement("div");
element.id = "toast";
element.role = "status";
element.append(document.createElement("b"), document.createElement("small"));
document.querySelector(".stage").append(element);

/** Shows `text`, with `note` below it in small print; a note about how it works is shown only under the hood. */
export function toast(text, note, isHooded = false) {
  const [line, small] = element.children;
  line.textContent = text;
  small.textContent = note;
  small.classList.toggle("hooded", isHooded);
  element.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => element.classList.remove("shown"), SHOWN_MS);
}
