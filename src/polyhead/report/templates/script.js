"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement;
  const charts = [...document.querySelectorAll(".chart")].map((box) => ({
    box,
    figure: JSON.parse(box.firstElementChild.textContent),
  }));

  // Figures name the page's colours; what these are depends on light, dark and print.
  function paint(value, style) {
    if (Array.isArray(value)) return value.map((inner) => paint(inner, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, paint(inner, style)]));
    }
    const name = typeof value === "string" && value.match(/^var\((--[\w-]+)\)$/);
    return name ? style.getPropertyValue(name[1]).trim() : value;
  }

  // Plotly is large: it is loaded when the page is there, and pages without charts do without.
  const ready = new Promise((done) => {
    if (!charts.length || globalThis.Plotly) return done();
    addEventListener("load", () => {
      const script = document.createElement("script");
      script.src = "plotly.min.js";
      script.addEventListener("load", done);
      document.head.append(script);
    });
  });

  function draw({ box, figure }) {
    if (!globalThis.Plotly || !box.clientWidth) return;
    const style = getComputedStyle(root);
    const { data, layout } = paint(figure, style);
    layout.width = box.clientWidth;
    layout.font.family = style.getPropertyValue("--text").trim();
    Plotly.react(box, data, layout, { displayModeBar: false, displaylogo: false });
  }

  const drawAll = () => charts.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  const widths = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.find(({ box }) => box === target);
      if (target.clientWidth && target.layout?.width !== target.clientWidth) draw(chart);
    }
  });
  ready.then(() => charts.forEach(({ box }) => widths.observe(box)));

  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    document.querySelectorAll("details:not([open])").forEach((box) => {
      box.open = box.dataset.closed = true;
    });
    drawAll();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    document.querySelectorAll("details[data-closed]").forEach((box) => {
      box.open = false;
      delete box.dataset.closed;
    });
    drawAll();
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
