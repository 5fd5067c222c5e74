// The bar above the images: which task is looked at, what waits to be looked at, and what was marked.
class Workbench {
  constructor(box, gallery) {
    Object.assign(this, { box, gallery, imageSet: gallery.imageSet, marks: gallery.marks });
    const part = (name) => box.querySelector(`[data-part=${name}]`);
    Object.assign(this, { queues: part("queues"), saved: part("saved"), told: part("told"), help: part("help") });
    this.choice = part("task");
    for (const { name, index } of this.imageSet.tasks) this.choice.append(new Option(name, index));
    this.choice.addEventListener("change", () => this.update());
    part("save").addEventListener("click", () => this.save());
    part("keys").addEventListener("click", () => this.help.showModal());
    part("help-close").addEventListener("click", () => this.help.close());
    part("read").addEventListener("change", async ({ target }) => {
      if (!target.files[0]) return;
      this.say(this.marks.read(await target.files[0].text()));
      target.value = "";
      this.gallery.run();
    });
    this.marks.watchers.push(() => { this.update(); this.gallery.draw(); });
    this.update();
  }

  get task() {
    return this.imageSet.tasks[Number(this.choice.value)];
  }

  set task(task) {
    this.choice.value = task.index;
    this.update();
  }

  say(words) {
    this.told.textContent = words;
  }

  save() {
    if (!this.marks.count && !this.marks.unsaved) return this.say("Nothing is marked yet.");
    this.marks.save();
    this.say(`corrections.csv holds ${this.marks.count.toLocaleString("en")} marks.`);
  }

  // What there is to look at, the most urgent first: name, words of the search.
  list() {
    const { task } = this;
    const name = task.name;
    const found = [];
    if (this.imageSet.chosenFor) found.push(["chosen", ""]);
    if (task.suspect) found.push(["suspects", `${name} suspect, by ${name} suspicion`]);
    if (task.wrong) found.push(["mistakes", `${name} wrong, by ${name}`]);
    if (task.errors) found.push(["largest errors", `${name} labelled, by ${name} error`]);
    if (!task.numbers) found.push(["unsure", `${name} unsure, by ${name} rising`]);
    found.push(["unlabelled", `${name} unlabelled${task.numbers ? "" : `, by ${name} rising`}`]);
    found.push(["marked", `${name} marked`], ["not marked", `${name} unmarked`]);
    return found;
  }

  update() {
    const buttons = this.list().map(([words, query]) => {
      const many = new Query(this.imageSet, query, this.marks).keep().length;
      const button = make("button", "chip", `${words} ${many.toLocaleString("en")}`);
      button.type = "button";
      button.disabled = !many;
      button.addEventListener("click", () => this.gallery.show(query, false));
      return button;
    });
    this.queues.replaceChildren(...buttons);
    const { unsaved, count, storage } = this.marks;
    const all = `${count.toLocaleString("en")} marked`;
    const kept = storage ? "" : " This browser keeps nothing for this page: save before you close it.";
    this.saved.textContent = `${all}, ${unsaved.toLocaleString("en")} not saved.${kept}`;
    this.saved.classList.toggle("bad", Boolean(unsaved) && !storage);
  }
}

