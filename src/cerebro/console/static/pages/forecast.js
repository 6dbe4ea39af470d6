import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { query, useApi } from "../lib/api.js";
import { isShare, span, stamp, writer } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Chart } from "../ui/chart.js";
import { Answer, Card, Chips, Empty, PageHead } from "../ui/parts.js";

const HORIZONS = { "1h": 3600, "6h": 21_600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000 };
const AGGREGATES = ["sum", "avg", "max", "min"];
const PAST = 2; // as much history as this many horizons is drawn
const STEPS_MIN = 48;

// Where a metric is going: its history, its median ahead, the interval that holds eight times of ten.
export function Forecast() {
  const { query: asked } = useStore(route);
  const horizon = asked.h in HORIZONS ? asked.h : "1d";
  const aggregate = AGGREGATES.includes(asked.a) ? asked.a : isShare((asked.q ?? "").split("{")[0]) ? "avg" : "sum";
  const [selector, setSelector] = useState(asked.q ?? "");
  const [bound, setBound] = useState(asked.b ?? "");
  useEffect(() => {
    const later = setTimeout(() => (selector !== (asked.q ?? "") || bound !== (asked.b ?? "")) && refine({ q: selector, b: bound }), 500);
    return () => clearTimeout(later);
  }, [selector, bound]);
  const path = asked.q ? `/forecast${query({ selector: asked.q, horizon_s: HORIZONS[horizon], aggregate, bound: asked.b })}` : null;
  return html`<div class="page">
    <${PageHead} title=${t("nav.forecast")} lead=${t("forecast.lead")}><${Chips} label=${t("forecast.horizon")} value=${horizon} options=${Object.keys(HORIZONS).map((name) => [name, t(`forecast.${name}`)])} onChange=${(h) => refine({ h })} /><//>
    <div class="filters" role="search">
      <input class="input search mono" type="search" placeholder=${'system.filesystem.usage{device="/dev/sda1"}'} aria-label=${t("forecast.selector")} value=${selector} onInput=${(event) => setSelector(event.target.value)} />
      <input class="input" type="number" step="any" placeholder=${t("forecast.bound")} aria-label=${t("forecast.bound")} value=${bound} onInput=${(event) => setBound(event.target.value)} />
      <${Chips} label=${t("forecast.aggregate")} value=${aggregate} options=${AGGREGATES.map((name) => [name, t(`forecast.${name}`)])} onChange=${(a) => refine({ a })} />
    </div>
    <${Card} label=${t("nav.forecast")}><div class="card-body">
      ${path ? html`<${Ahead} path=${path} selector=${asked.q} />` : html`<${Empty} icon="series" title=${t("forecast.choose")}><p class="soft">${t("forecast.choose.text")}</p><${Examples} onTake=${setSelector} /><//>`}
    </div><//>
  </div>`;
}

// What fills up: of the metrics that are really there, those that have a limit.
function Examples({ onTake }) {
  const found = useApi("/series?q=utilization&limit=200", { every: 600 });
  const metrics = [...new Set(items(found.data).map((one) => one.metric))].filter((metric) => !metric.includes(":") && !metric.startsWith("process.")).slice(0, 6);
  return metrics.length ? html`<p class="action-deeds">${metrics.map((metric) => html`<button type="button" class="button small mono" onClick=${() => onTake(metric)}>${metric}</button>`)}</p>` : null;
}

function Ahead({ path, selector }) {
  const found = useApi(path, { every: 300 });
  return html`<${Answer} of=${found} bones=${5}>${(data) => html`<${Outlook} data=${data} selector=${selector} />`}<//>`;
}

function Outlook({ data, selector }) {
  const drawn = useMemo(() => columns(data), [data]);
  const metric = selector.split("{")[0];
  return html`<div class="stack">
    <${Chart} atMs=${drawn.atMs} lines=${[{ label: t("forecast.was"), values: drawn.was }, { label: t("forecast.median"), values: drawn.median }]} band=${drawn.band} metric=${metric} height=${280} />
    ${data.reason ? html`<p class="soft">${t("forecast.not_yet")}</p>` : null}
    ${data.reaches ? html`<${Reaches} of=${data.reaches} now=${data.at_ms.at(-1)} metric=${metric} />` : null}
    ${data.reason ? null : html`<p class="hint">${t("forecast.hint")}</p>`}
  </div>`;
}

function columns(data) {
  const ahead = data.ahead_ms.length;
  const kept = Math.min(data.at_ms.length, Math.max(STEPS_MIN, ahead * PAST));
  const empty = (count) => new Array(count).fill(null);
  const joined = (name) => [...empty(kept - 1), data.value.at(-1), ...data.quantiles[name]];
  return {
    atMs: [...data.at_ms.slice(-kept), ...data.ahead_ms],
    was: [...data.value.slice(-kept), ...empty(ahead)],
    median: ahead ? joined("0.5") : empty(kept),
    band: ahead ? { low: joined("0.1"), high: joined("0.9") } : null,
  };
}

function Reaches({ of, now, metric }) {
  const said = (ms) => (ms ? `${stamp(ms)} (${t("forecast.in", { span: span(ms - now) })})` : t("forecast.never"));
  return html`<dl class="facts">
    <dt>${t("forecast.reaches", { bound: writer(metric, "")(of.bound) })}</dt><dd><b>${said(of.likely_ms)}</b></dd>
    <dt>${t("forecast.earliest")}</dt><dd>${said(of.earliest_ms)}</dd>
    <dt>${t("forecast.latest")}</dt><dd>${said(of.latest_ms)}</dd>
  </dl>`;
}
