// Sets the page's classes before anything is drawn, so that nothing jumps: a classic script, which the browser waits for.
{
  const query = new URLSearchParams(location.search);
  for (const word of ["beside", "embedded"]) document.body.classList.toggle(word, query.has(word));
  // Sizes that fit the window depend on its height, but a frame is as high as its page.
  if (query.has("embedded")) document.documentElement.style.setProperty("--window", `${parent.innerHeight}px`);
  try {
    document.body.classList.toggle("hood", localStorage.getItem("reapply-hood") === "on");
  } catch {
    // If storage is forbidden, the switch is off until it is used.
  }
}
