// Starts once data.js is loaded; pictures are filled in when their placeholders come near the screen.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector("#gallery");
  const gallery = new Gallery(box, new ImageSet(globalThis.polyheadGallery));
  globalThis.gallery = gallery;
  const suspected = gallery.imageSet.tasks.find(({ suspect }) => suspect);
  if (suspected) gallery.show(`${suspected.name} suspect, by ${suspected.name} suspicion`, false);
  const map = document.querySelector("#map");
  if (map) gallery.map = new ImageMap(map, gallery);
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) fill(target);
  }, { rootMargin: "600px" });
  function fill(placeholder) {
    near.unobserve(placeholder);
    const images = JSON.parse(placeholder.dataset.pictures);
    placeholder.replaceChildren(...images.map(([image, title]) => gallery.button(image, title)));
  }
  const placeholders = [...document.querySelectorAll("[data-pictures]")];
  const { width, height } = gallery.cell;
  for (const placeholder of placeholders) {
    // Reserve the space, or the page would jump.
    const rows = Math.ceil(JSON.parse(placeholder.dataset.pictures).length / Math.max(1, Math.floor(placeholder.clientWidth / width)));
    placeholder.style.minHeight = `${rows * (height + 3)}px`;
    near.observe(placeholder);
  }
  addEventListener("beforeprint", () => placeholders.forEach(fill));
  for (const link of document.querySelectorAll("[data-query]")) {
    link.addEventListener("click", () => gallery.show(link.dataset.query));
  }
});
