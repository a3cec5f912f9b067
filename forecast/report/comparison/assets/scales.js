// From values to places on the screen, and the values that are worth a tick.

const FORMAT = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

function written(value) {
  if (value === null || value === undefined) return "\u2013";
  const far = value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e9);
  return (far ? value.toExponential(2) : FORMAT.format(value)).replaceAll("-", "\u2212");
}

function percent(share) {
  return `${new Intl.NumberFormat("en", { maximumFractionDigits: 1 }).format(100 * share)} %`.replace("-", "\u2212");
}

function linear([low, high], [start, end]) {
  const span = high - low || 1;
  const scale = (value) => start + ((value - low) / span) * (end - start);
  scale.ticks = (count) => {
    const rough = span / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((by) => by * power).find((size) => size >= rough * 0.999);
    const ticks = [];
    for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place += 1) {
      ticks.push(Number((place * step).toPrecision(12)));
    }
    return ticks;
  };
  return scale;
}

function logarithmic([low, high], [start, end]) {
  const inner = linear([Math.log10(low), Math.log10(high)], [start, end]);
  const scale = (value) => inner(Math.log10(value));
  scale.ticks = (count) => {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    const step = Math.max(1, Math.ceil((last - first) / Math.max(1, count)));
    const ticks = [];
    for (let power = first; power <= last; power += step) ticks.push(Number(`1e${power}`));
    return ticks;
  };
  return scale;
}

// The span of some values with a little air; null where there is none.
function spanOf(values, { air = 0.06, from = Infinity } = {}) {
  let [low, high] = [from, from === Infinity ? -Infinity : from];
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return null;
  const room = (high - low) * air || Math.abs(high) * air || 1;
  return [low === from ? low : low - room, high === from ? high : high + room];
}
