import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { chance } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { titled } from "../lib/titles.js";
import { Evidence, Worth } from "../ui/evidence.js";
import { Answer, Card, EntityLink, PageHead, Severity, Time } from "../ui/parts.js";

export function FindingPage({ id }) {
  const answer = useApi(`/findings/${encodeURIComponent(id)}`, { every: 120 });
  return html`<div class="page"><${Answer} of=${answer} bones=${8}>
    ${(one) => html`<${PageHead} title=${titled(one.title)}>${one.case ? html`<a class="button" href=${`/cases/${one.case}`}>${t("finding.case")}</a>` : null}<//>
      <div class="case-columns">
        <div class="stack">${one.evidence.map((evidence) => html`<${Card} label=${evidence.sentence}><div class="card-body"><${Evidence} evidence=${evidence} finding=${one} height=${240} /></div><//>`)}</div>
        <${Card} title=${t("finding.facts")}><dl class="facts card-body">
          <dt>${t("case.severity")}</dt><dd>${one.cleared ? html`<span class="severity s-good">${t("finding.cleared")}</span>` : html`<${Severity} value=${one.severity} />`}</dd>
          <dt>${t("finding.entity")}</dt><dd><${EntityLink} of=${one.entity} /></dd>
          <dt>${t("finding.signal")}</dt><dd class="mono">${one.signal}</dd>
          <dt>${t("finding.kind")}</dt><dd>${word("finding.kind", one.kind)}</dd>
          <dt>${t("finding.began")}</dt><dd><${Time} ms=${one.at_ms} exact /></dd>
          <dt>${t("finding.seen")}</dt><dd><${Time} ms=${one.seen_ms} exact /></dd>
          ${one.cleared ? null : html`<dt>${t("finding.chance")}</dt><dd title=${`p = ${one.p_value}`}>${chance(one.p_value)}</dd>
            <dt>${t("finding.effect")}</dt><dd>${t("finding.widths", { count: Number(one.effect).toFixed(1) })}</dd>`}
          <dt>${t("finding.agent")}</dt><dd>${one.agent}</dd>
          ${one.silence ? html`<dt>${t("nav.silences")}</dt><dd>${t("finding.silenced")}</dd>` : null}
        </dl><div class="card-body"><${Worth} finding=${one} /></div><//>
      </div>`}
  <//></div>`;
}
