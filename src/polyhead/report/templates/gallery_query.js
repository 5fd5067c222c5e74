// A query, terms separated by commas: `Eyeglasses yes, Smiling no, unsure first`.
class Query {
  constructor(imageSet, text) {
    this.imageSet = imageSet;
    this.terms = text.split(",").map((words) => words.trim()).filter(Boolean).map((words) => this.read(words));
  }

  // The images to show, in order.
  run() {
    const keeps = [];
    const choices = new Map(); // labels of one task that exclude one another: any of them matches
    for (const term of this.terms) {
      if (term.any) choices.set(term.any, [...(choices.get(term.any) ?? []), term.keep]);
      else if (term.keep) keeps.push(term.keep);
    }
    for (const any of choices.values()) keeps.push((image) => any.some((keep) => keep(image)));
    const found = [];
    for (let image = 0; image < this.imageSet.count; image++) {
      if (keeps.every((keep) => keep(image))) found.push(image);
    }
    const order = this.order;
    if (order) {
      const values = new Float64Array(this.imageSet.count);
      for (const image of found) values[image] = order.value(image);
      found.sort(order.rising ? (a, b) => values[a] - values[b] : (a, b) => values[b] - values[a]);
    }
    return found;
  }

  get order() {
    return this.terms.findLast((term) => term.value);
  }

  read(words) {
    const plain = words.toLowerCase();
    return { words, ...(this.readOrder(plain) ?? this.readFlag(plain) ?? this.readGroup(plain)
      ?? this.readNumber(plain) ?? this.readLabel(plain) ?? this.readName(plain)) };
  }

  readOrder(words) {
    const first = words.match(/^(unsure|wrong) first$/);
    if (first) return { value: this.flag(this.imageSet.tasks, first[1]), means: words };
    const [, what, rising] = words.match(/^by (.+?)( rising)?$/) ?? [];
    if (!what) return null;
    const order = { rising: Boolean(rising), means: words };
    if (what === "distance" && this.imageSet.groups) {
      const far = this.imageSet.groups.distance;
      return { ...order, value: (image) => far[image], caption: (image) => showNumber(far[image], "") };
    }
    const task = this.imageSet.tasks.find(({ name }) => name.toLowerCase() === what);
    if (task?.numbers) {
      return { ...order, value: (image) => task.numbers[image], caption: (image) => this.imageSet.answer(task, image) };
    }
    const sure = (image) => this.imageSet.certainty(task, image);
    if (task) return { ...order, value: sure, caption: (image) => showPercent(sure(image)) };
    const found = this.vocabulary.get(what);
    if (!found) return null;
    const probability = (image) => this.imageSet.probability(found.task, found.label, image);
    return { ...order, value: probability, caption: (image) => showPercent(probability(image)) };
  }

  readFlag(words) {
    const [, name, flag] = words.match(/^(?:(.+) )?(unsure|sure|wrong|right)$/) ?? [];
    const tasks = this.imageSet.tasks.filter((task) => !name || task.name.toLowerCase() === name);
    if (!flag || !tasks.length) return null;
    const is = this.flag(tasks, flag === "sure" ? "unsure" : flag);
    return { keep: flag === "sure" ? (image) => !is(image) : (image) => is(image) > 0, means: words };
  }

  // 1 where it holds for one of the tasks; `right`: for all whose truth is known.
  flag(tasks, flag) {
    if (flag === "unsure") return (image) => (tasks.some((task) => task.unsure[image]) ? 1 : 0);
    const known = tasks.filter((task) => task.wrong);
    if (flag === "wrong") return (image) => (known.some((task) => task.wrong[image] === 1) ? 1 : 0);
    return (image) =>
      known.some((task) => task.wrong[image] === 0) && !known.some((task) => task.wrong[image] === 1) ? 1 : 0;
  }

  readGroup(words) {
    const [, number] = words === "noise" ? ["", "0"] : words.match(/^group (\d+)$/) ?? [];
    if (!this.imageSet.groups || number === undefined) return null;
    const of = this.imageSet.groups.of;
    return { keep: (image) => of[image] === Number(number), any: this.imageSet.groups, means: words };
  }

  readNumber(words) {
    const [, name, sign, number] = words.match(/^(.+?) *(<=|>=|<|>) *(-?[\d.]+)$/) ?? [];
    const task = this.imageSet.tasks.find((each) => each.numbers && each.name.toLowerCase() === name);
    if (!task) return null;
    const compare = {
      "<": (value) => value < number, ">": (value) => value > number,
      "<=": (value) => value <= number, ">=": (value) => value >= number,
    }[sign];
    return { keep: (image) => compare(task.numbers[image]), means: words };
  }

  readLabel(words) {
    const [, yes, sign] = words.match(/^(.+) (yes|no)$/) ?? [];
    const [, not] = words.match(/^(?:no|not) (.+)$/) ?? [];
    const exact = this.vocabulary.get(words);
    const found = exact ?? this.vocabulary.get(yes) ?? this.vocabulary.get(not);
    if (!found) return null;
    const { task, label } = found;
    if (exact || (yes && this.vocabulary.has(yes) && sign === "yes")) {
      const any = task.several ? null : task;
      return { keep: (image) => this.imageSet.hasLabel(task, label, image), any, task, label, yes: true, means: words };
    }
    return { keep: (image) => !this.imageSet.hasLabel(task, label, image), task, label, yes: false, means: words };
  }

  readName(words) {
    return { keep: (image) => this.imageSet.names[image].toLowerCase().includes(words), means: `file name contains “${words}”` };
  }

  // Labels by name: `Smiling`, `color red`, and `red` where no other task has it.
  get vocabulary() {
    if (this.imageSet.vocabulary) return this.imageSet.vocabulary;
    const words = new Map();
    const alone = new Map();
    for (const task of this.imageSet.tasks) {
      task.labels.forEach((label, index) => {
        words.set(`${task.name} ${label}`.toLowerCase(), { task, label: index });
        const short = label.toLowerCase();
        alone.set(short, alone.has(short) ? null : { task, label: index });
      });
    }
    for (const [short, found] of alone) if (found && !words.has(short)) words.set(short, found);
    return (this.imageSet.vocabulary = words);
  }
}
