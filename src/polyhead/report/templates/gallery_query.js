// A query, terms separated by commas: `Eyeglasses yes, Smiling no, unsure first`.
class Query {
  constructor(imageSet, text, marks) {
    this.imageSet = imageSet;
    this.marks = marks;
    this.terms = text.split(",").map((words) => words.trim()).filter(Boolean).map((words) => this.read(words));
  }

  // The images that match, in their own order.
  keep() {
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
    return found;
  }

  // The images to show, in order.
  run() {
    const found = this.keep();
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
      ?? this.readNumber(plain) ?? this.readLabel(plain) ?? this.readWords(plain)) };
  }

  readOrder(words) {
    const { unfamiliar } = this.imageSet;
    if (unfamiliar && words === "unfamiliar first") {
      const rate = (image) => unfamiliar.rates[image];
      return { value: rate, caption: (image) => rate(image).toFixed(2), means: words };
    }
    const first = words.match(/^(unsure|wrong|suspect) first$/);
    if (first) return { value: this.flag(this.imageSet.tasks, first[1]), means: words };
    const [, what, rising] = words.match(/^by (.+?)( rising)?$/) ?? [];
    if (!what) return null;
    const order = { rising: Boolean(rising), means: words };
    if (what === "distance" && this.imageSet.groups) {
      const far = this.imageSet.groups.distance;
      return { ...order, value: (image) => far[image], caption: (image) => showNumber(far[image], "") };
    }
    const task = this.imageSet.tasks.find(({ name }) => name.toLowerCase() === what);
    const off = this.imageSet.tasks.find(({ name, errors }) => errors && `${name} error`.toLowerCase() === what);
    if (off) return { ...order, value: (image) => off.errors[image], caption: (image) => this.imageSet.error(off, image) };
    const suspected = this.imageSet.tasks.find(({ name, suspect }) => suspect && `${name} suspicion`.toLowerCase() === what);
    if (suspected) return { ...order, value: (image) => suspected.suspect[image] };
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
    if (this.imageSet.unfamiliar && /^(un)?familiar$/.test(words)) {
      return { keep: (image) => this.imageSet.isUnfamiliar(image) === (words === "unfamiliar"), means: words };
    }
    const [, of] = words.match(/^(?:(.+) )?changed by (?:a rule|rules)$/) ?? [];
    if (this.imageSet.hasRules && / ?changed by (a rule|rules)$/.test(words)) {
      const asked = this.imageSet.tasks.filter((task) => !of || task.name.toLowerCase() === of);
      if (asked.length) return { keep: (image) => asked.some((task) => task.changes.has(image)), means: words };
    }
    const [, name, flag] = words.match(/^(?:(.+) )?(unsure|sure|wrong|right|suspect|labelled|unlabelled|marked|unmarked)$/) ?? [];
    const tasks = this.imageSet.tasks.filter((task) => !name || task.name.toLowerCase() === name);
    if (!flag || !tasks.length) return null;
    const opposite = { sure: "unsure", unmarked: "marked", labelled: "unlabelled" }[flag];
    const is = this.flag(tasks, opposite ?? flag);
    return { keep: opposite ? (image) => !is(image) : (image) => is(image) > 0, means: words };
  }

  // More than 0 where it holds for one of the tasks; `right`: for all whose truth is known.
  flag(tasks, flag) {
    if (flag === "unsure") return (image) => (tasks.some((task) => task.unsure[image]) ? 1 : 0);
    if (flag === "suspect") return (image) => Math.max(...tasks.map((task) => task.suspect?.[image] ?? 0));
    if (flag === "unlabelled") return (image) => (tasks.some((task) => !this.imageSet.label(task, image)) ? 1 : 0);
    if (flag === "marked") return (image) => (tasks.some((task) => this.marks?.get(task, image)) ? 1 : 0);
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

  // Words of which each must be found: `red shirt`. The longest run of words that is a label stands for that label.
  readWords(words) {
    const labels = new Set(this.imageSet.tasks.flatMap((task) => task.labels.map((label) => label.toLowerCase())));
    const rest = words.split(/\s+/);
    const phrases = [];
    while (rest.length) {
      let length = rest.length;
      while (length > 1 && !labels.has(rest.slice(0, length).join(" "))) length--;
      phrases.push(rest.splice(0, length).join(" "));
    }
    const finds = phrases.map((phrase) => this.find(phrase, labels.has(phrase)));
    const quoted = phrases.map((phrase) => `“${phrase}”`).join(" and ");
    return { keep: (image) => finds.every((find) => find(image)), means: `${quoted} in a label or the file name` };
  }

  // Whether an image's answers or labels have a phrase, as a whole or as how one of their words begins; or its file name.
  find(phrase, whole) {
    const is = (label) => label === phrase || (!whole && label.split(/[^\p{L}\p{N}]+/u).some((word) => word.startsWith(phrase)));
    const named = this.imageSet.tasks.map((task) => ({
      task,
      labels: task.labels.map((_, label) => label).filter((label) => is(task.labels[label].toLowerCase())),
      truths: new Set((task.texts ?? []).map((text, index) => (text.toLowerCase().split("|").some(is) ? index : -1))),
    }));
    return (image) => this.imageSet.names[image].toLowerCase().includes(phrase) || named.some(({ task, labels, truths }) =>
      labels.some((label) => this.imageSet.hasLabel(task, label, image)) || (task.truth && truths.has(task.truth[image])));
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
