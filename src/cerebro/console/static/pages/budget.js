import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { count, percent, short } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Answer, Card, Meter, PageHead, Time } from "../ui/parts.js";

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
          <${Card} title=${t("budget.week")}><div class="card-body"><${BudgetFigure} budget=${data} /></div><//>
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
