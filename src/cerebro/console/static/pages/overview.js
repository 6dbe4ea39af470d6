import { html } from "../lib/html.js";
import { session, useApi } from "../lib/api.js";
import { count, short } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { entity, entityHref, items, live, rank, severity, SEVERITIES } from "../lib/model.js";
import { useStore } from "../lib/store.js";
import { BudgetFigure } from "./budget.js";
import { AgentRows, EngineRows } from "./engines.js";
import { Spark } from "../ui/chart.js";
import { DrillStrip } from "../ui/drill.js";
import { CaseRows, FindingRows } from "../ui/lists.js";
import { Answer, Card, Empty, Glyph, PageHead } from "../ui/parts.js";

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
  const first = useApi("/overview", { every: 30, kinds: "case" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.overview")} />
    <${DrillStrip} />
    <div class="overview">
      <div class="stack">
        <${OpenCases} cases=${cases} />
        <${Health} entities=${entities} />
        <${Card} title=${t("overview.findings")} actions=${html`<a class="button bare small" href="/findings">${t("do.all")}</a>`}>
          <${Answer} of=${findings}>${(data) => (items(data).length ? html`<${FindingRows} findings=${items(data)} />` : html`<${Empty} small icon="findings" title=${t("findings.empty.title")}><p>${t("findings.empty.text")}</p><//>`)}<//>
        <//>
      </div>
      <div class="stack">
        <${Ingest} intake=${intake} first=${first.data} engines=${engines.data} budget=${budget.data} />
        <${Card} title=${t("nav.budget")} actions=${html`<a class="button bare small" href="/budget">${t("do.details")}</a>`}>
          <${Answer} of=${budget} bones=${3}>${(data) => html`<div class="card-body"><${BudgetFigure} budget=${data} /></div>`}<//>
        <//>
        <${Card} title=${t("nav.engines")} actions=${html`<a class="button bare small" href="/engines">${t("do.details")}</a>`}>
          <${Answer} of=${engines} bones=${3}>${(data) => html`<${EngineRows} engines=${items(data)} />`}<//>
        <//>
        <${Card} title=${t("nav.group.agents")}><${Answer} of=${agents} bones=${2}>${(data) => html`<${AgentRows} agents=${items(data)} />`}<//><//>
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
            ? html`<${CaseRows} cases=${open.slice(0, CASES_MAX)} me=${me?.name} />
                ${open.length > CASES_MAX ? html`<p class="rows-more"><a href="/cases">${t("overview.more_cases", { count: open.length - CASES_MAX })}</a></p>` : null}`
            : html`<${Empty} small title=${t("overview.calm.title")}><p>${t("overview.calm.text")}</p><//>`}`;
      }}
    <//>
  <//>`;
}

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
  return one.health || "unknown";
}

// Samples whatever way they came; and how many messages the recorder has yet to store.
function Ingest({ intake, first, engines, budget }) {
  // What this machine tells of itself comes through no door: the detector counts it, the doors do not.
  const watched = (budget?.detectors?.metrics?.watching ?? budget?.watching ?? 0) + (budget?.detectors?.metrics?.learning ?? budget?.learning ?? 0);
  const minutes = first?.ingest?.minutes ?? [];
  const rate = first?.ingest?.samples_per_s;
  const waiting = (engines?.streams ?? []).map((stream) => stream.readers?.recorder).filter((lag) => lag != null);
  return html`<${Card} title=${t("overview.ingest")} actions=${html`<a class="button bare small" href="/connect">${t("nav.connect")}</a>`}>
    <${Answer} of=${intake} bones=${3}>
      ${(data) => html`<div class="card-body stack">
        <div class="pair">
          <div class="figure"><span class="value s">${rate == null ? "–" : short(rate)}</span><span class="label">${t("intake.samples_per_s")}</span></div>
          <div class="figure"><span class="value s">${short(Math.max(data.series.count, watched))}</span><span class="label">${t("intake.series")}</span></div>
          <div class="figure"><span class="value s">${waiting.length ? count(Math.max(...waiting)) : "–"}</span><span class="label">${t("intake.lag")}</span></div>
        </div>
        <div class="spark-box"><${Spark} values=${minutes.slice(0, -1).map(([, samples]) => samples)} label=${t("intake.samples_per_minute")} /><p class="faint">${t("intake.samples_per_minute")}</p></div>
      </div>`}
    <//>
  <//>`;
}
