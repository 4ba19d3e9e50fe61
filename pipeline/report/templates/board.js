/* Without this script the leaderboard is a plain table; with it, it sorts, filters and is short at first. */
const table = document.getElementById("leaderboard");
const body = table.tBodies[0];
const rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells];
const controls = document.getElementById("controls");
const [find, family, features] = ["find", "family", "features"].map((id) => document.getElementById(id));
const count = document.getElementById("count");
const more = document.getElementById("more");
const nFirst = 20; // lines that show at once
let whole = false;

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
  filter();
}

function filter() {
  const wanted = find.value.trim().toLowerCase().split(/\s+/);
  const chosen = wanted.some(Boolean) || family.value || features.value;
  const most = whole || chosen ? rows.length : nFirst;
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = wanted.every((word) => text.includes(word))
      && (!family.value || family.value === row.dataset.family)
      && (!features.value || features.value === row.dataset.features)
      && shown < most;
    row.hidden = !fits;
    shown += fits;
  }
  count.textContent = `${shown} of ${rows.length} lines`;
  more.hidden = Boolean(chosen) || rows.length <= nFirst;
  more.textContent = whole ? `Show the first ${nFirst} lines` : `Show all ${rows.length} lines`;
}

heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = head.textContent;
  button.addEventListener("click", () => sort(column));
  head.replaceChildren(button);
  if (!head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
});
[find, family, features].forEach((control) => control.addEventListener("input", filter));
more.addEventListener("click", () => {
  whole = !whole;
  filter();
});
controls.hidden = false;
filter();
