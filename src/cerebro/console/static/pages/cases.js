import { html, useMemo } from "../lib/html.js";
import { query, session, useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { items, live, rank, SEVERITIES } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { CaseTable } from "../ui/lists.js";
import { Answer, Card, Chips, Empty, PageHead } from "../ui/parts.js";

export function Cases() {
  const { query: asked } = useStore(route);
  const { me } = useStore(session);
  const shown = asked.state ?? "live";
  const path = `/cases${query({ live: shown === "live" ? "true" : "", state: shown === "live" || shown === "all" ? "" : shown, entity: asked.entity, severity: asked.severity, limit: 200 })}`;
  const cases = useApi(path, { every: 20, kinds: "case" });
  const rows = useMemo(() => choose(items(cases.data), shown, asked, me?.name), [cases.data, shown, asked, me]);
  const states = [["live", t("cases.live")], ...["resolved", "closed"].map((state) => [state, word("state", state)]), ["all", t("cases.all")]];
  return html`<div class="page">
    <${PageHead} title=${t("nav.cases")} />
    <div class="filters" role="search">
      <${Chips} label=${t("case.state")} value=${shown} options=${states} onChange=${(state) => refine({ state: state === "live" ? "" : state })} />
      <${Chips} label=${t("cases.whose")} value=${asked.mine ? "mine" : "all"} options=${[["all", t("cases.everyone")], ["mine", t("cases.mine")]]} onChange=${(whose) => refine({ mine: whose === "mine" ? "1" : "" })} />
      <select class="input" aria-label=${t("case.severity")} value=${asked.severity ?? ""} onChange=${(event) => refine({ severity: event.target.value })}>
        <option value="">${t("cases.any_severity")}</option>
        ${SEVERITIES.slice(1).reverse().map((level) => html`<option value=${level} selected=${asked.severity === level}>${t("cases.at_least", { severity: word("severity", level) })}</option>`)}
      </select>
      <input class="input search" type="search" placeholder=${t("cases.search")} aria-label=${t("cases.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} />
    </div>
    <${Card} label=${t("nav.cases")}>
      <${Answer} of=${cases} bones=${8}>
        ${() => (rows.length ? html`<${CaseTable} cases=${rows} me=${me?.name} />` : html`<${None} asked=${asked} shown=${shown} />`)}
      <//>
    <//>
  </div>`;
}

function choose(all, shown, asked, me) {
  const words = (asked.q ?? "").toLowerCase();
  return all
    .filter((one) => shown !== "live" || live(one))
    .filter((one) => !asked.severity || rank(one.severity) >= rank(asked.severity))
    .filter((one) => !asked.mine || [one.assignee, one.acknowledged_by].includes(me))
    .filter((one) => !words || JSON.stringify([one.title, one.entities]).toLowerCase().includes(words))
    .sort((a, b) => Number(live(b)) - Number(live(a)) || rank(b.severity) - rank(a.severity) || b.updated_ms - a.updated_ms);
}

function None({ asked, shown }) {
  const narrowed = asked.q || asked.severity || asked.mine || asked.entity;
  if (narrowed) {
    return html`<${Empty} icon="search" title=${t("cases.none_fit")}><p><button class="button" onClick=${() => refine({ q: "", severity: "", mine: "", entity: "" })}>${t("cases.clear")}</button></p><//>`;
  }
  return shown === "live"
    ? html`<${Empty} title=${t("overview.calm.title")}><p>${t("overview.calm.text")}</p><//>`
    : html`<${Empty} title=${t("cases.none")}><p>${t("cases.none.text")}</p><//>`;
}

