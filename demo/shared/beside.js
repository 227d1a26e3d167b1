// A second participant in the same tab: the same page again, in a frame, with its own client key.

const button = document.querySelector("[data-action=beside]");
const query = new URLSearchParams(location.search);

// The page's first script has already set these classes, so that nothing jumps.
addEventListener("resize", () => {
  const frame = document.querySelector("iframe")?.contentDocument;
  frame?.documentElement.style.setProperty("--window", `${innerHeight}px`);
});
if (!query.has("embedded")) {
  button.onclick = () => show(!document.body.classList.contains("beside"));
  document.querySelector("[data-action=another]").href = location.pathname + location.search.replace(/&?beside=?/, "");
  show(query.has("beside"));
}

function show(beside) {
  document.body.classList.toggle("beside", beside);
  button.ariaPressed = String(beside);
  document.querySelector("iframe")?.remove();
  const address = new URL(location);
  address.searchParams.delete("beside");
  if (beside) {
    document.querySelector(".panes").append(makeFrame(address));
    address.searchParams.set("beside", "");
  }
  history.replaceState(null, "", address);
}

function makeFrame(address) {
  const url = new URL(address);
  // Kept for the tab, so that a reload brings the same second participant back.
  sessionStorage.besideKey ??= Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  url.searchParams.set("key", sessionStorage.besideKey);
  url.searchParams.set("embedded", "");
  const frame = Object.assign(document.createElement("iframe"), { src: url.href, title: "A second participant" });
  // As high as its content, so that it needs no scroll bar of its own.
  frame.onload = () => {
    const { body } = frame.contentDocument;
    new ResizeObserver(() => (frame.style.height = `${body.scrollHeight}px`)).observe(body);
  };
  return frame;
}
