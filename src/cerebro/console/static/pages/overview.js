import { html } from "../lib/html.js";
import { session, useApi } from "../lib/api.js";
import { seconds, short } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { entity, entityHref, items, live, rank, severity, SEVERITIES } from "../lib/model.js";
import { useStore } from "../lib/store.js";
import { BudgetFigure } from "./budget.js";
import { EngineRows } from "./engines.js";
import { Spark } from "../ui/chart.js";
import { Answer, Card, Empty, Glyph, PageHead, Person, Severity, State, Time } from "../ui/parts.js";

const CASES_MAX = 7;
const TILES_MAX = 120;

export function Overview() {
  const cases = useApi("/cases?live=true&limit=200", { every: 30, kinds: "case" });
  const entities = useApi("/entities?limit=500", { every: 20, kinds: "case" });
  const findings = useApi("/findings?limit=8", { every: 30, kinds: "finding" });
  const engines = useApi("/engines", { every: 15 });
  const agents = useApi("/agents", { every: 30 });
  const budget = useApi("/budget", { every: 60, kinds: "finding" });
  const intake = useApi("/intake", { every: 10, kinds: "gauge" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.overview")} />
    <div class="overview">
      <div class="stack">
        <${OpenCases} cases=${cases} />
        <${Health} entities=${entities} />
        <${Card} title=${t("overview.findings")} actions=${html`<a class="button bare small" href="/findings">${t("do.all")}</a>`}>
          <${Answer} of=${findings}>${(data) => (items(data).length ? html`<ul class="rows">${items(data).map((one) => html`<${FindingRow} key=${one.id} finding=${one} />`)}</ul>` : html`<${Empty} small icon="findings" title=${t("findings.empty.title")}><p>${t("findings.empty.text")}</p><//>`)}<//>
        <//>
      </div>
      <div class="stack">
        <${Ingest} intake=${intake} />
        <${Card} title=${t("nav.budget")} actions=${html`<a class="button bare small" href="/budget">${t("do.details")}</a>`}>
          <${Answer} of=${budget} bones=${3}>${(data) => html`<div class="card-body"><${BudgetFigure} budget=${data} /></div>`}<//>
        <//>
        <${Card} title=${t("nav.engines")} actions=${html`<a class="button bare small" href="/engines">${t("do.details")}</a>`}>
          <${Answer} of=${engines} bones=${3}>${(data) => html`<${EngineRows} engines=${items(data)} />`}<//>
        <//>
        <${Card} title=${t("nav.group.agents")}><${Answer} of=${agents} bones=${2}>${(data) => html`<${Agents} agents=${items(data)} />`}<//><//>
      </div>
    </div>
  </div>`;
}

function OpenCases({ cases }) {
  const { me } = useStore(session);
  return html`<${Card} title=${t("overview.cases")} actions=${html`<a class="button bare small" href="/cases">${t("do.all")}</a>`}>
    <${Answer} of=${cases} bones=${5}>
      ${(data) => {
        const open = items(data)
          .filter(live)
          .sort((a, b) => rank(b.severity) - rank(a.severity) || (a.began_ms || a.opened_ms) - (b.began_ms || b.opened_ms));
        const tally = (level) => open.filter((one) => severity(one.severity) === level).length;
        return html`<div class="tallies">
            ${SEVERITIES.slice(1)
              .reverse()
              .map((level) => html`<a class=${`tally-cell${tally(level) ? ` s-${level}` : " faint"}`} href=${`/cases?severity=${level}`}><span class="value">${tally(level)}</span><span class="what"><${Glyph} level=${level} />${word("severity", level)}</span></a>`)}
          </div>
          ${open.length
            ? html`<ul class="rows">${open.slice(0, CASES_MAX).map((one) => html`<${CaseRow} key=${one.id} one=${one} me=${me?.name} />`)}</ul>
                ${open.length > CASES_MAX ? html`<p class="rows-more"><a href="/cases">${t("overview.more_cases", { count: open.length - CASES_MAX })}</a></p>` : null}`
            : html`<${Empty} small title=${t("overview.calm.title")}><p>${t("overview.calm.text")}</p><//>`}`;
      }}
    <//>
  <//>`;
}

const CaseRow = ({ one, me }) => html`<li><a class="row" href=${`/cases/${one.id}`}>
  <${Severity} value=${one.severity} bare />
  <span class="row-text"><span class="strong">${one.title}</span><span class="row-note"><${State} value=${one.state} /><${Person} name=${one.assignee || one.acknowledged_by} me=${me} /></span></span>
  <span class="soft row-end"><${Time} ms=${one.began_ms || one.opened_ms} /></span>
</a></li>`;

const FindingRow = ({ finding }) => html`<li><a class="row" href=${finding.case ? `/cases/${finding.case}` : `/findings/${finding.id}`}>
  ${finding.cleared ? html`<${Glyph} level="good" />` : html`<${Severity} value=${finding.severity} bare />`}
  <span class="row-text">${finding.title}</span>
  <span class="soft row-end"><${Time} ms=${finding.at_ms} /></span>
</a></li>`;

function Health({ entities }) {
  const count = entities.data ? items(entities.data).length : 0;
  return html`<${Card} title=${t("overview.health")} aside=${count ? t("overview.entities", { count }) : ""} actions=${html`<a class="button bare small" href="/entities">${t("do.all")}</a>`}>
    <${Answer} of=${entities} bones=${4}>
      ${(data) => {
        const all = items(data);
        if (!all.length) {
          return html`<${Empty} small icon="connect" title=${t("entities.empty.title")}><p>${t("entities.empty.text")}</p><p><a class="button primary" href="/connect">${t("nav.connect")}</a></p><//>`;
        }
        const kinds = [...new Set(all.map((one) => entity(one).kind))].sort((a, b) => KIND_ORDER.indexOf(b) - KIND_ORDER.indexOf(a) || a.localeCompare(b));
        return html`<div class="card-body stack">
          ${kinds.map((kind) => html`<${Tiles} key=${kind} kind=${kind} all=${all.filter((one) => entity(one).kind === kind)} />`)}
        </div>`;
      }}
    <//>
  <//>`;
}
const KIND_ORDER = ["process", "database", "queue", "host", "service"];

