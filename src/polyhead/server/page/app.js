// The page: sends images to its server, and shows the answers.

import { bars, cases, element, heatCanvas, heatWords, isDecided, number, percent, promiseWords, words } from "./elements.js";

const AT_ONCE = 4; // requests at a time
const TRIES = 20; // while the server is busy

const find = (selector) => document.querySelector(selector);
const results = find("#results");
const model = fetch("model").then((answer) => answer.json());

let underWay = 0;
const queue = [];

// Ask the server; a refusal becomes an error with the server's message.
async function ask(address, file) {
  for (let tries = 1; ; tries++) {
    const form = new FormData();
    form.append("image", file, file.name);
    let answer;
    try {
      answer = await fetch(address, { method: "POST", body: form });
    } catch {
      throw new Error("The server does not answer. Is it still running?");
    }
    if (answer.status !== 503 || tries === TRIES) {
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.detail);
      return body;
    }
    await new Promise((done) => setTimeout(done, 1000 * Number(answer.headers.get("Retry-After") ?? 1)));
  }
}

function say(sentence) {
  find("#status").textContent = sentence;
}

// Show images above the earlier ones, and ask for the answers.
function add(files) {
  const images = [...files].filter((file) => file.size || file.type);
  if (!images.length) return;
  document.body.classList.add("answered");
  const above = results.firstChild;
  say(images.length === 1 ? `Predicting ${images[0].name}` : `Predicting ${images.length} images`);
  for (const file of images) {
    const card = makeCard(file);
    results.insertBefore(card.article, above);
    queue.push([file, card]);
  }
  next();
}

async function next() {
  if (underWay >= AT_ONCE || !queue.length) return;
  underWay++;
  const [file, card] = queue.shift();
  next();
  try {
    const [record] = await ask("predict", file);
    await showAnswers(card, file, record);
  } catch (error) {
    card.answers.replaceChildren(element("p", { class: "problem" }, error.message));
    say(`${file.name}: ${error.message}`);
  }
  card.answers.removeAttribute("aria-busy");
  underWay--;
  next();
}

function makeCard(file) {
  const address = URL.createObjectURL(file);
  const image = element("img", { src: address, alt: file.name });
  const picture = element("div", { class: "picture" }, image);
  const caption = element("figcaption");
  image.onload = () => {
    const ratio = image.naturalWidth / image.naturalHeight;
    picture.style.setProperty("--ratio", Math.min(4, Math.max(0.25, ratio)));
  };
  image.onerror = () => {
    picture.classList.add("blank");
    image.replaceWith("no preview");
  };
  const remove = element("button", { title: "Remove", "aria-label": `Remove ${file.name}` }, "×");
  const answers = element("div", { class: "answers", "aria-busy": "true" }, element("p", { class: "waiting" }, "Predicting…"));
  const name = element("span", { class: "name", title: file.name }, file.name);
  const heading = element("h2", {}, name, remove);
  const article = element("article", { class: "card result", "aria-label": file.name }, heading);
  article.append(element("figure", {}, picture, caption), answers);
  remove.onclick = () => {
    article.remove();
    URL.revokeObjectURL(address);
    say(`Removed ${file.name}`);
    (results.querySelector("article button") ?? find("#choose")).focus();
  };
  return { article, picture, caption, answers };
}

async function showAnswers(card, file, { answers, unfamiliar }) {
  const about = await model;
  const blocks = Object.entries(answers).map(([task, answer]) => {
    const heat = element("button", { "aria-pressed": "false", "aria-label": `Heat map of ${task}` }, "Heat map");
    const explain = (label, button) => toggleHeat(card, file, label === null ? { task } : { task, label }, button);
    heat.onclick = () => explain(null, heat);
    const head = element("div", { class: "task-head" }, element("h3", {}, task), heat);
    const block = element("div", { class: answer.unsure ? "task unsure" : "task", role: "group", "aria-label": task }, head);
    const form = about.tasks[task].answer;
    const show = form === "number" ? showNumber : showLabels;
    block.append(...show(answer, about.tasks[task], explain));
    return block;
  });
  if (unfamiliar) {
    const warning = "Unlike the images that the model was trained on: trust these answers less.";
    blocks.unshift(element("p", { class: "unfamiliar" }, element("span", { class: "chip" }, "unfamiliar"), " ", warning));
  }
  card.answers.replaceChildren(...blocks);
  const text = Object.entries(answers).map(([task, answer]) => `${task}: ${words(answer, about.tasks[task].answer)}`);
  say(`${file.name}: ${unfamiliar ? "unfamiliar; " : ""}${text.join("; ")}`);
}

function showNumber(answer, task) {
  const unit = element("span", { class: "unit" }, answer.unit);
  const error = task.figures.mae;
  const parts = [element("p", { class: "answer" }, number(answer.answer), unit)];
  if (answer.interval) {
    const often = task.promised ? `In ${cases(task.promised)} or more` : "In four of five cases";
    const sentence = `${often}: ${answer.interval.map(number).join(" to ")} ${answer.unit}`.trim() + ".";
    parts.push(element("p", { class: "small" }, sentence));
  }
  if (error !== undefined) {
    const sentence = `On test images, the mean error is ${number(error)} ${answer.unit}`.trim() + ".";
    parts.push(element("p", { class: "small faint" }, sentence));
  }
  return parts;
}

