// The critical-difference diagram of Demsar (2006): ranks on a line, names at both sides, bars over what does not differ.

function drawRanks(box, panel, { names }) {
  const ranks = panel.ranks;
  if (!ranks) return note(box, "Ranks need two models or more, on the same series.");
  const count = ranks.models.length;
  const half = Math.ceil(count / 2);
  const letters = box.clientWidth > 560 ? 22 : 11;
  const side = 26 + 7 * Math.min(letters, Math.max(...ranks.models.map((model) => names[model].length)));
  const label = "Mean ranks of the models, with bars over those that do not differ";
  const lane = 11;
  const height = 92 + lane * ranks.bars.length + 25 * half;
  const area = frame(box, { height, label, left: side, right: side, top: 64, bottom: 0 });
  const x = linear([1, Math.max(count, Math.ceil(ranks.ranks[count - 1]))], [area.left, area.right]);
  rankAxis(area, x, count);
  if (ranks.difference !== null) differenceBar(area, x, ranks.difference, count);
  ranks.bars.forEach(([first, last], place) => {
    const y = area.top + 12 + lane * place;
    area.root.append(svg("line", { class: "group", x1: x(ranks.ranks[first]) - 3, x2: x(ranks.ranks[last]) + 3, y1: y, y2: y }));
  });
  ranks.models.forEach((model, place) => {
    const better = place < half;
    const row = better ? place : count - 1 - place;
    const y = area.top + 26 + lane * ranks.bars.length + 25 * row;
    area.root.append(rankName(area, { model, y, better, x: x(ranks.ranks[place]), text: ranks.texts[place], name: names[model], letters }));
  });
}

function rankAxis(area, x, count) {
  const step = Math.max(1, Math.ceil(count / Math.max(2, (area.right - area.left) / 28)));
  area.root.append(svg("line", { class: "zero", x1: area.left, x2: area.right, y1: area.top, y2: area.top }));
  for (let rank = 1; rank <= count; rank += step) {
    area.root.append(
      svg("line", { class: "zero", x1: x(rank), x2: x(rank), y1: area.top - 6, y2: area.top }),
      svg("text", { class: "soft", x: x(rank), y: area.top - 11, "text-anchor": "middle" }, String(rank)),
    );
  }
}

function differenceBar(area, x, difference, count) {
  const end = x(Math.min(1 + difference, count));
  const text = difference > count - 1 ? `CD ${written(difference)} (longer than this line)` : `CD ${written(difference)}`;
  area.root.append(
    svg("path", { class: "zero", fill: "none", d: `M${x(1)} 22v8M${x(1)} 26H${end}M${end} 22v8` }),
    svg("text", { class: "soft", x: x(1), y: 14 }, text),
  );
}

function rankName(area, { model, x, y, better, text, name, letters }) {
  const end = better ? area.left - 8 : area.right + 8;
  const group = titled(svg("g"), `${name}: mean rank ${text}`);
  group.append(
    svg("path", { class: "lead-line", d: `M${x.toFixed(1)} ${area.top}V${y}H${end}` }),
    mark(model, x, area.top, { size: 3.6 }),
    svg("text", { x: better ? end - 5 : end + 5, y: y + 4, "text-anchor": better ? "end" : "start" }, cut(name, letters)),
  );
  return group;
}