function Tiles({ kind, all }) {
  const sorted = [...all].sort((a, b) => rank(b.severity ?? 0) - rank(a.severity ?? 0) || entity(a).name.localeCompare(entity(b).name));
  return html`<section><h3 class="tiles-head">${word("kinds", kind)} <span class="faint">${all.length}</span></h3>
    <ul class="tiles">
      ${sorted.slice(0, TILES_MAX).map((one) => {
        const level = health(one);
        return html`<li><a class=${`tile t-${level}`} href=${entityHref(one)} title=${`${entity(one).text}: ${level === "good" ? t("health.good") : level === "unknown" ? t("health.unknown") : word("severity", level)}`}>
          <${Glyph} level=${level} /><span>${entity(one).name}</span></a></li>`;
      })}
    </ul></section>`;
}

export function health(one) {
  const level = severity(one.severity ?? one.health ?? "");
  if (SEVERITIES.includes(level) && level) return level;
  return level === "unknown" || level === "silent" ? "unknown" : "good";
}

function Ingest({ intake }) {
  return html`<${Card} title=${t("overview.ingest")} actions=${html`<a class="button bare small" href="/connect">${t("nav.connect")}</a>`}>
    <${Answer} of=${intake} bones=${3}>
      ${(data) => html`<div class="card-body stack">
        <div class="pair">
          <div class="figure"><span class="value s">${short(data.samples_per_s ?? 0)}</span><span class="label">${t("intake.samples_per_s")}</span></div>
          <div class="figure"><span class="value s">${short(data.series_count ?? 0)}</span><span class="label">${t("intake.series")}</span></div>
          <div class="figure"><span class="value s">${data.lag_s == null ? "–" : seconds(data.lag_s)}</span><span class="label">${t("intake.lag")}</span></div>
        </div>
        <${Spark} values=${(data.history ?? []).map((point) => point.samples_per_s ?? point[1])} label=${t("intake.samples_per_s")} />
      </div>`}
    <//>
  <//>`;
}

const Agents = ({ agents }) =>
  agents.length
    ? html`<ul class="rows">${agents.map(
        (agent) => html`<li class="row plain"><${Glyph} level=${agent.healthy === false ? "major" : "good"} /><span class="row-text"><span class="strong">${agent.name}</span><span class="row-note faint">${agent.purpose}</span></span>
          <span class="row-end soft">${agent.lag_s == null ? "" : t("agent.behind", { lag: seconds(agent.lag_s) })}</span></li>`,
      )}</ul>`
    : html`<${Empty} small icon="agents" title=${t("agents.empty")} />`;

