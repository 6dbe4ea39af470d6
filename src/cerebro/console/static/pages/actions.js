import { html, useState } from "../lib/html.js";
import { may, query, useApi } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { ActionCards, ActionState, Risk, UNDER_WAY, WAITING } from "../ui/actions.js";
import { Card, Chips, Empty, EntityLink, Offered, PageHead, Time } from "../ui/parts.js";
import { WalkedTable } from "../ui/lists.js";

export function Actions() {
  const { query: asked } = useStore(route);
  const [chosen, setChosen] = useState(null);
  const actions = useApi(`/actions${query({ limit: 200 })}`, { every: 15, kinds: "action case" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.actions")} lead=${t("actions.lead")} />
    <${Offered} of=${actions} icon="actions" title=${t("actions.empty.title")} text=${t("actions.empty.text")}>
      ${(data) => {
        const all = items(data);
        if (!all.length) return html`<${Card}><${Empty} icon="actions" title=${t("actions.empty.title")}><p>${t("actions.empty.text")}</p><//><//>`;
        const open = all.filter((one) => [...WAITING, ...UNDER_WAY].includes(one.state));
        const ended = all.filter((one) => !open.includes(one));
        const show = asked.show === "ended" || (!open.length && asked.show !== "open") ? "ended" : "open";
        return html`<div class="filters"><${Chips} label=${t("case.state")} value=${show} options=${[["open", t("actions.open", { count: open.length })], ["ended", t("actions.ended", { count: ended.length })]]} onChange=${(value) => refine({ show: value })} /></div>
          ${show === "open"
            ? open.length ? html`<${Card} label=${t("nav.actions")}><${ActionCards} actions=${open} reload=${actions.reload} keys cases /><//>` : html`<${Card}><${Empty} icon="calm" title=${t("actions.none_open")} /><//>`
            : html`<${Card} label=${t("nav.actions")}><${Ended} actions=${ended} onChosen=${setChosen} /><//>
              ${chosen ? html`<${Card} title=${chosen.title}><${ActionCards} actions=${[chosen]} reload=${actions.reload} cases /><//>` : null}`}`;
      }}
    <//>
  </div>`;
}

const Ended = ({ actions, onChosen }) => html`<${WalkedTable} rows=${actions} group=${t("nav.actions")} href=${(one) => `/cases/${one.case}`} onChosen=${onChosen}
  head=${html`<th>${t("case.state")}</th><th>${t("action.what")}</th><th>${t("finding.entity")}</th><th>${t("action.risk")}</th><th>${t("action.outcome")}</th><th class="end">${t("audit.when")}</th>`}
  row=${(one) => html`<td class="tight"><${ActionState} value=${one.state} /></td><td class="wide"><a class="strong" href=${`/cases/${one.case}`}>${one.title}</a></td><td class="name"><${EntityLink} of=${one.target} /></td>
    <td class="tight"><${Risk} value=${one.risk} /></td><td>${one.outcome || html`<span class="faint">–</span>`}</td><td class="tight end soft"><${Time} ms=${one.ended_ms || one.updated_ms} /></td>`} />`;
