import { html, useEffect, useRef, useState } from "../lib/html.js";
import { post } from "../lib/api.js";
import { count, seconds } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Card, Copy, Empty, Failure, Icon, PageHead } from "../ui/parts.js";

const EXAMPLES = [
  ["sql.example.metrics", "SELECT metric, count() AS series\nFROM series\nGROUP BY metric\nORDER BY series DESC\nLIMIT 50"],
  ["sql.example.logs", "SELECT *\nFROM logs\nORDER BY at DESC\nLIMIT 50"],
  ["sql.example.minutes", "SELECT toStartOfMinute(at) AS minute, count() AS samples\nFROM samples\nWHERE hour >= toStartOfHour(now() - INTERVAL 1 HOUR) AND at > now() - INTERVAL 30 MINUTE\nGROUP BY minute\nORDER BY minute"],
  ["sql.example.spans", "SELECT service, name, count() AS spans, quantile(0.99)(duration_ns) / 1e6 AS p99_ms\nFROM spans\nWHERE hour >= toStartOfHour(now() - INTERVAL 1 HOUR)\nGROUP BY service, name\nORDER BY p99_ms DESC\nLIMIT 50"],
];
const ROWS_MAX = 1000;

export function Sql() {
  const { query: asked } = useStore(route);
  const [text, setText] = useState(asked.q ?? EXAMPLES[0][1]);
  const [answer, setAnswer] = useState({ state: "none" });
  const box = useRef(null);
  const run = async () => {
    setAnswer({ state: "running" });
    const begun = performance.now();
    try {
      const body = await post("/sql", { query: text });
      setAnswer({ state: "done", body, tookS: (performance.now() - begun) / 1000 });
      refine({ q: text });
    } catch (error) {
      if (error.status === undefined) throw error;
      setAnswer({ state: "failed", error });
    }
  };
  useEffect(() => setText(asked.q ?? text), [asked.q]);
  const keys = (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      run();
    }
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.sql")} lead=${t("sql.lead")} />
    <div class="stack">
      <${Card} label=${t("nav.sql")}><div class="card-body stack">
        <textarea class="input mono" rows="8" spellcheck="false" ref=${box} aria-label=${t("sql.query")} value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
        <div class="filters">
          <button class="button primary" disabled=${answer.state === "running" || !text.trim()} onClick=${run}><${Icon} name="play" />${answer.state === "running" ? t("sql.running") : t("sql.run")}<kbd>Ctrl ↵</kbd></button>
          ${EXAMPLES.map(([key, sql]) => html`<button class="button bare small" onClick=${() => setText(sql)}>${t(key)}</button>`)}
        </div>
      </div><//>
      ${answer.state === "failed" ? html`<${Failure} error=${answer.error} />` : null}
      ${answer.state === "done" ? html`<${Result} ...${answer} />` : null}
    </div>
  </div>`;
}

const shown = (value) => (value === null || value === undefined ? "NULL" : typeof value === "object" ? JSON.stringify(value) : String(value));

function Result({ body, tookS }) {
  const columns = body.columns;
  const rows = body.rows;
  const tsv = () => [columns, ...rows.map((row) => row.map(shown))].map((row) => row.join("\t")).join("\n");
  return html`<${Card} title=${t("sql.result")} aside=${t("sql.took", { count: count(rows.length), time: seconds(tookS) })} actions=${html`<${Copy} text=${tsv()} />`}>
    ${body.truncated ? html`<p class="card-body soft">${t("sql.truncated", { count: count(rows.length) })}</p>` : null}
    ${rows.length
      ? html`<div class="table-wrap tall"><table class="list grid"><thead><tr>${columns.map((name) => html`<th>${name}</th>`)}</tr></thead>
          <tbody>${rows.slice(0, ROWS_MAX).map((row) => html`<tr>${row.map((value) => html`<td class=${typeof value === "number" ? "end" : value === null ? "faint" : ""}>${shown(value)}</td>`)}</tr>`)}</tbody></table></div>`
      : html`<${Empty} small icon="sql" title=${t("sql.empty")} />`}
  <//>`;
}
