// Sets the page's classes before anything is drawn, so that nothing jumps: a script of the old kind, which the browser waits for.
{
  const query = new URLSearchParams(location.search);
  for (const word of ["beside", "embedded"]) document.body.classList.toggle(word, query.has(word));
  // What fits the window is measured by the window, and a frame is as high as its page.
  if (query.has("embedded")) document.documentElement.style.setProperty("--window", `${parent.innerHeight}px`);
  try {
    document.body.classList.toggle("hood", localStorage.getItem("reapply-hood") === "on");
  } catch {
    // Where storage is forbidden, the switch is off until it is used.
  }
}
