// All images on a plane, coloured by group; what the gallery does not show is faint.
class ImageMap {
  constructor(box, gallery) {
    const part = (name) => box.querySelector(`[data-part=${name}]`);
    Object.assign(this, { canvas: part("canvas"), hint: part("hint"), gallery, pile: gallery.pile, only: null });
    this.plane = this.pile.groups.maps[0][1];
    for (const button of box.querySelectorAll("[data-map]")) {
      button.addEventListener("click", () => {
        this.plane = this.pile.groups.maps.find(([name]) => name === button.dataset.map)[1];
        for (const each of box.querySelectorAll("[data-map]")) each.setAttribute("aria-pressed", each === button);
        this.arrange();
      });
    }
    for (const row of box.querySelectorAll("[data-group]")) {
      const number = Number(row.dataset.group);
      row.addEventListener("pointerenter", () => this.emphasize(number));
      row.addEventListener("pointerleave", () => this.emphasize(null));
    }
    this.canvas.addEventListener("pointermove", (event) => this.tell(this.find(event), event));
    this.canvas.addEventListener("pointerleave", () => this.tell(null));
    this.canvas.addEventListener("click", (event) => {
      const image = this.find(event);
      if (image !== null) gallery.detail.show(image);
    });
    this.shown = new Uint8Array(this.pile.count).fill(1);
    gallery.watchers.push((images) => {
      this.shown.fill(0);
      for (const image of images) this.shown[image] = 1;
      this.redraw();
    });
    new ResizeObserver(() => this.arrange()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  emphasize(number) {
    this.only = number;
    this.redraw();
  }

  // Where each image lies, in the canvas's own pixels.
  arrange() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const down = Math.min(width, height) / 2 - 14;
    const across = Math.min(1.6 * down, width / 2 - 14);
    this.places = this.plane.map((value, at) => (at % 2 ? height / 2 - value * down : width / 2 + value * across));
    this.redraw();
  }

  // Once a frame at most, however often it is asked for.
  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.places) this.draw();
    });
  }

  draw() {
    const { canvas, pile, places } = this;
    const sharp = globalThis.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * sharp;
    canvas.height = canvas.clientHeight * sharp;
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const style = getComputedStyle(canvas);
    const colours = pile.groups.colours.map((colour) => {
      const name = colour.match(/^var\((.+)\)$/);
      return name ? style.getPropertyValue(name[1]).trim() : colour;
    });
    const size = pile.count > 5000 ? 2.4 : pile.count > 800 ? 3.6 : 5.5;
    const faint = (image) => !this.shown[image] || (this.only !== null && pile.groups.of[image] !== this.only);
    let styled = null;
    for (const pass of [true, false]) {
      pen.globalAlpha = pass ? 0.12 : 0.75;
      for (let image = 0; image < pile.count; image++) {
        if (faint(image) !== pass) continue;
        const group = pile.groups.of[image];
        if (group !== styled) pen.fillStyle = colours[group]; // costs more than the point
        styled = group;
        pen.fillRect(places[2 * image] - size / 2, places[2 * image + 1] - size / 2, size, size);
      }
    }
    this.number(pen, style);
  }

  // Each group's number, where the middle of its images is.
  number(pen, style) {
    const sums = this.pile.groups.names.map(() => [0, 0, 0]);
    for (let image = 0; image < this.pile.count; image++) {
      const sum = sums[this.pile.groups.of[image]];
      sum[0] += this.places[2 * image];
      sum[1] += this.places[2 * image + 1];
      sum[2] += 1;
    }
    Object.assign(pen, { globalAlpha: 1, textAlign: "center", textBaseline: "middle", lineWidth: 4 });
    pen.font = `650 15px ${style.getPropertyValue("--text")}`;
    pen.strokeStyle = style.getPropertyValue("--card");
    pen.fillStyle = style.getPropertyValue("--ink");
    sums.forEach(([across, down, count], number) => {
      if (!number || !count) return;
      pen.strokeText(number, across / count, down / count);
      pen.fillText(number, across / count, down / count);
    });
  }

  find({ offsetX, offsetY }) {
    let [best, least] = [null, 144];
    for (let image = 0; image < this.pile.count; image++) {
      const away = (this.places[2 * image] - offsetX) ** 2 + (this.places[2 * image + 1] - offsetY) ** 2;
      if (away < least && this.shown[image]) [best, least] = [image, away];
    }
    return best;
  }

  tell(image, event) {
    this.hint.hidden = image === null;
    if (image === null) return;
    const name = this.pile.groups.names[this.pile.groups.of[image]];
    this.hint.replaceChildren(this.gallery.thumbnail(image, this.gallery.scale), make("span", "small", name));
    const left = event.offsetX > this.canvas.clientWidth / 2;
    this.hint.style.left = `${event.offsetX + (left ? -14 : 14)}px`;
    this.hint.style.top = `${event.offsetY}px`;
    this.hint.style.transform = left ? "translateX(-100%)" : "";
  }
}
