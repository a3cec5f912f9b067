// Tables that sort by the head of a column, and text that can be copied.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = html("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const [usual, other] = head.dataset.best === "inf" ? ["descending", "ascending"] : ["ascending", "descending"];
      const direction = head.getAttribute("aria-sort") === usual ? other : usual;
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction);
      sort(table.tBodies[0], { column, best: Number(head.dataset.best), sign: direction === "ascending" ? 1 : -1 });
    });
  });
}

// By the distance from a value that is best, such as the coverage that was promised. What is absent comes last in both
// directions; equal rows keep their order.
function sort(body, { column, best, sign }) {
  const numeric = [...body.rows].some((row) => row.cells[column].dataset.value !== undefined);
  const distance = (value) => (value === undefined || !Number.isFinite(best) ? value : Math.abs(value - best));
  const key = (row) => (numeric ? distance(row.cells[column].dataset.value) : row.cells[column].textContent);
  const compare = (one, other) => {
    const [first, second] = [key(one), key(other)];
    if (first === undefined || second === undefined) return (first === undefined) - (second === undefined);
    return sign * (numeric ? first - second : first.localeCompare(second, "en", { numeric: true }));
  };
  body.append(...[...body.rows].sort(compare));
}

function copyable(box) {
  const text = box.querySelector("pre");
  const button = html("button", { type: "button" }, "Copy");
  const status = html("span", { class: "unseen", role: "status" });
  box.prepend(button, status);
  button.addEventListener("click", async () => {
    const done = await copied(text);
    button.textContent = status.textContent = done ? "Copied" : "Selected: copy with the keyboard";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// A page opened from a disk may have no clipboard: then the text is selected and the old way tried.
async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
