// Lines over time, the expected band behind them, the points that left it marked.
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { clock, stamp, writer } from "../lib/format.js";
import { locale, t } from "../lib/i18n.js";
import { point, pointed, unpoint } from "./moment.js";
import uPlot from "../vendor/uplot.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "11px system-ui, sans-serif";

// The page's theme, so that canvases are drawn anew when it changes.
function useTheme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  useEffect(() => {
    const watch = new MutationObserver(() => setTheme(document.documentElement.dataset.theme));
    watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => watch.disconnect();
  }, []);
  return theme;
}

// `lines`: [{ label, values }]; `band`: { low, high } beside the first line; `marks`: [{ atMs, text, look }].
// What is pointed at elsewhere on the page is shown here, and what is pointed at here is shown elsewhere.
let chartCount = 0;

export function Chart({ atMs, lines, band, marks = [], metric = "", unit = "", height = 180, spans = [], sync = "", label }) {
  const self = useRef("");
  self.current ||= `chart-${++chartCount}`;
  const place = useRef(null);
  const plot = useRef(null);
  const theme = useTheme();
  const [cursor, setCursor] = useState(null);
  const write = useMemo(() => writer(metric, unit), [metric, unit]);
  const columns = useMemo(() => [atMs, ...lines.map((line) => line.values), ...(band ? [band.low, band.high] : [])], [atMs, lines, band]);
  const shape = `${theme}|${lines.map((line) => line.label).join("|")}|${Boolean(band)}|${height}|${unit}|${metric}`;
  const extras = useRef({ marks, spans, pointed: 0 });
  extras.current = { ...extras.current, marks, spans };

  useEffect(() => {
    const box = place.current;
    const options = settings({ box, lines, band, height, write, sync, extras, onCursor: setCursor });
    const made = new uPlot(options, columns, box);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: Math.max(120, box.clientWidth), height }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    if (plot.current && plot.current.data !== columns) plot.current.setData(columns);
  }, [columns]);

  useEffect(() => {
    point(cursor === null ? 0 : (atMs[cursor] ?? 0), self.current);
  }, [cursor]);
  useEffect(() => {
    const quit = pointed.watch(({ ms, by }) => {
      if (by === self.current) return;
      extras.current.pointed = ms;
      plot.current?.redraw(false);
    });
    return () => {
      quit();
      unpoint(self.current);
    };
  }, []);

  const at = cursor ?? lastKnown(lines, atMs.length);
  return html`<figure class="chart">
    <figcaption class="read">
      <span class="faint">${atMs[at] ? clock(atMs[at]) : "–"}</span>
      ${lines.map((line, index) => html`<span><i class=${`swatch c-${(index % 8) + 1}`}></i>${lines.length > 1 || line.label ? `${line.label} ` : ""}<b class="strong">${write(line.values[at])}</b></span>`)}
      ${band ? html`<span><i class="swatch band"></i>${t("chart.expected")} ${write(band.low[at])} … ${write(band.high[at])}</span>` : null}
    </figcaption>
    <div class="plot" ref=${(node) => {
      place.current = node;
      if (node) node.style.height = `${height}px`;
    }} role="img" aria-label=${label ?? describe(lines, atMs, write)}></div>
  </figure>`;
}

function lastKnown(lines, count) {
  for (let index = count - 1; index >= 0; index -= 1) if (lines.some((line) => line.values[index] != null)) return index;
  return count - 1;
}

function describe(lines, atMs, write) {
  if (!atMs.length) return t("chart.empty");
  return lines
    .map((line) => {
      const known = line.values.filter((value) => value != null);
      return t("chart.described", { name: line.label || "", low: write(Math.min(...known)), high: write(Math.max(...known)), from: stamp(atMs[0]), to: stamp(atMs.at(-1)) });
    })
    .join("; ");
}

function settings({ box, lines, band, height, write, sync, extras, onCursor }) {
  const bandAt = lines.length + 1;
  const axis = { font: FONT, stroke: colour("--ink-3"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(120, box.clientWidth),
    height,
    ms: 1,
    padding: [20, 24, 0, 0], // room above for the words of marks, and at the right for half of the last label
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 7 },
      drag: { x: false, y: false, setScale: false },
      ...(sync ? { sync: { key: sync } } : {}),
    },
    scales: { x: { time: true }, y: { range: (_, low, high) => bounds(low, high) } },
    axes: [
      { ...axis, space: 70, size: 26, values: (_, splits, __, ___, step) => splits.map((ms) => tickText(ms, step)) },
      { ...axis, size: (_, texts) => wide(texts), space: 36, values: (_, splits) => splits.map(write) },
    ],
    series: [
      {},
      ...lines.map((line, index) => ({
        label: line.label,
        stroke: colour(`--line-${(index % 8) + 1}`),
        width: 1.6,
        points: { show: false },
        spanGaps: false,
      })),
      ...(band ? [low(colour("--band-edge")), low(colour("--band-edge"))] : []),
    ],
    bands: band ? [{ series: [bandAt + 1, bandAt], fill: colour("--band") }] : [],
    hooks: {
      setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
      drawClear: [(plot) => drawSpans(plot, extras.current.spans)],
      draw: [
        (plot) => {
          if (band) drawOutside(plot, bandAt);
          drawMarks(plot, extras.current.marks);
          drawPointed(plot, extras.current);
        },
      ],
    },
  };
}

