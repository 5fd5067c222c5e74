// The gallery: a search field, a list of labels to click, and thumbnails drawn when they scroll into view.
class Gallery {
  constructor(box, imageSet) {
    const part = (name) => box.querySelector(`[data-part=${name}]`);
    Object.assign(this, { box, imageSet, watchers: [], shown: [], at: 0, marks: new Marks(imageSet) });
    this.input = part("query");
    this.count = part("count");
    this.means = part("means");
    this.scroller = part("scroller");
    this.space = part("space");
    this.nothing = part("nothing");
    this.facets = new Facets(part("facets"), this);
    this.workbench = new Workbench(box, this);
    this.detail = new Detail(part("detail"), this);
    const { width, height } = imageSet.sheets;
    this.scale = Math.max(1, 72 / Math.max(width, height));
    this.cell = { width: width * this.scale + 6, height: height * this.scale + 6, caption: 0 };
    this.input.addEventListener("input", () => this.run());
    this.scroller.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()), { passive: true });
    this.scroller.addEventListener("click", ({ target }) => {
      const cell = target.closest("[data-index]");
      if (cell) this.open(Number(cell.dataset.index));
    });
    new ResizeObserver(() => this.arrange()).observe(this.scroller);
    this.run();
  }

  // Run the query `text`; `go` scrolls to the gallery.
  show(text, go = true) {
    this.input.value = text;
    this.run();
    if (go) this.box.scrollIntoView();
  }

  run() {
    this.query = new Query(this.imageSet, this.input.value, this.marks);
    this.shown = this.query.run();
    this.cell.caption = this.query.order?.caption ? 18 : 0;
    const fraction = this.shown.length / this.imageSet.count;
    this.count.textContent = `${this.shown.length.toLocaleString("en")} of ${this.imageSet.count.toLocaleString("en")} images`
      + (fraction < 1 ? ` (${showPercent(fraction)})` : "");
    this.nothing.hidden = this.shown.length > 0;
    this.nothing.textContent = `No image matches ${this.query.terms.filter((term) => term.keep).map((term) => term.means).join(", and ")}.`;
    this.means.replaceChildren(...this.query.terms.map((term) => this.chip(term)));
    this.facets.update();
    this.scroller.scrollTop = 0;
    this.arrange();
    this.watchers.forEach((watch) => watch(this.shown));
  }

  chip(term) {
    const chip = make("button", "chip", term.means);
    chip.type = "button";
    chip.title = "Remove";
    chip.append(make("span", "cross", "×"));
    chip.addEventListener("click", () => this.toggle(term.words));
    return chip;
  }

  // Add a term, or remove it; `instead` selects the terms that it replaces.
  toggle(words, instead = () => false) {
    const terms = this.query.terms.filter((term) => !instead(term));
    const there = terms.filter((term) => term.words !== words);
    const kept = there.map((term) => term.words);
    this.show([...kept, ...(there.length === terms.length ? [words] : [])].join(", "), false);
  }

  arrange() {
    const room = this.scroller.clientWidth - 4;
    this.across = Math.max(1, Math.floor(room / this.cell.width));
    this.rowHeight = this.cell.height + this.cell.caption;
    this.space.style.height = `${Math.ceil(this.shown.length / this.across) * this.rowHeight}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / this.rowHeight) - 2);
    const last = Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / this.rowHeight) + 2;
    const cells = [];
    for (let index = first * this.across; index < Math.min(last * this.across, this.shown.length); index++) {
      cells.push(this.drawCell(index));
    }
    this.space.replaceChildren(...cells);
  }

  drawCell(index) {
    const image = this.shown[index];
    const cell = make("button", "cell");
    cell.type = "button";
    cell.dataset.index = index;
    const marked = this.imageSet.tasks.filter((task) => this.marks.get(task, image));
    const words = marked.map((task) => `, ${task.name} marked ${this.marks.get(task, image).verdict}`);
    cell.setAttribute("aria-label", this.imageSet.names[image] + words.join(""));
    cell.style.left = `${(index % this.across) * this.cell.width}px`;
    cell.style.top = `${Math.floor(index / this.across) * this.rowHeight}px`;
    cell.append(this.thumbnail(image, this.scale));
    if (this.cell.caption) cell.append(make("span", "caption", this.query.order.caption(image)));
    return cell;
  }

  thumbnail(image, scale) {
    const picture = make("span", "thumbnail");
    Object.assign(picture.style, this.imageSet.picture(image, scale));
    if (this.imageSet.groups) picture.style.borderBottomColor = this.imageSet.groups.colours[this.imageSet.groups.of[image]];
    if (this.imageSet.tasks.some((task) => task.wrong?.[image] === 1)) picture.classList.add("is-wrong");
    const verdicts = this.imageSet.tasks.map((task) => this.marks.get(task, image)?.verdict).filter(Boolean);
    if (verdicts.length) {
      const verdict = ["wrong", "unknown", "right"].find((each) => verdicts.includes(each));
      picture.append(make("span", "mark", { wrong: "✗", unknown: "?", right: "✓" }[verdict]));
    }
    return picture;
  }

  // A picture that leads to its answers, for use anywhere on the page.
  button(image, title = this.imageSet.names[image]) {
    const button = make("button", "picture");
    button.type = "button";
    button.title = title;
    button.setAttribute("aria-label", title);
    button.append(this.thumbnail(image, this.scale));
    button.addEventListener("click", () => this.open(this.shown.indexOf(image), image));
    return button;
  }

  // Open the image at an index of those shown; or one that is not among them.
  open(index, image = this.shown[index]) {
    if (image === undefined) return;
    if (index >= 0) this.at = index;
    const chosen = this.imageSet.chosenFor?.[image];
    if (chosen !== undefined && this.detail.image !== image) this.workbench.task = this.imageSet.tasks[chosen];
    this.detail.show(image);
  }
}

// For each label, how many of the images shown have it, and buttons for with, without and sorting.
class Facets {
  constructor(box, gallery) {
    Object.assign(this, { gallery, rows: [] });
    gallery.imageSet.tasks.forEach((task, number) => {
      const fold = make("details", "facet");
      fold.open = number < 4;
      fold.append(make("summary", "", task.name), ...(task.numbers ? this.numberRows(task) : this.labelRows(task)));
      box.append(fold);
    });
    const flags = ["unsure", ...(gallery.imageSet.hasTruth ? ["wrong", "right", "unlabelled"] : []), "marked"];
    const orders = ["unsure first"];
    if (gallery.imageSet.hasRules) flags.push("changed by a rule");
    if (gallery.imageSet.unfamiliar) {
      flags.push("unfamiliar");
      orders.push("unfamiliar first");
    }
    const fold = make("details", "facet");
    fold.open = true;
    fold.append(make("summary", "", "certainty"), ...flags.map((words) => this.wordsRow(words)), ...orders.map((words) => this.wordsRow(words)));
    box.prepend(fold);
  }

  wordsRow(words) {
    const row = make("div", "facet-row");
    row.append(this.press(words, words, (term) => term.words === words));
    return row;
  }

  numberRows(task) {
    return [[`by ${task.name}`, "largest first"], [`by ${task.name} rising`, "smallest first"]].map(([words, text]) => {
      const row = make("div", "facet-row");
      row.append(this.press(words, text, (term) => term.words === words, (term) => term.value));
      return row;
    });
  }

  labelRows(task) {
    return task.labels.map((label, index) => {
      const plain = task.several ? label : `${task.name} ${label}`;
      const row = make("div", "facet-row");
      const same = (term) => term.task === task && term.label === index;
      const yes = this.press(task.several ? `${plain} yes` : plain, label, (term) => same(term) && term.yes, (term) => same(term) && !term.yes);
      const count = make("span", "facet-count");
      const no = this.press(task.several ? `${plain} no` : `not ${plain}`, "not", (term) => same(term) && !term.yes, (term) => same(term) && term.yes);
      const by = this.press(`by ${plain}`, "↓", (term) => term.words === `by ${plain}`, (term) => term.value);
      no.title = `without ${plain}`;
      by.title = `sort by the probability of ${plain}`;
      row.append(yes, count, no, by);
      this.rows.push({ task, index, count, row });
      return row;
    });
  }

  press(words, text, is, instead) {
    const button = make("button", "", text);
    button.type = "button";
    button.title = words;
    button.addEventListener("click", () => this.gallery.toggle(words, (term) => term.words !== words && instead?.(term)));
    (this.buttons ??= []).push({ button, is });
    return button;
  }

  update() {
    const { imageSet, shown, query } = this.gallery;
    for (const { task, index, count, row } of this.rows) {
      let found = 0;
      for (const image of shown) if (imageSet.hasLabel(task, index, image)) found++;
      count.textContent = found.toLocaleString("en");
      row.style.setProperty("--fraction", shown.length ? found / shown.length : 0);
    }
    for (const { button, is } of this.buttons) button.setAttribute("aria-pressed", query.terms.some(is));
  }
}
