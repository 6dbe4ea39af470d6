import { html } from "../lib/html.js";
import { query, useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { entity, items, rank, SEVERITIES } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { FindingTable } from "../ui/lists.js";
import { Answer, Card, Empty, PageHead } from "../ui/parts.js";

export function Findings() {
  const { query: asked } = useStore(route);
  const findings = useApi(`/findings${query({ entity: asked.entity, severity: asked.severity, limit: 200 })}`, { every: 20, kinds: "finding" });
  const words = (asked.q ?? "").toLowerCase();
  const fits = (one) =>
    (!asked.severity || rank(one.severity) >= rank(asked.severity)) && (!words || `${one.title} ${entity(one.entity).text} ${one.signal} ${one.kind}`.toLowerCase().includes(words));
  return html`<div class="page">
    <${PageHead} title=${t("nav.findings")} lead=${t("findings.lead")} />
    <div class="filters" role="search">
      <select class="input" aria-label=${t("case.severity")} onChange=${(event) => refine({ severity: event.target.value })}>
        <option value="">${t("cases.any_severity")}</option>
        ${SEVERITIES.slice(1).reverse().map((level) => html`<option value=${level} selected=${asked.severity === level}>${t("cases.at_least", { severity: word("severity", level) })}</option>`)}
      </select>
      <input class="input search" type="search" placeholder=${t("findings.search")} aria-label=${t("findings.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} />
    </div>
    <${Card} label=${t("nav.findings")}>
      <${Answer} of=${findings} bones=${8}>
        ${(data) => {
          const rows = items(data).filter(fits);
          if (rows.length) return html`<${FindingTable} findings=${rows} />`;
          return items(data).length ? html`<${Empty} icon="search" title=${t("cases.none_fit")} />` : html`<${Empty} icon="findings" title=${t("findings.empty.title")}><p>${t("findings.empty.text")}</p><//>`;
        }}
      <//>
    <//>
  </div>`;
}
