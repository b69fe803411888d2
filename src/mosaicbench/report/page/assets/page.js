"use strict";
// Filters, reasons on tap, large pictures, and details that open for whoever follows a link. Sorting is sortable.min.js.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  // The first click sorts as the column says; the library knows one direction per table.
  document.addEventListener("click", (event) => {
    const head = event.target.closest("table.sortable thead th");
    if (head) head.closest("table").classList.toggle("asc", head.dataset.first !== "descending");
  }, true);

  // Tables travel: the rows that are shown, as text with tabs.
  const textOf = (table) => all("tr", table).filter((row) => !row.hidden)
    .map((row) => [...row.cells].map((cell) => (cell.querySelector("button") ?? cell).textContent.trim().replace(/\s+/g, " ")).join("\t"))
    .join("\n");
  const savers = (table, label) => {
    const button = (textContent, act) => {
      const made = make("button", { type: "button", className: "save", textContent });
      made.setAttribute("aria-label", `${textContent}: ${label}`);
      made.addEventListener("click", () => act(made));
      return made;
    };
    const save = button("Save TSV", () => make("a", {
      download: `${label.replace(/[^A-Za-z0-9]+/g, "_")}.tsv`,
      href: `data:text/tab-separated-values;charset=utf-8,${encodeURIComponent(`${textOf(table)}\n`)}`,
    }).click());
    const copy = button("Copy", async (made) => {
      await navigator.clipboard.writeText(textOf(table));
      made.textContent = "Copied";
    });
    return navigator.clipboard ? [copy, save] : [save];
  };
  for (const board of all(".board")) {
    const table = make("table");
    board.append(make("div", { className: "tools" }, ...savers(table, board.dataset.label)),
      make("div", { className: "scroll", tabIndex: 0 }, table));
  }

  // Filters: words that a row must hold, and values to choose among; without a choice, all are shown.
  const FEW = 4;
  const LONG = 8;
  for (const grid of all(".grid")) {
    const rows = () => all("tbody tr", grid);
    const tools = make("div", { className: "tools" });
    grid.prepend(tools);
    if (rows().length >= LONG) addFilters(grid, rows, tools);
    tools.append(...savers(grid.querySelector("table"), grid.dataset.label));
  }
  function addFilters(grid, rows, tools) {
    const chosen = new Map();
    let words = [];
    const count = make("output", { className: "count" });
    const show = () => {
      let shown = 0;
      for (const row of rows()) {
        const text = row.textContent.toLowerCase();
        const seen = words.every((word) => text.includes(word))
          && [...chosen].every(([place, values]) => !values.size || values.has(row.cells[place].textContent.trim()));
        row.hidden = !seen;
        shown += seen;
      }
      count.textContent = shown < rows().length ? `${shown} of ${rows().length} rows` : "";
    };
    const search = make("input", { type: "search", placeholder: "Filter rows" });
    search.setAttribute("aria-label", `Filter the rows of: ${grid.dataset.label}`);
    search.addEventListener("input", () => {
      words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      show();
    });
    tools.append(search);
    for (const head of all("thead th", grid).filter((head) => "choices" in head.dataset)) {
      const place = head.cellIndex;
      const name = head.textContent.trim();
      const values = [...new Set(rows().map((row) => row.cells[place].textContent.trim()))];
      if (values.length < 2) continue;
      const of = new Set();
      chosen.set(place, of);
      if (values.length <= FEW) {
        for (const value of values) {
          const chip = make("button", { type: "button", className: "chip", textContent: value });
          chip.setAttribute("aria-pressed", "false");
          chip.addEventListener("click", () => {
            of.delete(value) || of.add(value);
            chip.setAttribute("aria-pressed", String(of.has(value)));
            show();
          });
          tools.append(chip);
        }
      } else {
        const select = make("select", {}, make("option", { value: "", textContent: `${name}: all` }));
        select.setAttribute("aria-label", name);
        for (const value of values) select.append(make("option", { textContent: value }));
        select.addEventListener("change", () => {
          of.clear();
          if (select.value) of.add(select.value);
          show();
        });
        tools.append(select);
      }
    }
    tools.append(count);
  }

  // The reason behind a dash or a cross: the title on hover, this box on tap and for keys.
  const box = make("div", { id: "reason" });
  box.setAttribute("role", "status");
  box.hidden = true;
  document.body.append(box);
  document.addEventListener("click", (event) => {
    const mark = event.target.closest("button.why");
    box.hidden = !mark || (!box.hidden && box.mark === mark);
    if (box.hidden) return;
    box.mark = mark;
    box.textContent = mark.title;
    const at = mark.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    box.style.left = `${scrollX + Math.max(8, Math.min(at.left, width - box.offsetWidth - 8))}px`;
    box.style.top = `${scrollY + at.bottom + 6}px`;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") box.hidden = true;
  });
  document.addEventListener("scroll", (event) => {
    if (event.target !== document) box.hidden = true;
  }, true);

  // Pictures fit the page; enlarged, they are moved about in their box.
  for (const button of all("button.enlarge")) {
    const picture = document.getElementById(button.getAttribute("aria-controls"));
    const toggle = () => {
      const large = picture.classList.toggle("large");
      button.setAttribute("aria-pressed", String(large));
    };
    button.addEventListener("click", toggle);
    picture.addEventListener("click", toggle);
  }
  for (const button of all("button.open-all")) {
    button.addEventListener("click", () => {
      const figures = all("details.figure", button.closest("section"));
      const open = !figures.every((figure) => figure.open);
      for (const figure of figures) figure.open = open;
    });
  }

  // Whoever follows a link sees what is folded away.
  const unfold = () => {
    const name = decodeURIComponent(location.hash.slice(1));
    const target = name && document.getElementById(name);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  const contents = document.querySelector("nav details");
  if (contents && matchMedia("(max-width: 75rem)").matches) {
    contents.open = false;
    contents.addEventListener("click", (event) => { if (event.target.closest("a")) contents.open = false; });
  }
  unfold();
})();
