"use strict";
(() => {
  const table = document.getElementById("class");
  if (table) {
    sorting(table);
    filtering(table);
  }
  // A student who was opened: say so to screen readers and let the keyboard go on from there.
  const focus = () => {
    const head = document.querySelector("article.student:target h1");
    if (head) head.focus();
    window.scrollTo(0, head ? 0 : window.scrollY);
  };
  window.addEventListener("hashchange", focus);
  if (location.hash) focus();

  function sorting(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up ? 1 : -1, head.classList.contains("n"));
      });
    });
  }

  function sort(table, column, direction, numeric) {
    const value = (row) => row.cells[column].dataset.value;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => direction * (numeric ? value(a) - value(b) : value(a).localeCompare(value(b))));
    table.tBodies[0].append(...rows);
  }

  function filtering(table) {
    const [search, state, review] = ["search", "state", "review"].map((id) => document.getElementById(id));
    const shown = document.getElementById("shown");
    const rows = [...table.tBodies[0].rows];
    const apply = () => {
      const words = search.value.toLowerCase().trim();
      for (const row of rows) {
        row.hidden =
          !row.dataset.text.includes(words) ||
          (state.value !== "" && row.dataset.state !== state.value) ||
          (review.checked && row.dataset.review !== "1");
      }
      shown.value = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown`;
    };
    const form = search.form;
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", apply);
    apply();
  }
})();
