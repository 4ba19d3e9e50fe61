"use strict";
/* Without this script every section still opens by a click; with it, by a link to it, too, and the contents follow. */
{
  const folds = [...document.querySelectorAll("details.fold")];
  const contents = document.getElementById("contents");
  const links = [...contents.querySelectorAll("a")];
  const targets = links.map((link) => document.getElementById(link.hash.slice(1)));
  const all = document.getElementById("all");

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let each = target; each; each = each.parentElement) if (each.matches("details")) each.open = true;
    (target.closest("section") && target.matches(".fold > div") ? target.closest("section") : target).scrollIntoView();
  };

  /* The current section is the last one whose start has come to the upper third of the window, or at the end the last. */
  const mark = () => {
    const root = document.documentElement;
    const end = scrollY > 0 && scrollY + innerHeight >= root.scrollHeight - 2 ? innerHeight : innerHeight / 3;
    const last = targets.findLastIndex((each) => each.closest("section").getBoundingClientRect().top < end);
    links.forEach((link, place) => (place === last ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  };

  const label = () => {
    all.textContent = folds.every((fold) => fold.open) ? "Close all sections" : "Open all sections";
    mark();
  };

  addEventListener("hashchange", reveal);
  addEventListener("scroll", mark, { passive: true });
  addEventListener("resize", mark);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    if (links.includes(link)) contents.open = false;
    if (link.hash === location.hash) reveal();
  });
  folds.forEach((fold) => fold.addEventListener("toggle", label));
  all.addEventListener("click", () => {
    const open = folds.some((fold) => !fold.open);
    folds.forEach((fold) => { fold.open = open; });
  });
  all.hidden = false;
  reveal();
  label();
}
