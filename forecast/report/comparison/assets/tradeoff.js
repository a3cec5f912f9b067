// Error against seconds of training. What trains in no measurable time stands at the left edge.

function drawTradeoff(box, panel, { names, head }) {
  const rows = panel.board.filter((row) => row.fit_seconds !== null && row.error !== null);
  const area = frame(box, { height: 380, label: `${head} against seconds of training`, top: 34, left: 54 });
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
  for (const row of rows) {
    const text = `${names[row.model]}: ${head} ${written(row.error)}, ${written(row.fit_seconds)} s${row.front ? ", on the front" : ""}`;
    area.root.append(titled(svg("g", {}, mark(row.model, at(row), y(row.error), { full: row.front, size: 5.2 })), text));
  }
  area.root.append(...labels(rows.map((row) => ({ x: at(row), y: y(row.error), text: cut(names[row.model], 20), strong: row.front })), area));
}

// Names beside their points: each takes the first place about its point where it covers nothing.
function labels(points, area) {
  const taken = points.map((point) => [point.x - 7, point.y - 7, point.x + 7, point.y + 7]);
  const hits = (one) => taken.some((other) => one[0] < other[2] && one[2] > other[0] && one[1] < other[3] && one[3] > other[1]);
  const within = (one) => one[0] >= 0 && one[2] <= area.right + 14 && one[1] >= area.top - 6 && one[3] <= area.bottom;
  return points.flatMap(({ x, y, text, strong }) => {
    const width = (strong ? 8 : 7.2) * text.length;
    const places = [[10, 4], [-10 - width, 4], [-width / 2, -11], [-width / 2, 21], [8, -9], [8, 18], [-8 - width, -9], [-8 - width, 18]];
    for (const [right, down] of places) {
      const space = [x + right, y + down - 11, x + right + width, y + down + 3];
      if (hits(space) || !within(space)) continue;
      taken.push(space);
      return [svg("text", { class: strong ? "strong haloed" : "haloed", x: space[0], y: y + down }, text)];
    }
    return [];
  });
}
