// A map of all images, coloured by group; those that the gallery does not show are faint.
class ImageMap {
  constructor(box, gallery) {
    const part = (name) => box.querySelector(`[data-part=${name}]`);
    Object.assign(this, { canvas: part("canvas"), hint: part("hint"), gallery, imageSet: gallery.imageSet, only: null });
    this.plane = this.imageSet.groups.maps[0][1];
    for (const button of box.querySelectorAll("[data-map]")) {
      button.addEventListener("click", () => {
        this.plane = this.imageSet.groups.maps.find(([name]) => name === button.dataset.map)[1];
        for (const each of box.querySelectorAll("[data-map]")) each.setAttribute("aria-pressed", each === button);
        this.arrange();
      });
    }
    for (const row of box.querySelectorAll("[data-group]")) {
      const number = Number(row.dataset.group);
      row.addEventListener("pointerenter", () => this.emphasize(number));
      row.addEventListener("pointerleave", () => this.emphasize(null));
    }
    this.canvas.addEventListener("pointermove", (event) => this.showHint(this.find(event), event));
    this.canvas.addEventListener("pointerleave", () => this.showHint(null));
    this.canvas.addEventListener("click", (event) => {
      const image = this.find(event);
      if (image !== null) gallery.detail.show(image);
    });
    this.shown = new Uint8Array(this.imageSet.count).fill(1);
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

  // The position of each image on the canvas, in pixels.
  arrange() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const down = Math.min(width, height) / 2 - 14;
    const across = Math.min(1.6 * down, width / 2 - 14);
    this.positions = this.plane.map((value, at) => (at % 2 ? height / 2 - value * down : width / 2 + value * across));
    this.redraw();
  }

  // At most once a frame.
  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.positions) this.draw();
    });
  }

  draw() {
    const { canvas, imageSet, positions } = this;
    const sharp = globalThis.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * sharp;
    canvas.height = canvas.clientHeight * sharp;
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const style = getComputedStyle(canvas);
    const colours = imageSet.groups.colours.map((colour) => {
      const name = colour.match(/^var\((.+)\)$/);
      return name ? style.getPropertyValue(name[1]).trim() : colour;
    });
    const size = imageSet.count > 5000 ? 2.4 : imageSet.count > 800 ? 3.6 : 5.5;
    const faint = (image) => !this.shown[image] || (this.only !== null && imageSet.groups.of[image] !== this.only);
    let styled = null;
    for (const pass of [true, false]) {
      pen.globalAlpha = pass ? 0.12 : 0.75;
      for (let image = 0; image < imageSet.count; image++) {
        if (faint(image) !== pass) continue;
        const group = imageSet.groups.of[image];
        if (group !== styled) pen.fillStyle = colours[group]; // costs more than the point
        styled = group;
        pen.fillRect(positions[2 * image] - size / 2, positions[2 * image + 1] - size / 2, size, size);
      }
    }
    this.number(pen, style);
  }

  // The number of each group, at the mean position of its images.
  number(pen, style) {
    const sums = this.imageSet.groups.names.map(() => [0, 0, 0]);
    for (let image = 0; image < this.imageSet.count; image++) {
      const sum = sums[this.imageSet.groups.of[image]];
      sum[0] += this.positions[2 * image];
      sum[1] += this.positions[2 * image + 1];
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
    for (let image = 0; image < this.imageSet.count; image++) {
      const away = (this.positions[2 * image] - offsetX) ** 2 + (this.positions[2 * image + 1] - offsetY) ** 2;
      if (away < least && this.shown[image]) [best, least] = [image, away];
    }
    return best;
  }

  showHint(image, event) {
    this.hint.hidden = image === null;
    if (image === null) return;
    const name = this.imageSet.groups.names[this.imageSet.groups.of[image]];
    this.hint.replaceChildren(this.gallery.thumbnail(image, this.gallery.scale), make("span", "small", name));
    const left = event.offsetX > this.canvas.clientWidth / 2;
    this.hint.style.left = `${event.offsetX + (left ? -14 : 14)}px`;
    this.hint.style.top = `${event.offsetY}px`;
    this.hint.style.transform = left ? "translateX(-100%)" : "";
  }
}
