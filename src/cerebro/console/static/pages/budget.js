import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { count, percent, short } from "../lib/format.js";
import { locale, t, word } from "../lib/i18n.js";
import { SEVERITIES } from "../lib/model.js";
import { Answer, Card, Meter, PageHead, Severity, Time } from "../ui/parts.js";

// One sentence and one bar: how much false noise people agreed to, and how much of it may have been spent.
export function BudgetFigure({ budget }) {
  const { per_week: allowed, spent_week: spent } = budget;
  const share = allowed ? spent / allowed : 0;
  const look = share > 1 ? "critical" : share > 0.8 ? "major" : "good";
  return html`<div class="stack">
    <div class="figure"><span class="value s">${short(spent)} <span class="faint">/ ${count(allowed)}</span></span><span class="label">${t("budget.figure")}</span></div>
    <${Meter} share=${share} look=${look} label=${t("nav.budget")} />
    <p class="soft">${t(share > 1 ? "budget.over" : "budget.sentence", { allowed: count(allowed) })}</p>
  </div>`;
}

export function Budget() {
  const budget = useApi("/budget", { every: 30, kinds: "finding" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.budget")} lead=${t("budget.lead")} />
    <${Answer} of=${budget} bones=${6}>
      ${(data) => html`<div class="case-columns">
        <div class="stack">
          <${Card} title=${t("budget.week")}><div class="card-body stack"><${BudgetFigure} budget=${data} /><${Judged} data=${data} /></div><//>
          ${data.history?.length ? html`<${History} data=${data} />` : null}
          ${data.by_severity && Object.keys(data.by_severity).length ? html`<${BySeverity} of=${data.by_severity} />` : null}
          ${data.detectors && Object.keys(data.detectors).length ? html`<${Parts} of=${data.detectors} />` : null}
          <${Numbers} data=${data} />
        </div>
        <${Card} title=${t("budget.how")}><div class="card-body stack soft">
          <p>${t("budget.how.1")}</p><p>${t("budget.how.2")}</p><p>${t("budget.how.3")}</p>
          <p><code>CEREBRO_SUPPORT__NOISE_BUDGET=${data.per_week}</code></p>
        </div><//>
      </div>`}
    <//>
  </div>`;
}

const Numbers = ({ data }) => html`<${Card} title=${t("finding.facts")}><dl class="facts card-body">
  <dt>${t("budget.admitted")}</dt><dd>${count(data.admitted_week)}</dd>
  <dt>${t("budget.fdr")}</dt><dd>${data.false_discovery_rate == null ? "–" : percent(data.false_discovery_rate)}</dd>
  <dt>${t("budget.threshold")}</dt><dd>${t("budget.threshold.value", { count: short(data.threshold_per_week) })}</dd>
  <dt>${t("budget.saved")}</dt><dd>${short(data.saved)}</dd>
  <dt>${t("budget.watching")}</dt><dd>${count(data.watching)}</dd>
  <dt>${t("budget.learning")}</dt><dd>${count(data.learning)}</dd>
  <dt>${t("budget.tests")}</dt><dd>${count(data.tests)}</dd>
  <dt>${t("budget.updated")}</dt><dd><${Time} ms=${data.updated_ms} /></dd>
</dl><//>`;

// What people said of what was told: the only measure that does not come from ourselves.
function Judged({ data }) {
  const { useful_week: useful, noise_week: noise, remaining_week: left } = data;
  if (useful === undefined) return null;
  return html`<p class="soft">${left === undefined ? "" : `${t("budget.left", { count: count(Math.round(left)) })} `}${useful + noise ? t("budget.judged", { useful: count(useful), noise: count(noise) }) : t("budget.judge_them")}</p>`;
}

function History({ data }) {
  const days = data.history.slice(-35);
  const most = Math.max(1e-9, data.per_week / 7, ...days.map((day) => day.spent));
  const name = (ms) => new Date(ms).toLocaleDateString(locale(), { day: "numeric", month: "short" });
  return html`<${Card} title=${t("budget.history")} aside=${t("budget.history.aside")}><div class="card-body">
    <div class="bars" role="img" aria-label=${t("budget.history")}>${days.map((day) => {
      const said = `${name(day.day_ms)}: ${t("budget.day", { spent: short(day.spent), count: count(day.admitted) })}`;
      return html`<i title=${said} class=${day.spent > data.per_week / 7 ? "over" : ""} ref=${(bar) => bar && (bar.style.height = `${Math.max(2, (day.spent / most) * 100)}%`)}></i>`;
    })}</div>
    <p class="hint">${name(days[0].day_ms)} – ${name(days.at(-1).day_ms)} · ${t("budget.history.line", { count: short(data.per_week / 7) })}</p>
  </div><//>`;
}

// Who may spend how much of it: each kind of detector has a part of its own.
const Parts = ({ of }) => html`<${Card} title=${t("budget.parts")} aside=${t("budget.parts.aside")}><div class="table-wrap"><table class="list"><thead><tr><th></th><th class="end">${t("budget.parts.spent")}</th><th class="end">${t("budget.parts.part")}</th><th class="end">${t("budget.parts.told")}</th><th class="end">${t("budget.parts.watched")}</th></tr></thead>
  <tbody>${Object.entries(of).map(([name, one]) => html`<tr key=${name}><td>${word("budget.part", name)}</td><td class="end">${short(one.spent_week)}</td><td class="end soft">${short(one.per_week)}</td><td class="end">${count(one.admitted_week)}</td><td class="end soft">${count(one.watching + one.learning)}</td></tr>`)}</tbody></table></div><//>`;

const number = (value) => (typeof value === "object" && value ? (value.admitted ?? value.told ?? value.count ?? 0) : value);
const BySeverity = ({ of }) => html`<${Card} title=${t("budget.by_severity")}><ul class="rows">${SEVERITIES.slice(1)
  .reverse()
  .filter((level) => of[level] !== undefined)
  .map((level) => html`<li class="row plain"><span class="row-text"><${Severity} value=${level} /></span><b>${count(number(of[level]))}</b></li>`)}</ul><//>`;
