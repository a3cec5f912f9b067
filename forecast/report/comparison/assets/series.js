// The chart of one series from one origin, and the values at one step.

function drawSeries(box, series, fold, { names, shown, from, to }) {
  const models = Object.entries(fold.models).map(([model, lists]) => [Number(model), lists]).filter(([model]) => shown.has(model));
  const values = series.y.slice(from, to + 1).concat(models.flatMap(([, lists]) => lists.flat()));
  const area = frame(box, { height: 380, label: `Forecasts of ${series.name} from ${fold.cutoff}`, top: 34 });
  const x = linear([from, to], [area.left + 6, area.right - 8]);
  const y = linear(spanOf(values) ?? [0, 1], [area.bottom, area.top]);
  axisLeft(area, y, { label: "value, in the unit of the series" });
  axisBelow(area, x, { label: "time", ticks: timeTicks(series.times, { from, to, width: area.right - area.left }), format: (tick) => series.times[tick] });
  const places = (list) => list.map((value, place) => [x(fold.first + place), value === null ? null : y(value)]);
  for (const [model, lists] of models.filter((entry) => entry[1].length > 1)) {
    area.root.append(svg("path", { class: `band c${model % COLOURS}`, d: bandOf(places(lists[1]), places(lists[4])) }));
    area.root.append(svg("path", { class: `band c${model % COLOURS}`, d: bandOf(places(lists[2]), places(lists[3])) }));
  }
  const observed = series.y.map((value, place) => [x(place), value === null ? null : y(value)]);
  area.root.append(
    svg("line", { class: "dashed", x1: x(fold.first - 0.5), x2: x(fold.first - 0.5), y1: area.top, y2: area.bottom }),
    titled(svg("path", { class: "past", d: pathOf(observed.slice(from, fold.first)) }), "history"),
    titled(svg("path", { class: "truth", d: pathOf(observed.slice(Math.max(from, fold.first - 1), to + 1)) }), "what came"),
  );
  for (const [model, lists] of models) area.root.append(lineOf(model, places(lists[0]).map(([a, b], place) => [a, b, lists[0][place]]), (place, value) => `${names[model]}: ${written(value)}`));
  const ruler = svg("line", { class: "ruler", y1: area.top, y2: area.bottom });
  area.root.append(ruler);
  return {
    root: area.root,
    rule: (step) => ["x1", "x2"].forEach((name) => ruler.setAttribute(name, x(step))),
    stepAt: (event) => {
      const space = area.root.getBoundingClientRect();
      const share = (((event.clientX - space.left) / space.width) * area.width - x(from)) / (x(to) - x(from));
      return Math.min(to, Math.max(from, Math.round(from + share * (to - from))));
    },
  };
}

// As many times as there is room for, evenly apart, none of them cut at the edge.
function timeTicks(times, { from, to, width }) {
  const room = Math.max(1, Math.floor(width / (8 * Math.max(4, times[to].length))));
  const every = Math.max(1, Math.ceil((to - from) / room));
  const ticks = [];
  const last = to - ((to - from) * 3.6 * times[to].length) / width;
  for (let tick = from + Math.floor(every / 2); tick <= Math.max(last, from + every / 2); tick += every) ticks.push(tick);
  return ticks;
}

function bandOf(low, high) {
  const both = low.map((point, place) => [point, high[place]]).filter(([one, other]) => one[1] !== null && other[1] !== null);
  if (!both.length) return "";
  return `${pathOf(both.map((pair) => pair[0]))}L${pathOf(both.map((pair) => pair[1]).reverse()).slice(1)}Z`;
}

function readout(series, fold, { step, names, shown, head }) {
  const place = step - fold.first;
  const interval = (low, high) => (low === undefined || low[place] === null || low[place] === undefined ? "\u2013" : `${written(low[place])} to ${written(high[place])}`);
  const rows = Object.entries(fold.models).filter(([model]) => shown.has(Number(model)) && place >= 0).map(([model, lists]) =>
    [names[model], written(lists[0][place]), interval(lists[2], lists[3]), interval(lists[1], lists[4]), written(series.errors[model])]);
  const line = (cells, tag) => html("tr", {}, ...cells.map((cell, column) =>
    html(column && tag === "td" ? "td" : "th", { class: column ? "number" : null, scope: tag === "th" ? "col" : column ? null : "row" }, cell)));
  const heads = ["", "value", "80 % interval", "95 % interval", `${head}, this series`];
  document.querySelector(".readout").replaceChildren(html("table", {},
    html("caption", { class: "unseen" }, `Values at ${series.times[step]}`),
    html("thead", {}, line([series.times[step], ...heads.slice(1)], "th")),
    html("tbody", {}, line([place < 0 ? "history" : "what came", written(series.y[step]), "", "", ""], "td"), ...rows.map((row) => line(row, "td")))));
}
