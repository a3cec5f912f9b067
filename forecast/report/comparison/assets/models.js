// How a model looks, the same in every chart: colour, then dash, and a marker that differs among neighbours.

const COLOURS = 8;
const MANY = 8;

function look(model) {
  return `c${model % COLOURS} d${Math.floor(model / COLOURS) % 4}`;
}

// Markers in turn: circle, square, triangle, diamond, triangle upside down, cross, plus.
const SHAPES = [
  (r) => `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`,
  (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
  (r) => `M0 ${-1.2 * r}L${1.2 * r} ${r}H${-1.2 * r}Z`,
  (r) => `M0 ${-1.35 * r}L${1.35 * r} 0L0 ${1.35 * r}L${-1.35 * r} 0Z`,
  (r) => `M0 ${1.2 * r}L${1.2 * r} ${-r}H${-1.2 * r}Z`,
  (r) => `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
  (r) => `M${-1.2 * r} 0H${1.2 * r}M0 ${-1.2 * r}V${1.2 * r}`,
];

function mark(model, x, y, { full = true, size = 4.2 } = {}) {
  const d = SHAPES[model % SHAPES.length](size);
  const kind = full ? "mark full" : "mark";
  return svg("path", { class: `${kind} c${model % COLOURS}`, d, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
}

// What charts of lines begin with: all models, or of many the five best and the methods that need no training.
function begunWith(models, names) {
  if (names.length <= MANY) return new Set(models);
  return new Set(models.filter((model, place) => place < 5 || ["naive", "seasonal_naive"].includes(names[model])));
}

// Buttons that show and hide models; `shown` is a set of their places, and is changed.
function legend(box, { models, names, shown, changed }) {
  const swatch = (model) => svg("svg", { viewBox: "0 0 30 14", class: look(model), "aria-hidden": "true" },
    svg("line", { class: "line", x1: 0, x2: 30, y1: 7, y2: 7 }), mark(model, 15, 7, { size: 3.6 }));
  box.replaceChildren(...models.map((model) => {
    const button = html("button", { type: "button", "aria-pressed": String(shown.has(model)) }, swatch(model), names[model]);
    button.addEventListener("click", () => {
      if (!shown.delete(model)) shown.add(model);
      button.setAttribute("aria-pressed", String(shown.has(model)));
      changed();
    });
    return button;
  }));
}
