// A line a model: errors by step ahead, and the share of steps below each quantile.

function drawSteps(box, panel, { names, heads, metric, shown }) {
  const lines = Object.entries(panel.steps[metric] ?? {}).map(([model, values]) => [Number(model), values]);
  const seen = lines.filter(([model]) => shown.has(model));
  const steps = Math.max(1, ...lines.map(([, values]) => values.length));
  const domain = spanOf(seen.flatMap(([, values]) => values));
  if (!domain) return note(box, lines.length ? "No model is shown: choose one above." : "Not measured here.");
  const area = frame(box, { height: 360, label: `${heads[metric]} by step ahead`, top: 34 });
  const x = linear([1, Math.max(2, steps)], [area.left + 10, area.right - 10]);
  const y = linear(domain, [area.bottom, area.top]);
  axisLeft(area, y, { label: heads[metric] });
  axisBelow(area, x, { label: "steps ahead", ticks: [...new Set([1, ...x.ticks(8).filter(Number.isInteger)])].filter((tick) => tick <= steps) });
  for (const [model, values] of seen) {
    const points = values.map((value, place) => [x(place + 1), value === null ? null : y(value), value]);
    area.root.append(lineOf(model, points, (place, value) => `${names[model]}, step ${place + 1}: ${written(value)}`));
  }
}

function drawCalibration(box, panel, { names, shown }) {
  const lines = Object.entries(panel.calibration).map(([model, points]) => [Number(model), points]);
  if (!lines.length) return note(box, "No model gives quantiles here.");
  const size = Math.min(box.clientWidth, 460);
  const area = frame(box, { height: size + 10, label: "Observed share against quantile level", top: 34 });
  const x = linear([0, 1], [area.left, area.right]);
  const y = linear([0, 1], [area.bottom, area.top]);
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1];
  axisLeft(area, y, { label: "observed share of steps at or below", ticks });
  axisBelow(area, x, { label: "level of the quantile", ticks });
  area.root.append(svg("line", { class: "dashed", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  for (const [model, points] of lines.filter(([place]) => shown.has(place))) {
    const places = points.map(([level, share]) => [x(level), y(share), share]);
    const text = (place, share) => `${names[model]}: ${percent(share)} at level ${written(points[place][0])}`;
    area.root.append(lineOf(model, places, text));
  }
}

// A line with markers, fewer of them where they would touch; each tells its value.
function lineOf(model, points, text) {
  const dense = points.length > 200 ? " dense" : "";
  const group = svg("g", { class: look(model) + dense, "data-model": model }, svg("path", { class: "line", d: pathOf(points) }));
  const every = Math.max(1, Math.ceil(points.length / 24));
  points.forEach(([x, y, value], place) => {
    if (y === null || place % every) return;
    group.append(titled(svg("g", {}, mark(model, x, y, { size: 3.4 })), text(place, value)));
  });
  return group;
}
