import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { short } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Answer, Card, Meter, PageHead } from "../ui/parts.js";

// One sentence and one bar: how much false noise people agreed to, and how much of it may have been spent.
export function BudgetFigure({ budget }) {
  const allowed = budget.allowed_per_week ?? budget.noise_budget ?? 0;
  const spent = budget.spent ?? budget.spent_week ?? 0;
  const share = allowed ? spent / allowed : 0;
  const look = share > 1 ? "critical" : share > 0.8 ? "major" : "good";
  return html`<div class="stack">
    <div class="figure"><span class="value s">${short(spent)} <span class="faint">/ ${short(allowed)}</span></span><span class="label">${t("budget.figure")}</span></div>
    <${Meter} share=${share} look=${look} label=${t("nav.budget")} />
    <p class="soft">${t(share > 1 ? "budget.over" : "budget.sentence", { allowed: short(allowed) })}</p>
  </div>`;
}

export function Budget() {
  const budget = useApi("/budget", { every: 30, kinds: "finding" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.budget")} lead=${t("budget.lead")} />
    <${Answer} of=${budget} bones=${6}>
      ${(data) => html`<div class="case-columns">
        <${Card} title=${t("budget.week")}><div class="card-body"><${BudgetFigure} budget=${data} /></div><//>
        <${Card} title=${t("budget.how")}><div class="card-body stack soft">
          <p>${t("budget.how.1")}</p><p>${t("budget.how.2")}</p><p>${t("budget.how.3")}</p>
          <p><code>CEREBRO_SUPPORT__NOISE_BUDGET=${data.allowed_per_week ?? data.noise_budget ?? 5}</code></p>
        </div><//>
        <${Card} title=${t("finding.facts")}><dl class="facts card-body">
          ${Object.entries(data).filter(([, value]) => ["number", "string"].includes(typeof value)).map(([name, value]) => html`<dt class="mono">${name}</dt><dd>${typeof value === "number" ? short(value) : value}</dd>`)}
        </dl><//>
      </div>`}
    <//>
  </div>`;
}
