// Every page works without this script: it adds copying, menus, a search key, and the number of selected rows.
addEventListener("DOMContentLoaded", () => {
  // Until the server knows the reader's time zone (time_zone.js), its times are in another one, which they name.
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const date = { year: "numeric", month: "2-digit", day: "2-digit" };
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  // Swedish is written as ISO 8601. The server's forms are those of config/formats.
  const language = document.documentElement.lang === "de" ? "de" : "sv";
  for (const time of document.querySelectorAll("time[data-zone]")) {
    if (time.dataset.zone === timeZone) continue;
    const at = new Date(time.dateTime);
    const isToday = at.toDateString() === new Date().toDateString();
    time.textContent = at.toLocaleString(language, isToday ? clock : { ...date, ...clock });
  }

  // Copy buttons: the whole text of an element, or the value of a field.
  for (const button of document.querySelectorAll("[data-copy]")) {
    const label = button.querySelector("span") ?? button;
    const original = label.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
      label.textContent = button.dataset.done;
      setTimeout(() => (label.textContent = original), 2000);
    });
  }

  // Menus close with Escape, and with a click outside.
  const openMenus = () => document.querySelectorAll("details.im-menu[open]");
  addEventListener("click", (event) => {
    for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of openMenus()) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    if (event.key === "/" && !event.target.closest("input, textarea, select")) {
      const search = document.querySelector("[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  // The selected rows of a list (bulk_bar.html).
  const picked = document.querySelector("[data-picked]");
  if (picked) {
    const boxes = [...document.querySelectorAll("tbody .im-pick input")];
    const ofPage = document.querySelector("[data-pick-page]");
    const none = document.querySelector("[data-pick-none]");

    const tell = () => {
      const count = boxes.filter((box) => box.checked).length;
      const isPage = count === boxes.length;
      picked.textContent = (isPage ? picked.dataset.page : picked.dataset.some).replace("%n", count);
      ofPage.checked = isPage;
      ofPage.indeterminate = count > 0 && !isPage;
    };
    const pick = (isPicked) => {
      for (const box of boxes) box.checked = isPicked;
      tell();
    };
    for (const box of boxes) box.addEventListener("change", tell);
    for (const box of [ofPage, ...boxes]) {
      // Enter would press the first button of the form.
      box.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
    }
    ofPage.addEventListener("change", () => pick(ofPage.checked));
    none.hidden = false;
    none.addEventListener("click", () => pick(false));
    // The browser restores ticks on "back".
    addEventListener("pageshow", tell);
  }

  // The current view of a list, where the views are wider than the window.
  document.querySelector(".im-views [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

  // The first field with an error.
  document.querySelector(".im-wrong :is(input, select, textarea)")?.focus();
});
