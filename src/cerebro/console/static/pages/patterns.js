import { html, useState } from "../lib/html.js";
import { query, useApi } from "../lib/api.js";
import { count, short } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Card, Chips, Dialog, Empty, EntityLink, Icon, Offered, PageHead, Time } from "../ui/parts.js";

const NEW_MS = 3_600_000;
const SHOWN = 300;
const isNew = (one) => Date.now() - one.first_ms < NEW_MS;
const ORDERS = {
  often: (a, b) => b.count - a.count,
  new: (a, b) => b.first_ms - a.first_ms,
  grave: (a, b) => Number(b.grave) - Number(a.grave) || b.count - a.count,
};

// A template with its holes shown: <*>, <num>, <ip> and the like.
export const Pattern = ({ text }) => html`<span class="pattern">${String(text ?? "").split(/(<[^<>\s]{0,24}>)/).map((part, index) => (index % 2 ? html`<b>${part.slice(1, -1) || "*"}</b>` : part))}</span>`;

export function Patterns() {
  const { query: asked } = useStore(route);
  const [over, setOver] = useState(null);
  const templates = useApi(`/templates${query({ limit: 1000, entity: asked.entity ?? "" })}`, { every: 30, kinds: "finding" });
  const text = (asked.q ?? "").toLowerCase();
  const order = ORDERS[asked.order] ? asked.order : "often";
  return html`<div class="page">
    <${PageHead} title=${t("nav.patterns")} lead=${t("patterns.lead")} />
    <${Offered} of=${templates} icon="patterns" title=${t("patterns.empty.title")} text=${t("patterns.empty.text")}>
      ${(data) => {
        const all = items(data);
        if (!all.length) return html`<${Card}><${Empty} icon="patterns" title=${t("patterns.empty.title")}><p>${t("patterns.empty.text")}</p><//><//>`;
        const fits = all.filter((one) => !text || `${one.text} ${one.entity_kind}/${one.entity_name}`.toLowerCase().includes(text)).sort(ORDERS[order]);
        return html`<div class="filters"><input class="input search" type="search" placeholder=${t("patterns.search")} aria-label=${t("patterns.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} />
            <${Chips} label=${t("patterns.order")} value=${order} options=${Object.keys(ORDERS).map((name) => [name, t(`patterns.order.${name}`)])} onChange=${(name) => refine({ order: name })} /><span class="faint">${t("patterns.count", { count: count(all.length) })}</span></div>
          <${Card} label=${t("nav.patterns")}>${fits.length ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("patterns.pattern")}</th><th>${t("finding.entity")}</th><th class="end">${t("patterns.lines")}</th><th class="end">${t("patterns.rate")}</th><th class="end">${t("patterns.last")}</th></tr></thead>
            <tbody>${fits.slice(0, SHOWN).map((one) => html`<tr key=${`${one.id} ${one.entity_kind}/${one.entity_name}`}><td class="wide"><button class="link plain-text" onClick=${() => setOver(one)}><${Pattern} text=${one.text || one.samples?.[0]} /></button>
                ${one.grave || isNew(one) ? html`<span class="row-note">${one.grave ? html`<span class="severity s-major"><${Icon} name="warning" />${t("patterns.grave")}</span>` : null}${isNew(one) ? html`<span class="state warm">${t("patterns.new")}</span>` : null}</span>` : null}</td>
              <td class="tight"><${EntityLink} of=${{ kind: one.entity_kind, name: one.entity_name }} /></td><td class="tight end">${count(one.count)}</td><td class="tight end soft">${short(one.rate_per_minute)}</td><td class="tight end soft"><${Time} ms=${one.last_ms} /></td></tr>`)}</tbody></table></div>
            ${fits.length > SHOWN ? html`<p class="rows-more">${t("more.count", { count: fits.length - SHOWN })}</p>` : null}` : html`<${Empty} small icon="search" title=${t("cases.none_fit")} />`}<//>`;
      }}
    <//>
    ${over ? html`<${Samples} one=${over} onClose=${() => setOver(null)} />` : null}
  </div>`;
}

const Samples = ({ one, onClose }) => html`<${Dialog} title=${t("patterns.pattern")} look="wide" onClose=${onClose}>
  <p><${Pattern} text=${one.text} /></p>
  <dl class="facts small"><dt>${t("finding.entity")}</dt><dd><${EntityLink} of=${{ kind: one.entity_kind, name: one.entity_name }} /></dd><dt>${t("patterns.lines")}</dt><dd>${count(one.count)}</dd>
    <dt>${t("entity.first")}</dt><dd><${Time} ms=${one.first_ms} exact /></dd><dt>${t("patterns.last")}</dt><dd><${Time} ms=${one.last_ms} exact /></dd></dl>
  <h3>${t("patterns.samples")}</h3>
  <div class="snippet"><pre tabindex="0">${(one.samples ?? []).join("\n") || "–"}</pre></div>
<//>`;
