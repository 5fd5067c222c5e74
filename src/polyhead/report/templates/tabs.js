"use strict";
// One part of the page at a time, by the contents at its side. Without scripts, and on paper, all parts are shown.
{
  const tabs = [...document.querySelectorAll("nav li a")];
  const panels = tabs.map((tab) => document.getElementById(tab.hash.slice(1)));
  const list = document.querySelector("nav ul");

  function choose(hash) {
    const target = document.getElementById(decodeURIComponent(hash.slice(1)));
    const at = Math.max(panels.indexOf(target?.closest(".panel")), 0);
    tabs.forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === at));
      tab.tabIndex = index === at ? 0 : -1;
      panels[index].classList.toggle("shown", index === at);
    });
    tabs[at].scrollIntoView({ block: "nearest", inline: "nearest" });
    if (target && !panels.includes(target) && target.closest(".panel")) target.scrollIntoView();
    else scrollTo(0, 0);
  }

  if (tabs.length > 1) {
    document.documentElement.classList.add("tabs");
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Parts of the report");
    tabs.forEach((tab, index) => {
      tab.parentElement.setAttribute("role", "presentation");
      tab.id = `tab-${index + 1}`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panels[index].id);
      panels[index].setAttribute("role", "tabpanel");
      panels[index].setAttribute("aria-labelledby", tab.id);
    });
    list.addEventListener("keydown", (event) => {
      const at = tabs.indexOf(document.activeElement);
      const steps = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: -1 };
      if (at < 0 || !(event.key in steps)) return;
      event.preventDefault();
      const to = tabs.at(steps[event.key] % tabs.length);
      location.replace(to.hash);
      choose(to.hash);
      to.focus();
    });
    addEventListener("hashchange", () => choose(location.hash));
    choose(location.hash);
  }
}
