"use strict";

// The page's policy forbids eval, so Vega's expressions are interpreted ("ast").
const OPTIONS = { renderer: "svg", actions: false, ast: true, tooltip: { theme: "report" } };

async function draw(source) {
  const place = document.getElementById(source.dataset.chart);
  try {
    await vegaEmbed(place, JSON.parse(source.textContent), OPTIONS);
    place.dataset.drawn = "yes";
  } catch (error) {
    place.textContent = `This figure could not be drawn: ${error.message}`;
    console.error(place.id, error);
  }
}

// A figure sorts before text; a cell without either goes last in both directions.
function key(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.figure !== undefined) return Number(cell.dataset.figure);
  const text = cell.textContent.trim();
  return text === "–" || text === "" ? null : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sort(heading) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  const column = heading.cellIndex;
  const body = heading.closest("table").tBodies[0];
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...body.rows].sort((first, second) => {
    const a = key(first, column);
    const b = key(second, column);
    if (a === null || b === null) return (a === null) - (b === null);
    return descending ? compare(b, a) : compare(a, b);
  });
  body.append(...rows);
}

for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}
for (const source of document.querySelectorAll("script[data-chart]")) draw(source);
