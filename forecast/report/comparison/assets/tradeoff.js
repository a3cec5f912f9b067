// Error against seconds of training. What trains in no measurable time stands at the left edge.

function drawTradeoff(box, panel, { names, head }) {
  const rows = panel.board.filter((row) => row.fit_seconds !== null && row.error !== null);
  const area = frame(box, { height: 380, label: `${head} against seconds of training`, top: 34, left: 54, role: "group" });
  const timed = rows.map((row) => row.fit_seconds).filter((seconds) => seconds > 0);
  const least = timed.length ? 10 ** Math.floor(Math.log10(Math.min(...timed))) : 0.001;
  const most = timed.length ? 10 ** Math.ceil(Math.log10(Math.max(...timed) * 1.01)) : 1;
  const instant = timed.length < rows.length ? 34 : 0;
  const x = logarithmic([least, most], [area.left + 12 + instant, area.right - 14]);
  const at = (row) => (row.fit_seconds > 0 ? x(row.fit_seconds) : area.left + 16);
  const domain = spanOf(rows.map((row) => row.error), { air: 0.08 });
  if (!domain) return note(box, "No model has both a score and a time here.");
  const y = linear(domain, [area.bottom, area.top]);
  axisLeft(area, y, { label: `${head} (lower is better)` });
  axisBelow(area, x, { label: "seconds of training, logarithmic" });
  if (instant) area.root.append(svg("text", { class: "soft", x: area.left + 16, y: area.bottom + 18, "text-anchor": "middle" }, "0"));
  const front = rows.filter((row) => row.front).sort((one, other) => one.fit_seconds - other.fit_seconds);
  const steps = front.map((row, place) => (place ? `H${at(row)}V${y(row.error)}` : `M${at(row)} ${y(row.error)}`));
  area.root.append(svg("path", { class: "dashed", d: steps.join("") }));
  const named = rows.map((row) => cut(names[row.model], 20));
  const [usual, strong] = ["", "strong"].map((kind) => widths(box, named, { kind }));
  const points = rows.map((row, place) =>
    ({ x: at(row), y: y(row.error), text: named[place], strong: row.front, width: (row.front ? strong : usual)[place] }));
  const { leads, texts } = labels(points, area);
  area.root.append(...leads);
  const reading = html("p", { class: "reading" });
  for (const row of rows) area.root.append(pointOf(row, { x: at(row), y: y(row.error), name: names[row.model], head, reading }));
  area.root.append(...texts);
  box.append(reading);
}

// A point that keyboard and pointer reach; its name and numbers are then read below the chart.
function pointOf(row, { x, y, name, head, reading }) {
  const text = `${name}: ${head} ${row.texts.error}, ${row.texts.seconds} s${row.front ? ", on the front" : ""}`;
  const group = svg("g", { class: "point", tabindex: 0, role: "img", "aria-label": text }, mark(row.model, x, y, { full: row.front, size: 5.2 }));
  for (const event of ["focus", "pointerenter"]) group.addEventListener(event, () => { reading.textContent = text; });
  return titled(group, text);
}

// Names beside their points, those on the front first: each takes the nearest place about its point where it covers
// nothing, with a line to the point where that is not beside it.
function labels(points, area) {
  const taken = points.map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const hits = (one) => taken.some((other) => one[0] < other[2] && one[2] > other[0] && one[1] < other[3] && one[3] > other[1]);
  const within = (one) => one[0] >= area.left + 2 && one[2] <= area.width && one[1] >= area.top - 6 && one[3] <= area.bottom - 2;
  const found = { leads: [], texts: [] };
  for (const point of [...points].sort((one, other) => other.strong - one.strong)) {
    const space = spaces(point, { most: area.width / 9 }).find((one) => within(one) && !hits(one));
    if (!space) continue;
    taken.push(space);
    if (space.far) found.leads.push(leadTo(space, point));
    found.texts.push(svg("text", { class: point.strong ? "strong haloed" : "haloed", x: space[0] + 3, y: space[3] - 4 }, point.text));
  }
  return found;
}

// Where a name may stand: around its point in rings, right and left before above and below; not far from it on a phone.
function spaces({ x, y, width }, { most }) {
  const turns = [0, 8, 4, 12, 2, 14, 6, 10, 1, 15, 7, 9, 3, 13, 5, 11].map((turn) => (turn * Math.PI) / 8);
  return [8, 20, 34, 50, 68, 88, 110].filter((far) => far < most).flatMap((far, ring) => turns.map((turn) => {
    const [across, down] = [Math.cos(turn), Math.sin(turn)];
    const left = x + far * across + (across > 0.3 ? 0 : across < -0.3 ? -width - 6 : -width / 2 - 3);
    const top = y + far * down - 8 + (Math.abs(across) > 0.3 ? 0 : 8 * Math.sign(down));
    return Object.assign([left, top, left + width + 6, top + 16], { far: ring > 0 });
  }));
}

function leadTo([left, top, right, bottom], { x, y }) {
  const [endX, endY] = [Math.min(Math.max(x, left), right), Math.min(Math.max(y, top), bottom)];
  return svg("path", { class: "lead-line", d: `M${x.toFixed(1)} ${y.toFixed(1)}L${endX.toFixed(1)} ${endY.toFixed(1)}` });
}
