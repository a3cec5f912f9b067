// A model a row, with a point and its interval: the skill against a simple method.

function drawSkill(box, panel, { names }) {
  const rows = panel.board.filter((row) => row.skill !== null).sort((one, other) => other.skill - one.skill);
  if (!rows.length) return note(box, "No simple method was entered here to measure skill against.");
  const wide = box.clientWidth > 560;
  const letters = wide ? 26 : 15;
  const left = 14 + Math.max(...widths(box, rows.map((row) => cut(names[row.model], letters))));
  const right = wide ? 16 + Math.max(...widths(box, rows.map((row) => row.texts.skill))) : 16;
  const label = `Skill of each model against ${panel.reference}, with intervals`;
  const area = frame(box, { height: 64 + 30 * rows.length, label, left, right, top: 6 });
  const domain = spanOf(rows.flatMap((row) => [row.skill, row.skill_low, row.skill_high]), { from: 0 });
  const x = linear(domain, [area.left + 8, area.right - 8]);
  axisBelow(area, x, { label: `error saved against ${panel.reference || "the reference"}`, format: percent, room: 60 });
  area.root.append(svg("line", { class: "zero", x1: x(0), x2: x(0), y1: area.top, y2: area.bottom }));
  rows.forEach((row, place) => area.root.append(skillRow(row, { x, y: area.top + 17 + 30 * place, area, names, letters, wide })));
}

function skillRow(row, { x, y, area, names, letters, wide }) {
  const interval = row.skill_low !== null && row.skill_high !== null;
  const group = titled(svg("g", { class: `c${row.model % COLOURS}` }), `${names[row.model]}: ${row.texts.skill} %`);
  group.append(svg("text", { x: area.left - 8, y: y + 4, "text-anchor": "end" }, cut(names[row.model], letters)));
  if (interval) {
    group.append(svg("line", { class: "whisker", x1: x(row.skill_low), x2: x(row.skill_high), y1: y, y2: y }));
  }
  group.append(mark(row.model, x(row.skill), y));
  if (wide) group.append(svg("text", { class: "soft", x: area.right + 12, y: y + 4 }, row.texts.skill));
  return group;
}
