// The gallery: a box to write in, a list of labels to press, thumbnails drawn as they are scrolled to.
class Gallery {
  constructor(box, pile) {
    const part = (name) => box.querySelector(`[data-part=${name}]`);
    Object.assign(this, { box, pile, watchers: [], shown: [], at: 0 });
    this.input = part("query");
    this.told = part("told");
    this.means = part("means");
    this.scroller = part("scroller");
    this.space = part("space");
    this.facets = new Facets(part("facets"), this);
    this.detail = new Detail(part("detail"), this);
    const { width, height } = pile.sheets;
    this.scale = Math.max(1, 72 / Math.max(width, height));
    this.cell = { width: width * this.scale + 6, height: height * this.scale + 6, caption: 0 };
    this.input.addEventListener("input", () => this.run());
    this.scroller.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()), { passive: true });
    this.scroller.addEventListener("click", ({ target }) => {
      const cell = target.closest("[data-place]");
      if (cell) this.open(Number(cell.dataset.place));
    });
    new ResizeObserver(() => this.arrange()).observe(this.scroller);
    this.run();
  }

  // Show what `text` asks for; `go` leads there.
  show(text, go = true) {
    this.input.value = text;
    this.run();
    if (go) this.box.scrollIntoView();
  }

  run() {
    this.query = new Query(this.pile, this.input.value);
    this.shown = this.query.run();
    this.cell.caption = this.query.order?.caption ? 18 : 0;
    const share = this.shown.length / this.pile.count;
    this.told.textContent = `${this.shown.length.toLocaleString("en")} of ${this.pile.count.toLocaleString("en")} images`
      + (share < 1 ? ` (${showPercent(share)})` : "");
    this.means.replaceChildren(...this.query.terms.map((term) => this.chip(term)));
    this.facets.update();
    this.scroller.scrollTop = 0;
    this.arrange();
    this.watchers.forEach((watch) => watch(this.shown));
  }

  chip(term) {
    const chip = make("button", "chip", term.means);
    chip.type = "button";
    chip.title = "Take it away";
    chip.append(make("span", "cross", "×"));
    chip.addEventListener("click", () => this.toggle(term.words));
    return chip;
  }

  // Add words, or take them away; `instead` of other words.
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
    for (let place = first * this.across; place < Math.min(last * this.across, this.shown.length); place++) {
      cells.push(this.drawCell(place));
    }
    this.space.replaceChildren(...cells);
  }

  drawCell(place) {
    const image = this.shown[place];
    const cell = make("button", "cell");
    cell.type = "button";
    cell.dataset.place = place;
    cell.setAttribute("aria-label", this.pile.names[image]);
    cell.style.left = `${(place % this.across) * this.cell.width}px`;
    cell.style.top = `${Math.floor(place / this.across) * this.rowHeight}px`;
    cell.append(this.thumbnail(image, this.scale));
    if (this.cell.caption) cell.append(make("span", "caption", this.query.order.caption(image)));
    return cell;
  }

  thumbnail(image, scale) {
    const picture = make("span", "thumbnail");
    Object.assign(picture.style, this.pile.picture(image, scale));
    if (this.pile.groups) picture.style.borderBottomColor = this.pile.groups.colours[this.pile.groups.of[image]];
    if (this.pile.tasks.some((task) => task.wrong?.[image] === 1)) picture.classList.add("is-wrong");
    return picture;
  }

  // A picture that leads to its answers, for any place of the page.
  button(image, title = this.pile.names[image]) {
    const button = make("button", "picture");
    button.type = "button";
    button.title = title;
    button.setAttribute("aria-label", title);
    button.append(this.thumbnail(image, this.scale));
    button.addEventListener("click", () => this.detail.show(image));
    return button;
  }

  // The place-th image of those shown, and the way to its neighbours in the list.
  open(place) {
    if (!(place in this.shown)) return;
    this.at = place;
    this.detail.show(this.shown[place]);
  }
}

// How many of the images shown have each label, and what to press for yes, for no, and to sort by it.
class Facets {
  constructor(box, gallery) {
    Object.assign(this, { gallery, rows: [] });
    gallery.pile.tasks.forEach((task, number) => {
      const fold = make("details", "facet");
      fold.open = number < 4;
      fold.append(make("summary", "", task.name), ...(task.numbers ? this.numberRows(task) : this.labelRows(task)));
      box.append(fold);
    });
    const flags = ["unsure", ...(gallery.pile.judged ? ["wrong", "right"] : [])];
    const fold = make("details", "facet");
    fold.open = true;
    fold.append(make("summary", "", "how sure"), ...flags.map((words) => this.wordsRow(words)), this.wordsRow("unsure first"));
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
    return task.labels.map((label, place) => {
      const plain = task.several ? label : `${task.name} ${label}`;
      const row = make("div", "facet-row");
      const same = (term) => term.task === task && term.label === place;
      const yes = this.press(task.several ? `${plain} yes` : plain, label, (term) => same(term) && term.yes, (term) => same(term) && !term.yes);
      const count = make("span", "facet-count");
      const no = this.press(task.several ? `${plain} no` : `not ${plain}`, "not", (term) => same(term) && !term.yes, (term) => same(term) && term.yes);
      const by = this.press(`by ${plain}`, "↓", (term) => term.words === `by ${plain}`, (term) => term.value);
      no.title = `without ${plain}`;
      by.title = `sort by the probability of ${plain}`;
      row.append(yes, count, no, by);
      this.rows.push({ task, place, count, row });
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
    const { pile, shown, query } = this.gallery;
    for (const { task, place, count, row } of this.rows) {
      let found = 0;
      for (const image of shown) if (pile.says(task, place, image)) found++;
      count.textContent = found.toLocaleString("en");
      row.style.setProperty("--share", shown.length ? found / shown.length : 0);
    }
    for (const { button, is } of this.buttons) button.setAttribute("aria-pressed", query.terms.some(is));
  }
}
