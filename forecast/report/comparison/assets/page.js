// What ties the page together: the choice of data set and horizon, and what is drawn for it.

const numbers = JSON.parse(document.getElementById("numbers").textContent);
const names = numbers.models;
const shownSteps = begunWith([...names.keys()], names);
const shownCalibration = begunWith(measured("calibration"), names);
const viewer = explorer({ names, heads: numbers.heads });
let panel = numbers.panels[0];

document.documentElement.classList.add("js");
document.querySelectorAll("[data-sortable]").forEach(sortable);
document.querySelectorAll(".paste").forEach(copyable);
document.getElementById("all-columns").addEventListener("change", (event) => {
  document.querySelectorAll("#leaderboard table").forEach((table) => table.classList.toggle("whole", event.target.checked));
});

// The models, best first, that any data set and horizon has in this part.
function measured(part) {
  return [...names.keys()].filter((model) => numbers.panels.some((each) => model in each[part]));
}

function chart(name) {
  return document.querySelector(`[data-chart=${name}]`);
}

function drawLines() {
  const metric = document.querySelector("[data-metric]")?.value;
  if (chart("steps")) drawSteps(chart("steps"), panel, { names, heads: numbers.heads, metric, shown: shownSteps });
  if (chart("calibration")) drawCalibration(chart("calibration"), panel, { names, shown: shownCalibration });
}

function drawAll() {
  if (chart("skill")) drawSkill(chart("skill"), panel, { names });
  if (chart("ranks")) drawRanks(chart("ranks"), panel, { names });
  if (chart("tradeoff")) drawTradeoff(chart("tradeoff"), panel, { names, head: numbers.heads[panel.metric] });
  drawLines();
  if (panel) viewer.draw();
}

function showPanel() {
  document.querySelectorAll(".panel").forEach((element) => {
    element.hidden = numbers.panels[element.dataset.panel] !== panel;
  });
  const select = document.querySelector("[data-metric]");
  if (select) {
    const before = select.value;
    const metrics = Object.keys(panel.steps);
    select.replaceChildren(...metrics.map((name) => html("option", { value: name }, numbers.heads[name])));
    if (metrics.includes(before)) select.value = before;
  }
  const inSteps = Object.keys(panel.steps[panel.metric] ?? {}).map(Number);
  const inCalibration = Object.keys(panel.calibration).map(Number);
  for (const [name, models, shown] of [["steps", inSteps, shownSteps], ["calibration", inCalibration, shownCalibration]]) {
    if (chart(name)) legend(chart(name).parentElement.querySelector(".legend"), { models, names, shown, changed: drawLines });
  }
  viewer.show(panel);
  drawAll();
}

function offerPanels() {
  const [data, horizon] = [document.getElementById("data"), document.getElementById("horizon")];
  if (!data) return;
  const sets = [...new Set(numbers.panels.map((each) => each.data))];
  data.replaceChildren(...sets.map((name) => html("option", { value: name }, name)));
  const offerHorizons = () => {
    const before = horizon.value;
    const offered = numbers.panels.filter((each) => each.data === data.value).map((each) => String(each.horizon));
    horizon.replaceChildren(...offered.map((value) => html("option", { value }, value)));
    if (offered.includes(before)) horizon.value = before;
    panel = numbers.panels.find((each) => each.data === data.value && String(each.horizon) === horizon.value);
  };
  data.addEventListener("change", () => { offerHorizons(); showPanel(); });
  horizon.addEventListener("change", () => { offerHorizons(); showPanel(); });
  offerHorizons();
}

offerPanels();
document.querySelector("[data-metric]")?.addEventListener("change", drawLines);
if (panel) showPanel();
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) drawAll();
  width = innerWidth;
});
