// What was marked: whether labels are right, wrong or unknown, and new ones. Kept in the browser, saved as a CSV file.
class Marks {
  constructor(imageSet) {
    Object.assign(this, { imageSet, found: new Map(), watchers: [], storage: this.openStorage() });
    this.name = `polyhead corrections ${imageSet.identity}`;
    this.load();
    addEventListener("storage", ({ key }) => { // the same page, open a second time
      if (key === this.name) { this.load(); this.tell(); }
    });
    addEventListener("beforeunload", (event) => !this.storage && this.unsaved && event.preventDefault());
  }

  // Some browsers keep nothing for a page that is opened from disk, or in private windows.
  openStorage() {
    try {
      localStorage.setItem("polyhead", "1");
      localStorage.removeItem("polyhead");
      return localStorage;
    } catch {
      return null;
    }
  }

  load() {
    let entries = [];
    try {
      entries = JSON.parse(this.storage?.getItem(this.name) ?? "[]");
    } catch { /* not what this page wrote */ }
    this.found = new Map(Array.isArray(entries) ? entries.filter((entry) => Array.isArray(entry) && entry[1]?.verdict !== undefined) : []);
  }

  keep() {
    try {
      this.storage?.setItem(this.name, JSON.stringify([...this.found]));
    } catch { // it is full
      this.storage = null;
    }
    this.tell();
  }

  tell() {
    this.watchers.forEach((watch) => watch());
  }

  get(task, image) {
    const mark = this.found.get(`${task.index}:${image}`);
    return mark?.verdict ? mark : undefined;
  }

  set(task, image, verdict, label) {
    this.found.set(`${task.index}:${image}`, { verdict, label, saved: false });
    this.keep();
  }

  // Take a mark back; that it was saved once is remembered until the next file is.
  clear(task, image) {
    const key = `${task.index}:${image}`;
    if (this.found.get(key)?.saved) this.found.set(key, { verdict: "", label: "", saved: false });
    else this.found.delete(key);
    this.keep();
  }

  get unsaved() {
    return [...this.found.values()].filter((mark) => !mark.saved).length;
  }

  get count() {
    return [...this.found.values()].filter((mark) => mark.verdict).length;
  }

  // All marks, in the order of the images.
  get csv() {
    const rows = [];
    for (let image = 0; image < this.imageSet.count; image++) {
      for (const task of this.imageSet.tasks) {
        const mark = this.get(task, image);
        if (mark) rows.push([this.imageSet.names[image], task.name, mark.verdict, mark.label]);
      }
    }
    const quote = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    return [["image", "task", "verdict", "label"], ...rows].map((row) => `${row.map(quote).join(",")}\n`).join("");
  }

  save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([this.csv], { type: "text/csv" }));
    link.download = "corrections.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    for (const [key, mark] of this.found) {
      if (mark.verdict) mark.saved = true;
      else this.found.delete(key);
    }
    this.keep();
  }

  // Take in corrections.csv, or suspects.csv, the most suspicious first; what was taken in, in words.
  read(text) {
    const [head, ...rows] = readCsv(text.replace(/^\uFEFF/, ""));
    const column = (name) => head?.indexOf(name) ?? -1;
    const [image, task, verdict, label] = ["image", "task", "verdict", "label"].map(column);
    if (image < 0 || task < 0) return "That file has no columns “image” and “task”: it is neither corrections.csv nor suspects.csv.";
    const images = new Map(this.imageSet.names.map((name, index) => [name, index]));
    const tasks = new Map(this.imageSet.tasks.map((each) => [each.name, each]));
    let taken = 0;
    rows.forEach((cells, row) => {
      const [at, of] = [images.get(cells[image]), tasks.get(cells[task])];
      if (at === undefined || !of) return;
      if (verdict < 0) (of.suspect ??= new Float32Array(this.imageSet.count))[at] ||= rows.length - row;
      else if (["right", "wrong", "unknown"].includes(cells[verdict])) {
        this.found.set(`${of.index}:${at}`, { verdict: cells[verdict], label: cells[label] ?? "", saved: true });
      } else return;
      taken++;
    });
    this.keep();
    const left = rows.length - taken;
    return `${taken.toLocaleString("en")} ${verdict < 0 ? "suspects" : "marks"} read`
      + (left ? `; ${left.toLocaleString("en")} rows are about other images or tasks.` : ".");
  }
}

// The rows of a CSV file; cells may be quoted, and then hold commas and line ends.
function readCsv(text) {
  const rows = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/gy;
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) return [];
    rows.at(-1).push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    if (found[3] !== ",") rows.push([]);
    else if (cell.lastIndex === text.length) rows.at(-1).push("");
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}
