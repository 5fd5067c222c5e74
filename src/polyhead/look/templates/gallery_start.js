// Begins once data.js is there; pictures that the page holds places for are put in.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector("#gallery");
  const gallery = new Gallery(box, new Pile(globalThis.polyheadGallery));
  globalThis.gallery = gallery;
  const map = document.querySelector("#map");
  if (map) gallery.map = new ImageMap(map, gallery);
  for (const place of document.querySelectorAll("[data-pictures]")) {
    const images = JSON.parse(place.dataset.pictures);
    place.replaceChildren(...images.map(([image, title]) => gallery.button(image, title)));
  }
  for (const link of document.querySelectorAll("[data-query]")) {
    link.addEventListener("click", () => gallery.show(link.dataset.query));
  }
});