// Room for the longest text of an axis: a unit may be a word.
const wide = (texts) => Math.min(130, Math.max(48, 14 + 6.3 * Math.max(0, ...(texts ?? []).map((text) => text.length))));

const low = (stroke) => ({ stroke, width: 1, points: { show: false }, spanGaps: true });

// A flat line sits in the middle of its chart, and small wobbles are not blown up.
function bounds(low, high) {
  if (low == null || high == null) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : [Math.min(low * 0.9, low * 1.1), Math.max(low * 0.9, low * 1.1)];
  const room = (high - low) * 0.08;
  const floor = low >= 0 && low < (high - low) * 0.5 ? 0 : low - room;
  return [floor, high + room];
}

function tickText(ms, step) {
  const date = new Date(ms);
  if (step >= 86_400_000) return date.toLocaleDateString(locale(), { day: "numeric", month: "short" });
  const time = date.toLocaleTimeString(locale(), step < 60_000 ? { hour: "2-digit", minute: "2-digit", second: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
  return date.getHours() === 0 && date.getMinutes() === 0 && step >= 3_600_000 ? date.toLocaleDateString(locale(), { day: "numeric", month: "short" }) : time;
}

// What lies above or below the band is drawn over in another colour, with a dot where it left.
function drawOutside(plot, bandAt) {
  const [x, values, lower, upper] = [plot.data[0], plot.data[1], plot.data[bandAt], plot.data[bandAt + 1]];
  const ratio = devicePixelRatio;
  plot.ctx.save();
  plot.ctx.fillStyle = colour("--critical");
  plot.ctx.strokeStyle = colour("--critical");
  plot.ctx.lineWidth = 1.8 * ratio;
  const [from, to] = [plot.scales.x.min, plot.scales.x.max];
  let last = null; // the point before, if it lay outside
  for (let index = 0; index < x.length; index += 1) {
    const value = values[index];
    const outside = value != null && ((upper[index] != null && value > upper[index]) || (lower[index] != null && value < lower[index]));
    if (!outside || x[index] < from || x[index] > to) {
      last = null;
      continue;
    }
    const point = [plot.valToPos(x[index], "x", true), plot.valToPos(value, "y", true)];
    plot.ctx.beginPath();
    if (last) {
      plot.ctx.moveTo(...last);
      plot.ctx.lineTo(...point);
      plot.ctx.stroke();
    } else {
      plot.ctx.arc(...point, 2.6 * ratio, 0, 2 * Math.PI);
      plot.ctx.fill();
    }
    last = point;
  }
  plot.ctx.restore();
}

function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.lineWidth = ratio;
  for (const { atMs, text, look = "--critical" } of marks) {
    if (atMs < plot.scales.x.min || atMs > plot.scales.x.max) continue;
    const x = Math.round(plot.valToPos(atMs, "x", true)) + 0.5;
    ctx.strokeStyle = colour(look);
    ctx.fillStyle = colour(look);
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(text).width;
    const right = x + 6 * ratio + width < bbox.left + bbox.width;
    ctx.textAlign = right ? "left" : "right";
    ctx.fillText(text, x + (right ? 5 : -5) * ratio, bbox.top - 6 * ratio);
  }
  ctx.restore();
}

// The moment pointed at elsewhere; its time is left out where the words of a mark stand already.
function drawPointed(plot, { pointed: atMs, marks }) {
  if (!atMs) return;
  const room = (plot.scales.x.max - plot.scales.x.min) / 6;
  const crowded = marks.some((mark) => Math.abs(mark.atMs - atMs) < room);
  drawMarks(plot, [{ atMs, text: crowded ? "" : clock(atMs), look: "--accent" }]);
}

function drawSpans(plot, spans) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour("--critical-soft");
  for (const { startMs, endMs } of spans) {
    const left = Math.max(bbox.left, plot.valToPos(startMs, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(endMs, "x", true));
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

// A line of the last values, without axes; `values` may hold nulls.
export function Spark({ values, label }) {
  const known = values.filter((value) => value != null);
  if (known.length < 2) return html`<svg class="spark" viewBox="0 0 100 36" aria-hidden="true"><path d="M0 35H100" class="flat" /></svg>`;
  const low = Math.min(...known, 0 < Math.min(...known) && Math.min(...known) < (Math.max(...known) - Math.min(...known)) * 0.5 ? 0 : Math.min(...known));
  const size = Math.max(...known) - low || 1;
  const point = (value, index) => `${((index / (values.length - 1)) * 100).toFixed(2)} ${(34 - ((value - low) / size) * 32).toFixed(2)}`;
  let path = "";
  let pen = "M";
  values.forEach((value, index) => {
    if (value == null) {
      pen = "M";
      return;
    }
    path += `${pen}${point(value, index)}`;
    pen = "L";
  });
  const whole = known.length === values.length;
  return html`<svg class="spark" viewBox="0 0 100 36" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${whole ? html`<path class="area" d=${`${path}L100 36L0 36Z`} />` : null}<path d=${path} />
  </svg>`;
}
