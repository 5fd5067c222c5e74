"use strict";
// The contents of data.js, unpacked: images are numbered from 0, in the order of their thumbnails.
function unpack(text, Kind) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return new Kind(bytes.buffer);
}

class ImageSet {
  constructor(data) {
    this.names = data.names;
    this.count = data.names.length;
    this.root = data.root;
    this.sheets = data.sheets;
    this.hasNeighbours = data.neighbours;
    this.identity = data.identity;
    this.chosenFor = data.chosenFor;
    if (data.unfamiliar) this.unfamiliar = { ...data.unfamiliar, rates: unpack(data.unfamiliar.rates, Float32Array) };
    this.tasks = data.tasks.map((task, index) => ({
      ...task,
      index,
      errors: task.errors && unpack(task.errors, Float32Array),
      probabilities: task.probabilities && unpack(task.probabilities, Uint16Array),
      predicted: task.predicted && unpack(task.predicted, Uint8Array),
      answer: task.answer && unpack(task.answer, Uint16Array),
      numbers: task.numbers && unpack(task.numbers, Float32Array),
      unsure: unpack(task.unsure, Uint8Array),
      truth: task.truth && unpack(task.truth, Uint32Array),
      wrong: task.wrong && unpack(task.wrong, Uint8Array),
      changes: new Map((task.changes ?? []).map(([image, before, rules]) => [image, { before, rules }])),
      suspect: task.suspect && unpack(task.suspect, Float32Array),
      bytes: Math.ceil(task.labels.length / 8),
    }));
    this.hasRules = this.tasks.some((task) => task.changes.size);
    this.hasTruth = this.tasks.some((task) => task.truth);
    if (data.groups) {
      this.groups = {
        ...data.groups,
        of: unpack(data.groups.of, Uint16Array),
        distance: unpack(data.groups.distance, Float32Array),
        maps: Object.entries(data.groups.maps).map(([name, plane]) => [name, unpack(plane, Float32Array)]),
      };
    }
  }

  isUnfamiliar(image) {
    return Boolean(this.unfamiliar && this.unfamiliar.rates[image] > this.unfamiliar.threshold);
  }

  hasLabel(task, label, image) {
    if (!task.several) return task.answer[image] === label;
    return (task.predicted[image * task.bytes + (label >> 3)] >> (7 - (label & 7))) & 1;
  }

  probability(task, label, image) {
    return task.probabilities[image * task.labels.length + label] / 65535;
  }

  // How certain an answer is; of several labels, the probability of the least certain one.
  certainty(task, image) {
    if (!task.several) return this.probability(task, task.answer[image], image);
    let least = 1;
    for (let label = 0; label < task.labels.length; label++) {
      const yes = this.probability(task, label, image);
      least = Math.min(least, this.hasLabel(task, label, image) ? yes : 1 - yes);
    }
    return least;
  }

  answer(task, image) {
    if (task.numbers) return showNumber(task.numbers[image], task.unit);
    if (!task.several) return task.labels[task.answer[image]];
    return task.labels.filter((_, label) => this.hasLabel(task, label, image)).join(", ") || "none";
  }

  // What the answer would have been, had it to keep no rules, and those that changed it; nothing where none did.
  change(task, image) {
    const found = task.changes.get(image);
    if (!found) return "";
    const rules = found.rules.map((rule) => `“${rule}”`).join(" and ");
    return `changed by ${found.rules.length > 1 ? "rules" : "a rule"}: without ${rules} it would be ${found.before}`;
  }

  truth(task, image) {
    return task.truth ? task.truths[task.truth[image]] : "";
  }

  // How far a number is from the truth.
  error(task, image) {
    return task.errors[image] < 0 ? "" : `± ${showNumber(task.errors[image], task.unit)}`;
  }

  // The label as a table writes it: `a|b`, `none`, a number without its unit; blank where unknown.
  label(task, image) {
    return task.truth ? task.texts[task.truth[image]] : "";
  }

  // The answer, written in the same way.
  answerLabel(task, image) {
    if (task.numbers) return String(Number(task.numbers[image].toPrecision(6)));
    if (!task.several) return task.labels[task.answer[image]];
    return task.labels.filter((_, label) => this.hasLabel(task, label, image)).join("|") || "none";
  }

  // The style of a thumbnail, at `scale` times its size.
  picture(image, scale) {
    const { side, width, height, folder } = this.sheets;
    const each = side * side;
    const index = image % each;
    const rows = Math.ceil(Math.min(each, this.count - (image - index)) / side);
    return {
      width: `${width * scale}px`,
      height: `${height * scale}px`,
      backgroundImage: `url("${folder}/sheet-${(image - index) / each}.jpg")`,
      backgroundSize: `${side * width * scale}px ${rows * height * scale}px`,
      backgroundPosition: `${-(index % side) * width * scale}px ${-Math.floor(index / side) * height * scale}px`,
    };
  }

  // The nearest images by features; their file is loaded when it is first needed.
  neighbours(image) {
    if (!this.hasNeighbours) return Promise.resolve([]);
    this.near ??= new Promise((found) => {
      const script = document.createElement("script");
      script.src = `${this.sheets.folder}/neighbours.js`;
      script.onload = () => {
        const { each, images } = globalThis.polyheadNeighbours;
        found({ each, images: unpack(images, Uint32Array) });
      };
      script.onerror = () => found({ each: 0, images: [] });
      document.head.append(script);
    });
    return this.near.then(({ each, images }) => [...images.slice(image * each, (image + 1) * each)]);
  }
}

function showNumber(value, unit) {
  const digits = Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  return unit ? `${digits}\u00a0${unit}` : digits;
}

const showPercent = (fraction) => `${(100 * fraction).toFixed(1)}\u00a0%`;

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
