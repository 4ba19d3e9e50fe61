"use strict";
/* Without this script the leaderboard is a plain table; with it, it sorts and filters. */
const table = document.getElementById("leaderboard");
const body = table.tBodies[0];
const rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells];
const controls = document.getElementById("controls");
const [words, family, features] = ["words", "family", "features"].map((id) => document.getElementById(id));
const count = document.getElementById("count");

/* The value of a cell: its number in full where it has one, else its text; empty ones come last, whichever way. */
function value(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value === undefined) return cell.textContent.trim().toLowerCase();
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function compare(a, b, sign) {
  if (a === null || b === null || a === "" || b === "") return (a === null || a === "") - (b === null || b === "");
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
}

function sort(column) {
  const head = heads[column];
  const first = head.dataset.first || "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  heads.forEach((each) => each.setAttribute("aria-sort", each === head ? order : "none"));
  const sign = order === "ascending" ? 1 : -1;
  body.append(...rows.sort((a, b) => compare(value(a, column), value(b, column), sign)));
}

function filter() {
  const wanted = words.value.trim().toLowerCase().split(/\s+/);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = wanted.every((word) => text.includes(word))
      && (!family.value || family.value === row.dataset.family)
      && (!features.value || features.value === row.dataset.features);
    row.hidden = !fits;
    shown += fits;
  }
  count.textContent = `${shown} of ${rows.length} lines`;
}

heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () => sort(column));
  head.replaceChildren(button);
  if (!head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
});
[words, family, features].forEach((control) => control.addEventListener("input", filter));
controls.hidden = false;
filter();
