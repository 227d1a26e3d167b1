// "Under the hood": one switch for everything that shows how it works. It is off at first, and remembered.

const KEPT_AS = "reapply-hood";
const button = document.querySelector("[data-action=hood]");

/** Applies the switch to this page. */
function show(isOn) {
  document.body.classList.toggle("hood", isOn);
  if (button) button.ariaPressed = String(isOn);
}

button?.addEventListener("click", () => {
  const isOn = !document.body.classList.contains("hood");
  show(isOn);
  try {
    localStorage.setItem(KEPT_AS, isOn ? "on" : "off");
  } catch {
    // If storage is forbidden, it holds for this page.
  }
});

// The other pages follow, and so does a second participant in this one.
addEventListener("storage", ({ key, newValue }) => key === KEPT_AS && show(newValue === "on"));

// The page's first script has already set the class.
show(document.body.classList.contains("hood"));
