// One image: its answers, with the truth where that is known, and the most similar images.
class Detail {
  constructor(dialog, gallery) {
    Object.assign(this, { dialog, gallery, imageSet: gallery.imageSet });
    this.panel = new LabelPanel(this, gallery.workbench);
    dialog.tabIndex = -1;
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => this.panel.key(event));
  }

  show(image) {
    this.image = image;
    const close = make("button", "close", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => this.dialog.close());
    const top = make("div", "detail-top");
    const about = make("div", "detail-about");
    const strange = this.imageSet.isUnfamiliar(image) ? [make("span", "chip unsure", "unfamiliar")] : [];
    about.append(make("h3", "", this.imageSet.names[image]), ...strange, ...this.links(image), ...this.group(image), ...this.changes(image));
    const large = this.gallery.thumbnail(image, Math.min(3, 224 / Math.max(this.imageSet.sheets.width, this.imageSet.sheets.height)));
    top.append(large, about);
    const near = make("div", "near");
    this.dialog.replaceChildren(close, top, this.panel.show(image), near, this.answers(image));
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.focus(); // what had the focus is gone, and keys would reach nobody
    this.imageSet.neighbours(image).then((images) => {
      if (this.image !== image || !images.length) return;
      const row = make("div", "pictures");
      row.append(...images.map((other) => this.gallery.button(other)));
      near.append(make("h4", "", "Most similar images, by the network's features"), row);
    });
  }

  links(image) {
    if (!this.imageSet.root) return [];
    const link = make("a", "small", "open the image file");
    link.href = this.imageSet.root + this.imageSet.names[image].split("/").map(encodeURIComponent).join("/");
    link.target = "_blank";
    return [link];
  }

  group(image) {
    const { groups } = this.imageSet;
    if (!groups) return [];
    const number = groups.of[image];
    const button = make("button", "chip", groups.names[number]);
    button.type = "button";
    button.addEventListener("click", () => {
      this.dialog.close();
      this.gallery.show(number ? `group ${number}` : "noise");
    });
    const line = make("p", "small", "");
    line.append(button, ` ${showNumber(groups.distance[image], "")} from its centre`);
    return [line];
  }

  // What rules changed.
  changes(image) {
    return this.imageSet.tasks.filter((task) => task.changes.has(image)).map((task) => {
      const line = make("p", "small changed", "");
      line.append(make("b", "", `${task.name}:`), ` ${this.imageSet.answer(task, image)}, ${this.imageSet.change(task, image)}.`);
      return line;
    });
  }

  answers(image) {
    const table = make("table", "answers");
    for (const task of this.imageSet.tasks) {
      const rows = task.several ? this.labelRows(task, image) : [[task.name, this.imageSet.answer(task, image), this.sure(task, image)]];
      if (task.several) table.append(this.row([task.name, this.imageSet.answer(task, image), this.sure(task, image)], task, image));
      for (const cells of rows) table.append(task.several ? this.row(cells) : this.row(cells, task, image));
    }
    const box = make("div", "table-box");
    box.append(table);
    return box;
  }

  sure(task, image) {
    return task.numbers ? "" : showPercent(this.imageSet.certainty(task, image));
  }

  // The labels of a multilabel task, most probable first.
  labelRows(task, image) {
    const order = task.labels.map((_, label) => label);
    order.sort((a, b) => this.imageSet.probability(task, b, image) - this.imageSet.probability(task, a, image));
    return order.map((label) => ["", task.labels[label], showPercent(this.imageSet.probability(task, label, image)), label]
      .concat(this.imageSet.hasLabel(task, label, image) ? ["predicted"] : []));
  }

  row([name, answer, probability, , predicted], task, image) {
    const row = make("tr", predicted ? "predicted" : task ? "first" : "");
    const head = make(name ? "th" : "td", "", name);
    if (name) head.scope = "row";
    row.append(head, make("td", "", answer), make("td", "number", probability));
    const notes = make("td", "");
    if (task?.unsure[image]) notes.append(make("span", "chip unsure", "unsure"));
    if (task?.promised?.[image]) notes.append(make("p", "small", `${task.promised[image]} (holds in ${showPercent(task.coverage)} of cases or more)`));
    const truth = task && this.imageSet.truth(task, image);
    if (truth) {
      const mark = { 0: "✓ ", 1: "✗ " }[task.wrong?.[image]] ?? "";
      notes.append(make("span", task.wrong?.[image] === 1 ? "bad" : "faint", `${mark}true: ${truth}`));
    }
    row.append(notes);
    return row;
  }
}
