// Begins once data.js is there; pictures that the page holds places for are put in as they come near.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector("#gallery");
  const gallery = new Gallery(box, new ImageSet(globalThis.polyheadGallery));
  globalThis.gallery = gallery;
  const map = document.querySelector("#map");
  if (map) gallery.map = new ImageMap(map, gallery);
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) fill(target);
  }, { rootMargin: "600px" });
  function fill(place) {
    near.unobserve(place);
    const images = JSON.parse(place.dataset.pictures);
    place.replaceChildren(...images.map(([image, title]) => gallery.button(image, title)));
  }
  const places = [...document.querySelectorAll("[data-pictures]")];
  const { width, height } = gallery.cell;
  for (const place of places) {
    // Room for the pictures to come, or the page would jump.
    const rows = Math.ceil(JSON.parse(place.dataset.pictures).length / Math.max(1, Math.floor(place.clientWidth / width)));
    place.style.minHeight = `${rows * (height + 3)}px`;
    near.observe(place);
  }
  addEventListener("beforeprint", () => places.forEach(fill));
  for (const link of document.querySelectorAll("[data-query]")) {
    link.addEventListener("click", () => gallery.show(link.dataset.query));
  }
});
