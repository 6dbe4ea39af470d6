// One piece of evidence: the sentence it proves, the picture, and the query anyone can run.
import { html, useMemo, useState } from "../lib/html.js";
import { may, post, query, useApi } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { go } from "../lib/router.js";
import { Chart } from "./chart.js";
import { Chips, Copy, Empty, Failure, Icon, Time, useDeed } from "./parts.js";

const SINCE_MS_MAX = 6 * 3_600_000;

const list = (value) => (Array.isArray(value) ? value.map((one) => (one === null || Number.isFinite(one) ? one : null)) : null);

// The columns that can be drawn, of an evidence's sample or of a band of the API; null when there are none.
export function drawing(sample) {
  const atMs = list(sample?.at_ms);
  const values = list(sample?.value);
  if (!atMs || !values || !atMs.length || atMs.length !== values.length) return null;
  const [low, high] = [list(sample.low), list(sample.high)];
  const band = low && high && low.length === atMs.length && high.length === atMs.length ? { low, high } : undefined;
  return { atMs, values, band };
}

// The evidence with its picture; pointing at a moment of it points everywhere on the page.
export function Evidence({ evidence, finding, height = 190 }) {
  const [later, setLater] = useState(false);
  const { sample } = evidence;
  const drawn = useMemo(() => drawing(sample), [evidence]);
  return html`<div class="evidence">
    <p>${evidence.sentence}</p>
    ${drawn && sample.series
      ? html`<div><${Chips} label=${t("series.window")} value=${later ? "later" : "then"} options=${[["then", t("evidence.then")], ["later", t("evidence.later")]]} onChange=${(choice) => setLater(choice === "later")} /></div>`
      : null}
    ${later ? html`<${Since} evidence=${evidence} finding=${finding} height=${height} />` : drawn ? html`<${Picture} drawn=${drawn} sample=${sample} finding=${finding} height=${height} label=${evidence.sentence} />` : null}
    <${Query} evidence=${evidence} />
  </div>`;
}

function Picture({ drawn, sample, finding, height, label }) {
  const lines = useMemo(() => [{ label: "", values: drawn.values }], [drawn]);
  const marks = finding ? [{ atMs: finding.at_ms, text: t(finding.cleared ? "chart.returned" : "chart.left"), look: finding.cleared ? "--good" : "--critical" }] : [];
  const unit = `${sample.unit ?? ""}${sample.reading === "rate" ? "/s" : ""}`;
  return html`<${Chart} atMs=${drawn.atMs} lines=${lines} band=${drawn.band} marks=${marks} metric=${sample.metric ?? finding?.signal ?? ""} unit=${unit} height=${height} label=${label} />`;
}

// The same series from the window of the evidence to now, or for some hours.
function Since({ evidence, finding, height }) {
  const [end] = useState(() => Math.min(Date.now(), evidence.end_ms + SINCE_MS_MAX));
  const answer = useApi(`/support/band${query({ series: evidence.sample.series, start_ms: evidence.start_ms, end_ms: Math.max(end, evidence.end_ms) })}`, { every: 3600 });
  const drawn = useMemo(() => drawing(answer.data), [answer.data]);
  if (answer.error && !answer.data) return html`<${Failure} error=${answer.error} retry=${answer.reload} />`;
  if (!answer.data) return html`<span class="bone tall"></span>`;
  if (!drawn) return html`<${Empty} small icon="series" title=${t("chart.empty")} />`;
  return html`<${Picture} drawn=${drawn} sample=${answer.data} finding=${finding} height=${height} />`;
}

export const Query = ({ evidence, open = false }) => html`<details class="query" open=${open}>
  <summary>${t("evidence.query")}</summary>
  <div class="stack">
    <div class="snippet"><pre tabindex="0">${evidence.query}</pre><${Copy} text=${evidence.query} /></div>
    <p class="hint">${t("evidence.window")} <${Time} ms=${evidence.start_ms} exact /> – <${Time} ms=${evidence.end_ms} exact />. ${t("evidence.digest")} <code title=${evidence.digest}>${(evidence.digest ?? "").slice(0, 12)}</code></p>
    ${may("operate") && evidence.engine === "clickhouse"
      ? html`<p><button class="button small" onClick=${() => go(`/sql?q=${encodeURIComponent(evidence.query)}`)}><${Icon} name="play" />${t("evidence.run")}</button></p>`
      : null}
  </div>
</details>`;

// What it was worth to people: the price of its like moves with it.
export function Worth({ finding }) {
  const [said, setSaid] = useState("");
  const [busy, run] = useDeed();
  if (!may("respond") || finding.cleared) return null;
  const tell = (verdict) => run(() => post(`/findings/${encodeURIComponent(finding.id)}/feedback`, { verdict }), t("feedback.thanks")).then(({ error }) => error || setSaid(verdict));
  return html`<p class="worth"><span class="soft">${t("feedback.ask")}</span>${["useful", "noise"].map((verdict) => html`<button class="button small" disabled=${busy} aria-pressed=${String(said === verdict)} onClick=${() => tell(verdict)}>${t(`feedback.${verdict}`)}</button>`)}</p>`;
}
