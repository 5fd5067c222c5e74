"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement;
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    document.querySelectorAll("details:not([open])").forEach((box) => {
      box.open = box.dataset.closed = true;
    });
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    document.querySelectorAll("details[data-closed]").forEach((box) => {
      box.open = false;
      delete box.dataset.closed;
    });
  });

  // A table sorts by the column whose head is pressed: numbers from the largest, words from A; pressed again, back.
  // What has no number stays below.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    function sort(column) {
      const head = heads[column];
      const first = column ? "descending" : "ascending";
      const order = head.ariaSort === first ? (column ? "ascending" : "descending") : first;
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => (column ? row.cells[column].dataset.value : row.cells[0].textContent);
      const rows = [...body.rows].sort((a, b) => {
        if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
        return sign * (column ? key(a) - key(b) : key(a).localeCompare(key(b)));
      });
      body.append(...rows);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.ariaSort = order;
    }
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(column));
      head.append(button);
    });
  }

  // The contents mark where the reader is; tabs mark themselves.
  if (root.classList.contains("tabs")) return;
  const links = new Map([...document.querySelectorAll("nav li a")].map((link) => [link.hash.slice(1), link]));
  const sections = [...links.keys()].map((id) => document.getElementById(id));
  function mark() {
    const passed = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3);
    links.forEach((link) => link.removeAttribute("aria-current"));
    if (passed.length) links.get(passed.at(-1).id).setAttribute("aria-current", "true");
  }
  addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
  mark();
});
