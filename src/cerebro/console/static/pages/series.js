import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { Problem, get, query, useApi } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Chart } from "../ui/chart.js";
import { Answer, Card, Chips, Empty, Failure, PageHead } from "../ui/parts.js";

const WINDOWS = { "15m": 900, "1h": 3600, "6h": 21_600, "1d": 86_400, "7d": 604_800 };
const LINES_MAX = 8;

export const labelText = (labels) =>
  Object.entries(labels ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");

export function Series() {
  const { query: asked } = useStore(route);
  const window = asked.w in WINDOWS ? asked.w : "1h";
  const found = useApi(`/series${query({ q: asked.q, entity: asked.entity, limit: 200 })}`, { every: 300 });
  const all = items(found.data);
  const chosen = useMemo(() => pick(all, asked), [found.data, asked.hi, asked.lo, asked.more]);
  const [words, setWords] = useState(asked.q ?? "");
  useEffect(() => {
    const later = setTimeout(() => words !== (asked.q ?? "") && refine({ q: words, hi: "", lo: "", more: "" }), 250);
    return () => clearTimeout(later);
  }, [words]);
  const turn = (one) => {
    const key = `${one.hi}:${one.lo}`;
    const keys = chosen.map((series) => `${series.hi}:${series.lo}`);
    const next = keys.includes(key) ? keys.filter((other) => other !== key) : [...keys, key].slice(-LINES_MAX);
    refine({ more: next.join(","), hi: "", lo: "" });
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.series")} lead=${t("series.lead")}><${Chips} label=${t("series.window")} value=${window} options=${Object.keys(WINDOWS).map((name) => [name, t(`window.${name}`)])} onChange=${(w) => refine({ w })} /><//>
    <div class="filters" role="search">
      <input class="input search" type="search" placeholder=${t("series.search")} aria-label=${t("series.search")} value=${words} onInput=${(event) => setWords(event.target.value)} />
      ${asked.entity ? html`<button class="button small" onClick=${() => refine({ entity: "" })}>${asked.entity} ×</button>` : null}
    </div>
    <div class="stack">
      <${Card} label=${t("series.chart")}><div class="card-body">${chosen.length ? html`<${Plot} series=${chosen} lengthS=${WINDOWS[window]} />` : html`<${Empty} small icon="series" title=${t("series.choose")} />`}</div><//>
      <${Card} title=${t("series.found")} aside=${found.data ? t("series.count", { count: all.length }) : ""}>
        <${Answer} of=${found} bones=${6}>
          ${() =>
            all.length
              ? html`<ul class="rows">${all.map((one) => {
                  const index = chosen.findIndex((series) => series.hi === one.hi && series.lo === one.lo);
                  return html`<li key=${`${one.hi}:${one.lo}`}><label class="row"><input type="checkbox" checked=${index >= 0} onChange=${() => turn(one)} />
                    <span class="row-text"><span class="mono">${index >= 0 ? html`<i class=${`swatch-dot c-${index + 1}`}></i>` : null}${one.metric}</span><span class="row-note faint">${labelText(one.labels)}</span></span>
                    <span class="row-end faint">${one.type === "unknown" ? "" : one.type} ${one.unit}</span></label></li>`;
                })}</ul>`
              : html`<${Empty} icon="series" title=${asked.q ? t("cases.none_fit") : t("series.none")}><p><a class="button" href="/connect">${t("nav.connect")}</a></p><//>`}
        <//>
      <//>
    </div>
  </div>`;
}

function pick(all, asked) {
  const keys = asked.more ? asked.more.split(",") : asked.hi ? [`${asked.hi}:${asked.lo}`] : [];
  return keys.map((key) => all.find((one) => `${one.hi}:${one.lo}` === key)).filter(Boolean);
}

function Plot({ series, lengthS }) {
  const [state, setState] = useState({ data: null, error: null });
  const names = series.map((one) => `${one.hi}:${one.lo}`).join(",");
  useEffect(() => {
    const abort = new AbortController();
    const read = async () => {
      const end = Date.now();
      const window = { start_ms: end - lengthS * 1000, end_ms: end, points: 600 };
      try {
        const single = series.length === 1;
        const band = single ? await expected(series[0], window, abort.signal) : null;
        // The band comes with the points that it judges: of a counter its rate.
        const points = band ? [band] : await Promise.all(series.map((one) => get(`/series/points${query({ hi: one.hi, lo: one.lo, ...window })}`, abort.signal)));
        setState({ data: joined(points, series, band), rate: band?.reading === "rate", error: null });
      } catch (error) {
        if (abort.signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        setState((before) => ({ ...before, error }));
      }
    };
    read();
    const timer = setInterval(() => document.hidden || read(), Math.max(10_000, lengthS * 2));
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [names, lengthS]);
  const units = new Set(series.map((one) => one.unit));
  const unit = units.size === 1 ? series[0].unit + (state.rate ? "/s" : "") : "";
  return html`${state.error ? html`<${Failure} error=${state.error} />` : null}
    ${state.data && !state.data.atMs.length ? html`<${Empty} small icon="series" title=${t("chart.empty")} />` : state.data
      ? html`<${Chart} ...${state.data} metric=${series[0].metric} unit=${unit} height=${300} />`
      : html`<span class="bone tall"></span>`}`;
}

// The band that the detector expects; there is none for a series it does not watch yet.
async function expected(one, window, signal) {
  try {
    const band = await get(`/support/band${query({ series: `${one.hi}-${one.lo}`, start_ms: window.start_ms, end_ms: window.end_ms })}`, signal);
    return band.at_ms.length ? band : null;
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}

// Several series on one axis of time.
function joined(points, series, band) {
  const atMs = [...new Set([...points.flatMap((one) => one.at_ms ?? []), ...(band?.at_ms ?? [])])].sort((a, b) => a - b);
  const place = new Map(atMs.map((ms, index) => [ms, index]));
  const spread = (times, values) => {
    const column = new Array(atMs.length).fill(null);
    times.forEach((ms, index) => (column[place.get(ms)] = values[index]));
    return column;
  };
  const same = new Set(series.map((one) => one.metric)).size === 1;
  return {
    atMs,
    lines: points.map((one, index) => ({ label: series.length === 1 ? "" : same ? labelText(series[index].labels) : series[index].metric, values: spread(one.at_ms ?? [], one.value ?? []) })),
    band: band?.at_ms?.length ? { low: spread(band.at_ms, band.low), high: spread(band.at_ms, band.high) } : undefined,
  };
}
