// Elements of HTML and SVG. Text only ever becomes text: names of series and models are never read as mark-up.

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function titled(element, text) {
  element.append(svg("title", {}, text));
  return element;
}

// A path through points, with a gap where a value is null.
function pathOf(points) {
  let path = "";
  let drawing = false;
  for (const [x, y] of points) {
    if (y !== null) path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = y !== null;
  }
  return path;
}

// The widths of texts in pixels, as a chart in this box writes them.
function widths(box, texts, { kind = "" } = {}) {
  const probe = svg("text", { class: kind });
  const root = svg("svg", {}, probe);
  box.append(root);
  const found = texts.map((text) => {
    probe.textContent = text;
    return probe.getComputedTextLength();
  });
  root.remove();
  return found;
}

function cut(text, letters) {
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1))}\u2026`;
}