// One image's label of one task, to be marked with keys or clicks.
class LabelPanel {
  constructor(detail, workbench) {
    Object.assign(this, { detail, workbench, imageSet: workbench.imageSet, marks: workbench.marks, words: "" });
    this.box = make("section", "panel");
    this.box.setAttribute("aria-label", "Mark its label");
    this.filter = make("input", "");
    this.filter.addEventListener("input", () => { this.words = this.filter.value; this.drawLabels(); });
    this.filter.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") this.take();
      if (event.key === "Escape") { event.preventDefault(); this.detail.dialog.focus(); }
    });
    this.verdicts = make("div", "verdicts");
    this.choices = make("div", "choices");
    this.state = make("p", "state");
    this.state.setAttribute("role", "status");
  }

  show(image) {
    const { task } = this.workbench;
    this.image = image;
    this.words = "";
    this.filter.value = "";
    this.filter.type = task.numbers ? "number" : "text";
    this.filter.step = "any";
    this.filter.placeholder = task.numbers ? `a number${task.unit ? ` (${task.unit})` : ""}, then Enter` : "find a label, then Enter";
    this.filter.setAttribute("aria-label", this.filter.placeholder);
    const tasks = make("div", "panel-tasks");
    tasks.append(...this.imageSet.tasks.map((each) => this.button(each.name, () => this.choose(each), each === task)));
    const truth = this.imageSet.truth(task, image);
    const asked = make("p", "");
    const answer = `answer: ${this.imageSet.answer(task, image)}`;
    asked.append(make("strong", "", `${task.name}: `), truth ? `label: ${truth} · ${answer}` : `no label · ${answer}`);
    const chosen = this.imageSet.chosenFor?.[image];
    if (chosen === task.index) asked.append(" · chosen for this task");
    this.box.replaceChildren(tasks, asked, this.verdicts, this.filter, this.choices, this.state);
    this.drawLabels();
    return this.box;
  }

  button(words, act, pressed, key) {
    const button = make("button", "", "");
    button.type = "button";
    if (key) button.append(make("kbd", "", key), " ");
    button.append(words);
    if (pressed !== undefined) button.setAttribute("aria-pressed", pressed);
    button.addEventListener("click", act);
    return button;
  }

  choose(task) {
    this.workbench.task = task;
    this.detail.show(this.image);
  }

  get mark() {
    return this.marks.get(this.workbench.task, this.image);
  }

  // The label as it stands: what was marked, or else the label, or else the answer.
  get label() {
    const { task } = this.workbench;
    return this.mark ? this.mark.label : this.imageSet.label(task, this.image) || this.imageSet.answerLabel(task, this.image);
  }

  // The states of a task of several labels: 1 yes, 0 unknown; what is not there is no.
  get states() {
    const words = this.label === "none" || !this.label ? [] : this.label.split("|");
    return new Map(words.map((word) => [word.replace(/^\?/, ""), word.startsWith("?") ? 0 : 1]));
  }

  // The labels to choose from: as the task has them, or, of more than nine, the most probable first.
  get listed() {
    const { task } = this.workbench;
    let order = task.labels.map((_, label) => label);
    if (order.length > 9) order.sort((a, b) => this.imageSet.probability(task, b, this.image) - this.imageSet.probability(task, a, this.image));
    const words = this.words.trim().toLowerCase();
    if (words) order = order.filter((label) => task.labels[label].toLowerCase().includes(words));
    return order.map((label) => task.labels[label]);
  }

  drawLabels() {
    const { task } = this.workbench;
    const states = task.several ? this.states : new Map([[this.label, 1]]);
    const shown = this.listed.map((label, index) => {
      const state = states.get(label);
      const sign = task.several ? { 1: "✓ ", 0: "? " }[state] ?? "" : "";
      return this.button(sign + label, () => this.set(label), state === 1, index < 9 ? String(index + 1) : "");
    });
    const fresh = this.fresh;
    if (fresh) shown.push(this.button(`new label “${fresh}”`, () => this.set(fresh), false));
    else if (!shown.length && !task.numbers) shown.push(make("span", "faint", "no label has these letters"));
    this.replace(this.choices, shown);
    const what = this.imageSet.label(task, this.image) ? "label" : "answer";
    const given = [["right", "R", `${what} is right`], ["wrong", "W", `${what} is wrong`], ["unknown", "U", "nobody can tell"]];
    const verdicts = given.map(([verdict, key, words]) => this.button(words, () => this.press(key.toLowerCase()), this.mark?.verdict === verdict, key));
    this.replace(this.verdicts, [...verdicts, this.button("take back", () => this.press("x"), undefined, "X")]);
    this.tell();
  }

  // Put in other buttons; the one that had the focus leaves it to its successor.
  replace(box, buttons) {
    const at = [...box.children].indexOf(document.activeElement);
    box.replaceChildren(...buttons);
    if (at >= 0) (buttons[at] ?? this.detail.dialog).focus();
  }

  // A label that was typed and is none as yet, where the task takes any.
  get fresh() {
    const { task } = this.workbench;
    const words = this.words.trim();
    const wrong = !words || !task.open || task.labels.includes(words) || (task.several && (/^\?|\|/.test(words) || words === "none"));
    return wrong ? "" : words;
  }

  tell() {
    const { mark, workbench: { task } } = this;
    const named = mark?.label ? `: ${mark.label}` : mark?.verdict === "wrong" ? "; the right one is not known" : "";
    this.state.textContent = (mark ? `Marked ${mark.verdict}${named}. ` : `${task.name} is not marked. `)
      + `${this.marks.unsaved.toLocaleString("en")} not saved.`;
  }

  // What was typed: a number, or the first label listed.
  take() {
    const { task } = this.workbench;
    if (task.numbers) {
      if (this.filter.value !== "" && Number.isFinite(this.filter.valueAsNumber)) this.set(String(this.filter.valueAsNumber));
    } else {
      const label = this.listed.find((each) => each.toLowerCase() === this.words.trim().toLowerCase()) ?? this.listed[0] ?? this.fresh;
      if (label && this.words.trim()) this.set(label);
    }
    this.detail.dialog.focus();
  }

  // A label was chosen; of several, its state goes from no to yes to unknown.
  set(label) {
    const { task } = this.workbench;
    if (!task.several) return this.put(label);
    const { states } = this;
    const state = states.get(label);
    if (state === undefined) states.set(label, 1);
    else if (state === 1) states.set(label, 0);
    else states.delete(label);
    const names = [...task.labels.filter((each) => states.has(each)), ...[...states.keys()].filter((each) => !task.labels.includes(each))];
    this.put(names.map((each) => (states.get(each) ? each : `?${each}`)).join("|") || "none", false);
  }

  // A label equal to the one that there is, or to the answer where there is none, was right.
  put(label, goOn = true) {
    const { task } = this.workbench;
    const same = label === (this.imageSet.label(task, this.image) || this.imageSet.answerLabel(task, this.image));
    this.marks.set(task, this.image, same ? "right" : "wrong", label);
    this.done(goOn);
  }

  press(key) {
    const { task } = this.workbench;
    if (key === "x") this.marks.clear(task, this.image);
    if (key === "r") this.marks.set(task, this.image, "right", this.imageSet.label(task, this.image) || this.imageSet.answerLabel(task, this.image));
    if (key === "w") this.marks.set(task, this.image, "wrong", "");
    if (key === "u") this.marks.set(task, this.image, "unknown", "");
    this.done(key !== "x");
  }

  done(goOn) {
    const { gallery } = this.detail;
    if (goOn && gallery.at + 1 < gallery.shown.length && gallery.shown[gallery.at] === this.image) gallery.open(gallery.at + 1);
    else this.drawLabels();
  }

  // Keys while an image is shown.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const { tasks } = this.imageSet;
    const { gallery } = this.detail;
    const turn = (by) => this.choose(tasks[(this.workbench.task.index + by + tasks.length) % tasks.length]);
    const acts = {
      ArrowRight: () => gallery.open(gallery.at + 1), n: () => gallery.open(gallery.at + 1),
      ArrowLeft: () => gallery.open(gallery.at - 1), p: () => gallery.open(gallery.at - 1),
      t: () => turn(event.shiftKey ? -1 : 1), "/": () => this.filter.focus(), l: () => this.filter.focus(),
      s: () => this.workbench.save(), "?": () => this.workbench.help.showModal(),
    };
    for (const each of "rwux") acts[each] = () => this.press(each);
    if (/^[1-9]$/.test(key) && !this.workbench.task.numbers) {
      const label = this.listed[Number(key) - 1];
      if (label) acts[key] = () => this.set(label);
    }
    if (!Object.hasOwn(acts, key)) return;
    event.preventDefault();
    acts[key]();
  }
}