// What an answer would have been, had it to keep no rules, and which of them changed it.
function changeWords(answer) {
  const before = [answer.before_rules].flat().join(", ") || "none";
  const rules = (answer.by_rules ?? []).map((rule) => `“${rule}”`).join(" and ");
  return `Changed by ${answer.by_rules?.length > 1 ? "rules" : "a rule"}: without ${rules || "it"} it would be ${before}.`;
}

function showLabels(answer, task, explain) {
  const text = task.answer === "labels" ? answer.answer.join(", ") || "none" : answer.answer;
  const line = element("p", { class: "answer" }, text);
  if (answer.unsure) line.append(element("span", { class: "chip" }, "unsure"));
  const notes = answer.before_rules === undefined ? [] : [element("p", { class: "small" }, changeWords(answer))];
  if (answer.set) notes.push(element("p", { class: "small" }, promiseWords(answer, task.promised)));
  return [line, ...notes, ...bars(answer, task.answer, explain)];
}

// Show the heat map of a task's answer, or of one label, over the image, or remove it.
async function toggleHeat(card, file, question, button) {
  const shown = button.getAttribute("aria-pressed") === "true";
  for (const other of card.answers.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", "false");
  card.picture.querySelector("canvas")?.remove();
  card.picture.classList.remove("heated");
  card.caption.replaceChildren();
  if (shown || button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-pressed", "true");
  button.setAttribute("aria-busy", "true");
  try {
    const [map, about] = await Promise.all([ask(`heatmap?${new URLSearchParams(question)}`, file), model]);
    if (button.getAttribute("aria-pressed") === "true") showHeat(card, map, about);
  } catch (error) {
    button.setAttribute("aria-pressed", "false");
    card.caption.replaceChildren(element("p", { class: "problem" }, error.message));
    say(error.message);
  }
  button.removeAttribute("aria-busy");
}

function showHeat(card, map, about) {
  card.picture.querySelector("canvas")?.remove();
  const decided = isDecided(map);
  if (decided) {
    card.picture.append(heatCanvas(map.changes, about.image));
    card.picture.classList.add("heated");
  }
  card.picture.scrollIntoView({ block: "nearest" });
  const sentence = heatWords(map, about.tasks[map.task].unit ?? "");
  const ends = map.label === null ? ["smaller", "larger"] : ["against", "for"];
  const scale = element("div", { class: "scale", "aria-hidden": "true" }, ends[0], element("i"), ends[1]);
  card.caption.replaceChildren(element("p", {}, sentence), ...(decided ? [scale] : []));
  say(sentence);
}

// Describe the model.
async function introduce() {
  const about = await model;
  document.title = `${about.name} · Polyhead`;
  find("#name").textContent = about.name;
  for (const part of ["description", "note"]) {
    find(`#${part}`).textContent = about[part];
    find(`#${part}`).hidden = !about[part];
  }
  const rows = Object.entries(about.tasks).map(([name, task]) => {
    const answers = task.labels.length > 6 ? `${task.labels.length} labels` : task.labels.join(", ") || "a number";
    const unit = task.unit ? ` in ${task.unit}` : "";
    const cells = [answers + unit, showMetrics(task.figures, task), showMetrics(task.baseline, task)];
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell)));
  });
  find("#about tbody").replaceChildren(...rows);
  const facts = {
    "Trained on": `${(about.rows.train ?? 0).toLocaleString("en")} images`,
    Input: `${about.image.size[1]} × ${about.image.size[0]} pixels`,
    Parameters: about.parameters.toLocaleString("en"),
    Fingerprint: about.fingerprint,
  };
  const pairs = Object.entries(facts).map(([name, fact]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, fact)),
  );
  find("#about .facts").replaceChildren(...pairs);
  find("#curl").textContent = `curl -F images=@photo.jpg ${new URL("predict", location.href)}`;
  showExamples(about.examples);
}

function showMetrics(found, task) {
  const parts = [];
  if (found.accuracy !== undefined) parts.push(`${percent(found.accuracy)} accuracy`);
  if (found.macro_f1 !== undefined) parts.push(`macro F1 ${found.macro_f1.toFixed(3)}`);
  if (found.mae !== undefined && !parts.length) parts.push(`mean error ${number(found.mae)} ${task.unit ?? ""}`.trim());
  return parts.join(", ") || "–";
}

function showExamples(addresses) {
  const buttons = addresses.map((address, index) => {
    const name = `example ${index + 1}`;
    const button = element("button", { "aria-label": `Try ${name}` }, element("img", { src: address, alt: "" }));
    button.onclick = async () => {
      const content = await (await fetch(address)).blob();
      add([new File([content], name, { type: content.type })]);
    };
    return button;
  });
  find("#examples .strip").replaceChildren(...buttons);
  find("#examples").hidden = !addresses.length;
}

function listen() {
  const files = find("#files");
  find("#choose").onclick = () => files.click();
  files.onchange = () => {
    add(files.files);
    files.value = ""; // so that the same file can be chosen again
  };
  document.addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    add(event.dataTransfer?.files ?? []);
  });
}

listen();
introduce().catch(() => say("The server did not describe its model."));
