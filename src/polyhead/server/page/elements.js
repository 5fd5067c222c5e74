// What the page is made of: elements, numbers in words, an answer as bars, a heat map as a picture.

// An element; `properties` are its own, but for `class`, and `aria-` and `data-`, which are attributes. Text is never
// read as HTML.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export const percent = (share) => `${(100 * share).toFixed(1)}%`;

// A probability, which is never quite 0 or 1.
export function probability(share) {
  if (share >= 0.9995) return "> 99.9%";
  return share < 0.0005 ? "< 0.1%" : percent(share);
}

export const number = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });

const sigmoid = (odds) => 1 / (1 + Math.exp(-odds));

// An answer in words.
export function words(answer) {
  if ("unit" in answer) return `${number(answer.answer)} ${answer.unit}`.trim();
  const said = Array.isArray(answer.answer) ? answer.answer.join(", ") || "none" : answer.answer;
  return `${said}, ${answer.unsure ? "unsure, " : ""}${probability(answer.probability)}`;
}

// Several labels are all shown as bars; of so many that nobody reads them, these, and the rest on request.
const SHOWN = 8;

// A label is a button, which `explain` is called with when it is pressed.
export function bars(answer, explain) {
  const several = "probabilities" in answer;
  const rows = several ? Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]) : answer.top;
  const said = new Set([].concat(answer.answer));
  const lines = rows.map(([label, share]) => {
    const filled = element("i");
    filled.style.width = `${100 * share}%`;
    const name = element("button", { class: "label", "aria-pressed": "false", "aria-label": `Heat map of ${label}` }, label);
    name.onclick = () => explain(label, name);
    return element(
      "li",
      { class: said.has(label) ? "said" : "" },
      name,
      element("span", { class: "track", "aria-hidden": "true" }, filled),
      element("span", { class: "share" }, probability(share)),
    );
  });
  const most = Math.max(SHOWN, said.size);
  const list = element("ul", { class: "bars" }, ...lines);
  if (lines.length <= most + 1) return [list];
  lines.slice(most).forEach((line) => (line.hidden = true));
  const more = element("button", { class: "more", "aria-expanded": "false" }, `Show all ${lines.length}`);
  more.onclick = () => {
    lines.forEach((line) => (line.hidden = false));
    more.remove();
  };
  return [list, more];
}

// What covers the parts of the network's view where an answer rests on them (orange) or speaks against them (blue).
// The view is laid over the image by CSS: what `stretch`, `cover` and `fit` do to an image, undone.
const UNDONE = { stretch: "fill", cover: "contain", fit: "cover" };

export function heatCanvas(changes, view) {
  const strongest = Math.max(1e-9, ...changes.flat().map(Math.abs));
  const small = new OffscreenCanvas(changes[0].length, changes.length);
  const cells = new ImageData(changes[0].length, changes.length);
  changes.flat().forEach((change, place) => {
    const colour = change < 0 ? [255, 90, 31] : [47, 125, 246];
    cells.data.set([...colour, 215 * (Math.abs(change) / strongest) ** 1.2], 4 * place);
  });
  small.getContext("2d").putImageData(cells, 0, 0);
  const [height, width] = view.size;
  const scale = 480 / Math.max(height, width);
  const canvas = element("canvas", { width: width * scale, height: height * scale, "aria-hidden": "true" });
  canvas.style.objectFit = UNDONE[view.resize];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// What a heat map says, in a sentence.
export function heatWords(map, unit) {
  const all = map.changes.flat();
  const lowest = Math.min(...all);
  const highest = Math.max(...all);
  if (map.label === null) {
    const [low, high] = [map.value + lowest, map.value + highest].map(number);
    if (low === high) return `No single part changes ${map.task}.`;
    return `Orange makes ${map.task} larger, blue smaller: with one part covered it is from ${low} to ${high} ${unit}`.trim() + ".";
  }
  const [from, to] = [map.value, map.value + lowest].map((odds) => probability(sigmoid(odds)));
  if (lowest > -0.1) return `No single part matters to “${map.label}”: it is ${from} whichever is covered.`;
  const strongest = from === to ? `Even without the strongest part it is ${to}` : `Without the strongest part it falls from ${from} to ${to}`;
  return `“${map.label}” rests on what is orange; blue speaks against it. ${strongest}.`;
}
