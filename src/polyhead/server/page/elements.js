// Parts of the page: elements, numbers as text, an answer as bars, a heat map as a picture.

// An element; `properties` are set on it, `class`, `aria-` and `data-` as attributes. Text is never parsed as HTML.
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

export const percent = (value) => `${(100 * value).toFixed(1)}%`;

// A probability; never shown as exactly 0 or 1.
export function probability(value) {
  if (value >= 0.9995) return "> 99.9%";
  return value < 0.0005 ? "< 0.1%" : percent(value);
}

export const number = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });

const sigmoid = (odds) => 1 / (1 + Math.exp(-odds));

// An answer as text; `form` is number, label or labels.
export function words(answer, form) {
  if (form === "number") return `${number(answer.answer)} ${answer.unit}`.trim();
  const predicted = form === "labels" ? answer.answer.join(", ") || "none" : answer.answer;
  return `${predicted}, ${answer.unsure ? "unsure, " : ""}${probability(answer.probability)}`;
}

// A share of cases, such as `90 of 100 cases`; finer shares of a thousand, and so on.
export function cases(share) {
  let of = 100;
  while (of < 1e6 && Math.abs(share * of - Math.round(share * of)) > 1e-9) of *= 10;
  return `${Math.round(share * of).toLocaleString("en")} of ${of.toLocaleString("en")} cases`;
}

// What a set of labels promises, in a sentence.
export function promiseWords(answer, promised) {
  const often = `the truth in ${cases(promised)} or more`;
  if (answer.not_sure) {
    const open = answer.not_sure.length ? `Not sure of ${answer.not_sure.join(", ")}` : "Sure of every label";
    return `${open}. For each label, such an answer holds ${often}.`;
  }
  const found = answer.set.length === 1 ? `${answer.set[0]} alone` : `one of ${answer.set.join(", ")}`;
  return `Narrowed down to ${found}. Such an answer holds ${often}.`;
}

// Labels of a multilabel task that are shown as bars at first; the rest on request.
const SHOWN = 8;

// Each label is a button that calls `explain` with it.
export function bars(answer, form, explain) {
  const rows = form === "labels" ? Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]) : answer.top;
  const predicted = new Set([].concat(answer.answer));
  const lines = rows.map(([label, value]) => {
    const filled = element("i");
    filled.style.width = `${100 * value}%`;
    const name = element("button", { class: "label", "aria-pressed": "false", "aria-label": `Heat map of ${label}` }, label);
    name.onclick = () => explain(label, name);
    return element(
      "li",
      { class: predicted.has(label) ? "predicted" : "" },
      name,
      element("span", { class: "track", "aria-hidden": "true" }, filled),
      element("span", { class: "value" }, probability(value)),
    );
  });
  const most = Math.max(SHOWN, predicted.size);
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

// A heat map of the network's view: orange areas support an answer, blue ones contradict it. CSS lays the view over the
// image, undoing what `stretch`, `cover` and `fit` did to it.
const UNDONE = { stretch: "fill", cover: "contain", fit: "cover" };

export function heatCanvas(changes, view) {
  const strongest = Math.max(1e-9, ...changes.flat().map(Math.abs));
  const small = new OffscreenCanvas(changes[0].length, changes.length);
  const cells = new ImageData(changes[0].length, changes.length);
  changes.flat().forEach((change, index) => {
    const colour = change < 0 ? [255, 90, 31] : [47, 125, 246];
    cells.data.set([...colour, 215 * (Math.abs(change) / strongest) ** 1.2], 4 * index);
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

// Whether some part decides: a label's log-odds fall by a tenth or more, or a number as shown is another one.
export function isDecided(map) {
  const all = map.changes.flat();
  if (map.label !== null) return Math.min(...all) <= -0.1;
  return number(map.value + Math.min(...all)) !== number(map.value + Math.max(...all));
}

// A heat map in a sentence.
export function heatWords(map, unit) {
  const all = map.changes.flat();
  const lowest = Math.min(...all);
  const highest = Math.max(...all);
  const decided = isDecided(map);
  if (map.label === null) {
    if (!decided) return `No part of the image decides ${map.task}: it stays the same whichever is covered. There is nothing to show.`;
    const [low, high] = [map.value + lowest, map.value + highest].map(number);
    return `Orange areas increase ${map.task}, blue areas decrease it: with one area covered, it ranges from ${low} to ${high} ${unit}`.trim() + ".";
  }
  const [from, to] = [map.value, map.value + lowest].map((odds) => probability(sigmoid(odds)));
  if (!decided) return `No part of the image decides “${map.label}”: it stays at ${from} whichever is covered. There is nothing to show.`;
  const strongest = from === to ? `Even with the strongest area covered, it is ${to}` : `With the strongest area covered, it falls from ${from} to ${to}`;
  return `Orange areas support “${map.label}”, blue areas contradict it. ${strongest}.`;
}
