// One series at a time: what was known, what came, and what each model said.

function explorer({ names, heads }) {
  const box = document.querySelector("[data-chart=series]");
  if (!box) return { show() {}, draw() {} };
  const part = (id) => document.getElementById(id);
  const state = { panel: null, order: [], place: 0, fold: 0, step: 0, shown: new Set() };

  function show(panel) {
    state.panel = panel;
    part("kept").textContent = kept(panel);
    const present = modelsIn(panel);
    const best = panel.board.map((row) => row.model).filter((model) => present.includes(model));
    const reference = best.find((model) => names[model] === panel.reference);
    state.shown = new Set([best[0], reference ?? best[1]].filter((model) => model !== undefined));
    part("judge").replaceChildren(...best.map((model) => html("option", { value: model }, names[model])));
    part("names").replaceChildren(...panel.explorer.map((series) => html("option", { value: series.name })));
    legend(box.parentElement.querySelector(".legend"), { models: present, names, shown: state.shown, changed: draw });
    arrange();
  }

  // Put the series in the order asked for: NaN last, whatever the direction.
  function arrange() {
    const [order, judge] = [part("order").value, part("judge").value];
    const sign = order === "worst" ? -1 : 1;
    const key = (series) => (series.errors[judge] ?? null) === null ? Infinity : sign * series.errors[judge];
    state.order = [...state.panel.explorer.keys()];
    if (order) {
      const keys = state.panel.explorer.map(key);
      state.order.sort((one, other) => (keys[one] === keys[other] ? one - other : keys[one] - keys[other]));
    }
    part("judge").parentElement.hidden = !order;
    choose(0);
  }

  function choose(place) {
    state.place = Math.min(Math.max(place, 0), Math.max(0, state.order.length - 1));
    const series = current();
    part("previous").disabled = state.place === 0;
    part("next").disabled = state.place >= state.order.length - 1;
    if (!series) return draw();
    part("find").value = series.name;
    part("origin").replaceChildren(...series.folds.map((fold, number) => html("option", { value: number }, fold.cutoff)));
    state.fold = series.folds.length - 1;
    part("origin").value = state.fold;
    part("origin").disabled = series.folds.length < 2;
    return draw();
  }

  function current() {
    return state.panel.explorer[state.order[state.place]];
  }

  function draw() {
    const series = current();
    if (!series) {
      part("which").textContent = "";
      document.querySelector(".readout").replaceChildren();
      return note(box, "No forecasts were kept to look at here.");
    }
    const fold = series.folds[state.fold];
    const head = heads[state.panel.metric];
    const length = Object.values(fold.models)[0][0].length;
    const cursor = part("cursor");
    cursor.max = fold.first + length - 1;
    cursor.min = Math.max(0, fold.first - Math.max(3 * length, 24));
    state.step = Math.min(Math.max(state.step || fold.first, fold.first), Number(cursor.max));
    cursor.value = state.step;
    const judge = part("judge").value;
    const error = part("order").value ? `; ${head} of ${names[judge]} ${written(series.errors[judge])}` : "";
    const of = `${state.order.length}${state.order.length < state.panel.all.series ? " kept" : ""}`;
    part("which").textContent = `${series.name} (${state.place + 1} of ${of}${error})`;
    const drawn = drawSeries(box, series, fold, { names, shown: state.shown, from: Number(cursor.min), to: Number(cursor.max) });
    const move = (step) => {
      state.step = step;
      cursor.value = step;
      cursor.setAttribute("aria-valuetext", series.times[step]);
      drawn.rule(step);
      readout(series, fold, { step, names, shown: state.shown, head });
    };
    cursor.oninput = () => move(Number(cursor.value));
    drawn.root.onpointermove = (event) => move(drawn.stepAt(event));
    return move(state.step);
  }

  part("find").addEventListener("change", () => {
    const wanted = part("find").value.trim().toLowerCase();
    const named = state.order.map((place) => state.panel.explorer[place].name.toLowerCase());
    const exact = named.indexOf(wanted);
    const near = exact >= 0 ? exact : named.findIndex((name) => name.includes(wanted));
    if (near >= 0) choose(near);
    else part("which").textContent = `No series is named like \u201c${part("find").value}\u201d.`;
  });
  part("previous").addEventListener("click", () => choose(state.place - 1));
  part("next").addEventListener("click", () => choose(state.place + 1));
  part("order").addEventListener("change", arrange);
  part("judge").addEventListener("change", arrange);
  part("origin").addEventListener("change", () => {
    state.fold = Number(part("origin").value);
    state.step = 0;
    draw();
  });
  return { show, draw };
}

// Of how many the forecasts are here: what is worst among these need not be worst of all.
function kept({ all, explorer: held }) {
  const origins = Math.max(0, ...held.map((series) => series.folds.length));
  const parts = [];
  if (held.length < all.series) parts.push(`${held.length} of ${all.series} series, spread evenly`);
  if (origins < all.origins) parts.push(`${origins} of ${all.origins} origins`);
  if (!parts.length || !held.length) return "";
  const among = held.length < all.series ? " Worst and best first are among these; the table per_series has the errors of all." : "";
  return `Forecasts are here of ${parts.join(", and ")}.${among}`;
}

function modelsIn(panel) {
  const found = new Set(panel.explorer.flatMap((series) => series.folds.flatMap((fold) => Object.keys(fold.models))));
  return [...found].map(Number).sort((one, other) => one - other);
}
