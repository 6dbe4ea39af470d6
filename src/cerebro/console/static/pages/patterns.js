import { html } from "../lib/html.js";
import { query, useApi } from "../lib/api.js";
import { count } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { entity, items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Spark } from "../ui/chart.js";
import { Card, Empty, EntityLink, Offered, PageHead, Time } from "../ui/parts.js";

// A template with its holes shown: <*>, <num>, <:ip:> and the like.
export const Pattern = ({ text }) => html`<span class="pattern">${String(text ?? "").split(/(<[^<>\s]{0,24}>)/).map((part, index) => (index % 2 ? html`<b>${part.slice(1, -1) || "*"}</b>` : part))}</span>`;

export function Patterns() {
  const { query: asked } = useStore(route);
  const templates = useApi(`/templates${query({ limit: 300, entity: asked.entity ?? "" })}`, { every: 30, kinds: "finding" });
  const text = (asked.q ?? "").toLowerCase();
  return html`<div class="page">
    <${PageHead} title=${t("nav.patterns")} lead=${t("patterns.lead")} />
    <${Offered} of=${templates} icon="patterns" title=${t("patterns.empty.title")} text=${t("patterns.empty.text")}>
      ${(data) => {
        const all = items(data);
        const fits = all.filter((one) => !text || `${one.template ?? one.text ?? ""} ${ofWhom(one)} ${one.severity ?? ""}`.toLowerCase().includes(text));
        if (!all.length) return html`<${Card}><${Empty} icon="patterns" title=${t("patterns.empty.title")}><p>${t("patterns.empty.text")}</p><//><//>`;
        return html`<div class="filters"><input class="input search" type="search" placeholder=${t("patterns.search")} aria-label=${t("patterns.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} /><span class="faint">${t("patterns.count", { count: count(all.length) })}</span></div>
          <${Card} label=${t("nav.patterns")}>${fits.length ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("patterns.pattern")}</th><th>${t("finding.entity")}</th><th class="end">${t("patterns.lines")}</th><th></th><th class="end">${t("patterns.last")}</th></tr></thead>
            <tbody>${fits.slice(0, 300).map((one) => html`<tr key=${one.id}><td class="wide"><${Pattern} text=${one.template ?? one.text ?? one.pattern} />${one.example ? html`<span class="row-note faint">${one.example}</span>` : null}</td>
              <td class="tight">${one.entity ? html`<${EntityLink} of=${one.entity} />` : ofWhom(one)}</td><td class="tight end">${count(one.line_count ?? one.count)}</td>
              <td class="tight">${Array.isArray(one.spark?.value ?? one.counts) ? html`<div class="pattern-spark"><${Spark} values=${one.spark?.value ?? one.counts} label=${t("patterns.lines")} /></div>` : null}</td>
              <td class="tight end soft"><${Time} ms=${one.last_ms ?? one.last_seen_ms} /></td></tr>`)}</tbody></table></div>` : html`<${Empty} small icon="search" title=${t("cases.none_fit")} />`}<//>`;
      }}
    <//>
  </div>`;
}

const ofWhom = (one) => (one.entity ? entity(one.entity).text : (one.service ?? ""));
