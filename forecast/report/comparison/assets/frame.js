// The frame of a chart: its size, its axes with labels and ticks, and the grid.

function frame(box, { height, label, left = 58, right = 14, top = 12, bottom = 46, role = "img" }) {
  const width = Math.max(240, box.clientWidth);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role, "aria-label": label });
  box.replaceChildren(root);
  return { root, width, height, left, right: width - right, top, bottom: height - bottom };
}

function note(box, text) {
  box.replaceChildren(html("p", { class: "note" }, text));
}

function axisBelow(area, scale, { label, ticks = null, format = written, room = 85 }) {
  const count = Math.max(3, Math.floor((area.right - area.left) / room));
  for (const tick of ticks ?? scale.ticks(count)) {
    const x = scale(tick);
    area.root.append(
      svg("line", { class: "grid", x1: x, x2: x, y1: area.top, y2: area.bottom }),
      svg("text", { class: "soft", x, y: area.bottom + 18, "text-anchor": "middle" }, format(tick)),
    );
  }
  const text = cut(label, Math.floor(area.width / 7));
  const middle = Math.min((area.left + area.right) / 2, area.width - 3.5 * text.length);
  area.root.append(
    svg("line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }),
    svg("text", { class: "soft", x: middle, y: area.bottom + 38, "text-anchor": "middle" }, text),
  );
}

function axisLeft(area, scale, { label, ticks = null, format = written }) {
  const count = Math.max(2, Math.floor((area.bottom - area.top) / 55));
  for (const tick of ticks ?? scale.ticks(count)) {
    const y = scale(tick);
    area.root.append(
      svg("line", { class: "grid", x1: area.left, x2: area.right, y1: y, y2: y }),
      svg("text", { class: "soft", x: area.left - 8, y: y + 4, "text-anchor": "end" }, format(tick)),
    );
  }
  // Above the axis and not beside it: it need not be turned, and a phone has no room beside.
  area.root.append(svg("text", { class: "soft", x: 2, y: area.top - 14 }, label));
}
