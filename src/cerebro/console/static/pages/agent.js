import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { short, writer } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { Chart } from "../ui/chart.js";
import { Answer, Card, Empty, PageHead, Time } from "../ui/parts.js";

// A page that an agent describes in its manifest: a title and panels, each a question to the API and a way to show it.
export function AgentPage({ path }) {
  const agents = useApi("/agents", { every: 120 });
  return html`<div class="page"><${Answer} of=${agents}>
    ${(data) => {
      const page = items(data).flatMap((agent) => agent.pages ?? []).find((one) => one.path === path);
      if (!page) return html`<${PageHead} title=${t("missing.title")} /><${Empty} icon="agents" title=${t("agent.no_page")} />`;
      return html`<${PageHead} title=${page.title} lead=${page.lead} /><div class="panels">${(page.panels ?? []).map((panel, index) => html`<${Panel} key=${index} panel=${panel} />`)}</div>`;
    }}
  <//></div>`;
}

const KINDS = { figure: Figure, table: Table, chart: Lines, text: Text };

// Panels ask the API and nothing else: an address elsewhere is not followed.
const address = (text) => (typeof text === "string" && /^\/api\/v1\/[\w/?&=.,%:-]*$/.test(text) ? text.slice("/api/v1".length) : "");

function Panel({ panel }) {
  const answer = useApi(address(panel.source), { every: Math.max(5, Number(panel.every_s) || 30) });
  const Shape = KINDS[panel.kind] ?? Unknown;
  return html`<${Card} title=${panel.title} >
    ${panel.source ? html`<${Answer} of=${answer}>${(data) => html`<${Shape} panel=${panel} data=${pluck(data, panel.field)} />`}<//>` : html`<${Shape} panel=${panel} data=${panel.data} />`}
  <//>`;
}

const pluck = (data, field) => (field ? String(field).split(".").reduce((value, name) => value?.[name], data) : data);
const cell = (value, kind) => (value == null ? "–" : kind === "time" ? html`<${Time} ms=${value} />` : typeof value === "number" ? short(value) : typeof value === "object" ? JSON.stringify(value) : String(value));

function Figure({ panel, data }) {
  return html`<div class="card-body figure"><span class="value">${typeof data === "number" ? writer("", panel.unit ?? "")(data) : String(data ?? "–")}</span><span class="label">${panel.label ?? ""}</span></div>`;
}

function Text({ panel }) {
  return html`<p class="card-body soft">${panel.text}</p>`;
}

function Table({ panel, data }) {
  const rows = items(data);
  const columns = panel.columns ?? Object.keys(rows[0] ?? {}).map((name) => ({ field: name, title: name }));
  if (!rows.length) return html`<${Empty} small icon="agents" title=${panel.empty ?? t("agent.empty")} />`;
  return html`<div class="table-wrap"><table class="list"><thead><tr>${columns.map((column) => html`<th>${column.title ?? column.field}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${columns.map((column) => html`<td>${cell(pluck(row, column.field), column.kind)}</td>`)}</tr>`)}</tbody></table></div>`;
}

function Lines({ panel, data }) {
  const atMs = data?.at_ms ?? [];
  if (!atMs.length) return html`<${Empty} small icon="series" title=${panel.empty ?? t("agent.empty")} />`;
  const lines = (panel.lines ?? [{ field: "value", title: "" }]).map((line) => ({ label: line.title, values: data[line.field] ?? [] }));
  return html`<div class="card-body"><${Chart} atMs=${atMs} lines=${lines} band=${data.low && data.high ? { low: data.low, high: data.high } : undefined} unit=${panel.unit ?? ""} metric=${panel.metric ?? ""} /></div>`;
}

function Unknown({ panel }) {
  return html`<${Empty} small icon="agents" title=${t("agent.unknown_panel", { kind: String(panel.kind) })} />`;
}

