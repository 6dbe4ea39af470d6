// One piece of evidence: the sentence it proves, the picture, and the query anyone can run.
import { html, useMemo } from "../lib/html.js";
import { may } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { go } from "../lib/router.js";
import { Chart } from "./chart.js";
import { Copy, Icon, Time } from "./parts.js";

const list = (value) => (Array.isArray(value) ? value.map((one) => (one === null || Number.isFinite(one) ? one : null)) : null);

// The columns of an evidence's sample that can be drawn; null when it holds none.
export function drawing(sample) {
  const atMs = list(sample?.at_ms);
  const values = list(sample?.value);
  if (!atMs || !values || !atMs.length || atMs.length !== values.length) return null;
  const [low, high] = [list(sample.low), list(sample.high)];
  const band = low && high && low.length === atMs.length && high.length === atMs.length ? { low, high } : undefined;
  return { atMs, values, band };
}

export function Evidence({ evidence, finding, height = 190 }) {
  const drawn = useMemo(() => drawing(evidence.sample), [evidence]);
  const lines = useMemo(() => (drawn ? [{ label: "", values: drawn.values }] : []), [drawn]);
  const marks = finding ? [{ atMs: finding.at_ms, text: t("chart.left") }] : [];
  return html`<div class="evidence">
    <p>${evidence.sentence}</p>
    ${drawn
      ? html`<${Chart} atMs=${drawn.atMs} lines=${lines} band=${drawn.band} marks=${marks} metric=${evidence.sample.metric ?? finding?.signal ?? ""} unit=${evidence.sample.unit ?? ""} height=${height} label=${evidence.sentence} />`
      : null}
    <${Query} evidence=${evidence} />
  </div>`;
}

export const Query = ({ evidence }) => html`<details class="query">
  <summary>${t("evidence.query")}</summary>
  <div class="stack">
    <div class="snippet"><pre tabindex="0">${evidence.query}</pre><${Copy} text=${evidence.query} /></div>
    <p class="hint">${t("evidence.window")} <${Time} ms=${evidence.start_ms} exact /> – <${Time} ms=${evidence.end_ms} exact />. ${t("evidence.digest")} <code title=${evidence.digest}>${(evidence.digest ?? "").slice(0, 12)}</code></p>
    ${may("operate") && evidence.engine === "clickhouse"
      ? html`<p><button class="button small" onClick=${() => go(`/sql?q=${encodeURIComponent(evidence.query)}`)}><${Icon} name="play" />${t("evidence.run")}</button></p>`
      : null}
  </div>
</details>`;
