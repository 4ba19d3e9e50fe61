/* Figures that can be pointed at: hints show beside the figure, series are switched off and on. */
for (const figure of document.querySelectorAll("figure.live")) {
  const hints = [...figure.querySelectorAll(".hint")];
  const texts = hints.map((each) => each.getAttribute("aria-label").split("\n"));
  const series = [...figure.querySelectorAll(".series")];
  const off = new Set();
  const panel = document.createElement("figcaption");
  const readout = document.createElement("output");
  let at = hints.length - 1;

  const say = () => {
    const [first, ...others] = texts[at];
    const lines = others.filter((line) => ![...off].some((name) => line.startsWith(`${name}: `)));
    readout.replaceChildren(...[first, ...lines].map((line, place) => {
      const element = document.createElement(place ? "span" : "strong");
      element.textContent = line;
      return element;
    }));
    hints.forEach((hint, place) => {
      hint.classList.toggle("at", place === at);
      hint.setAttribute("tabindex", place === at ? "0" : "-1");
    });
  };
  const choose = (place) => {
    at = Math.max(0, Math.min(hints.length - 1, place));
    say();
  };

  hints.forEach((hint, place) => {
    hint.querySelector("title").remove();
    for (const kind of ["pointerenter", "pointerdown", "focus"]) hint.addEventListener(kind, () => choose(place));
    hint.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: hints.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(to);
      hints[at].focus();
    });
  });

  const names = [...new Set(series.map((each) => each.dataset.series))];
  const switches = names.length > 1 ? [document.createElement("div")] : [];
  for (const box of switches) {
    box.className = "switches";
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Shown in the figure");
    for (const name of names) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-pressed", "true");
      const drawn = series.find((each) => each.dataset.series === name && each.querySelector("[style*='stroke: #']"));
      if (drawn) button.style.setProperty("--tone", drawn.querySelector("[style*='stroke: #']").style.stroke);
      button.addEventListener("click", () => {
        const shown = off.delete(name);
        if (!shown) off.add(name);
        button.setAttribute("aria-pressed", String(shown));
        for (const each of series) if (each.dataset.series === name) each.classList.toggle("off", !shown);
        if (hints.length) say();
      });
      box.append(button);
    }
  }
  if (hints.length) panel.append(readout);
  panel.append(...switches);
  if (panel.childElementCount) figure.append(panel);
  if (hints.length) say();
}
