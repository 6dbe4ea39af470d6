import { html, useState } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { plain } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { ActionCards, ActionState, counted, ENDED_ACTIONS, isOpen, OPEN_ACTIONS, Risk } from "../ui/actions.js";
import { Card, Chips, Empty, EntityLink, Offered, PageHead, Time } from "../ui/parts.js";
import { WalkedTable } from "../ui/lists.js";

export function Actions() {
  const { query: asked } = useStore(route);
  const [chosen, setChosen] = useState(null);
  const [left, over] = [OPEN_ACTIONS, ENDED_ACTIONS].map((path) => useApi(path, { every: 15, kinds: "action case" }));
  const reload = () => (left.reload(), over.reload());
  const actions = { data: left.data && over.data ? { left: left.data, over: over.data } : undefined, error: left.error ?? over.error, reload };
  return html`<div class="page">
    <${PageHead} title=${t("nav.actions")} lead=${t("actions.lead")} />
    <${Offered} of=${actions} icon="actions" title=${t("actions.empty.title")} text=${t("actions.empty.text")}>
      ${(data) => {
        const open = items(data.left).filter(isOpen);
        const ended = items(data.over).filter((one) => !isOpen(one));
        if (!open.length && !ended.length) return html`<${Card}><${Empty} icon="actions" title=${t("actions.empty.title")}><p>${t("actions.empty.text")}</p><//><//>`;
        const show = asked.show === "ended" || (!open.length && asked.show !== "open") ? "ended" : "open";
        return html`<div class="filters"><${Chips} label=${t("case.state")} value=${show} options=${[["open", t("actions.open", { count: counted(open.length, data.left) })], ["ended", t("actions.ended", { count: counted(ended.length, data.over) })]]} onChange=${(value) => refine({ show: value })} /></div>
          ${show === "open"
            ? open.length ? html`<${Card} label=${t("nav.actions")}><${ActionCards} actions=${open} reload=${reload} keys cases /><//>` : html`<${Card}><${Empty} icon="calm" title=${t("actions.none_open")} /><//>`
            : html`<${Card} label=${t("nav.actions")}><${Ended} actions=${ended} onChosen=${setChosen} /><//>
              ${chosen ? html`<${Card} title=${plain(chosen.title)}><${ActionCards} actions=${[chosen]} reload=${reload} cases /><//>` : null}`}`;
      }}
    <//>
  </div>`;
}

const Ended = ({ actions, onChosen }) => html`<${WalkedTable} rows=${actions} group=${t("nav.actions")} href=${(one) => `/cases/${one.case}`} onChosen=${onChosen}
  head=${html`<th>${t("case.state")}</th><th>${t("action.what")}</th><th>${t("finding.entity")}</th><th>${t("action.risk")}</th><th>${t("action.outcome")}</th><th class="end">${t("audit.when")}</th>`}
  row=${(one) => html`<td class="tight"><${ActionState} value=${one.state} /></td><td class="wide"><a class="strong" href=${`/cases/${one.case}`}>${plain(one.title)}</a></td><td class="name"><${EntityLink} of=${one.target} /></td>
    <td class="tight"><${Risk} value=${one.risk} /></td><td>${plain(one.outcome ?? "") || html`<span class="faint">–</span>`}</td><td class="tight end soft"><${Time} ms=${one.ended_ms || one.updated_ms} /></td>`} />`;
