// What was changed, by whom it was told, and where: the first thing to ask about when something breaks.
import { html, useState } from "../lib/html.js";
import { query, useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { entity, items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Answer, Card, Chips, Empty, EntityLink, PageHead, Time } from "../ui/parts.js";

const WINDOWS = { "1d": 0, "7d": 7 * 86_400_000 };
const LIMIT = 300;

export function Changes() {
  const { query: asked } = useStore(route);
  const window = asked.w in WINDOWS ? asked.w : "1d";
  const [since] = useState(() => Date.now() - WINDOWS["7d"]);
  const found = useApi(`/changes${query({ since_ms: WINDOWS[window] ? since : "", entity: asked.entity, hops: asked.entity ? 1 : "", limit: LIMIT })}`, { every: 30 });
  const words = (asked.q ?? "").toLowerCase();
  return html`<div class="page">
    <${PageHead} title=${t("nav.changes")} lead=${t("changes.lead")}><${Chips} label=${t("series.window")} value=${window} options=${Object.keys(WINDOWS).map((name) => [name, t(`window.${name}`)])} onChange=${(w) => refine({ w })} /><//>
    <div class="filters" role="search"><input class="input search" type="search" placeholder=${t("changes.search")} aria-label=${t("changes.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} />
      ${asked.entity ? html`<button class="button small" onClick=${() => refine({ entity: "" })}>${t("changes.near", { entity: asked.entity })} ×</button>` : null}</div>
    <${Card} label=${t("nav.changes")}><${Answer} of=${found} bones=${6}>${(data) => {
      const all = items(data);
      const fits = all.filter((one) => !words || `${one.title} ${one.kind} ${one.source} ${entity(one.entity).text}`.toLowerCase().includes(words));
      if (!all.length) return html`<${Empty} icon="changes" title=${t("changes.empty.title")}><p>${t("changes.empty.text")}</p><p><a class="button" href="/connect?way=events">${t("nav.connect")}</a></p><//>`;
      if (!fits.length) return html`<${Empty} small icon="search" title=${t("cases.none_fit")} />`;
      return html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("changes.kind")}</th><th>${t("changes.what")}</th><th>${t("finding.entity")}</th><th>${t("changes.source")}</th><th class="end">${t("audit.when")}</th></tr></thead>
        <tbody>${fits.map((one) => html`<tr key=${one.id}><td class="tight"><span class="state">${word("change", one.kind)}</span></td><td class="wide">${one.title || html`<span class="faint">–</span>`}<${Said} body=${one.body} /></td><td class="name"><${EntityLink} of=${one.entity} /></td><td class="soft">${one.source}</td><td class="tight end soft"><${Time} ms=${one.at_ms} /></td></tr>`)}</tbody></table></div>`;
    }}<//><//>
  </div>`;
}

// What the sender said beside, in short: version, commit and the like.
function Said({ body }) {
  const pairs = Object.entries(parsed(body)).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value) && String(value).length < 80);
  return pairs.length ? html`<span class="row-note faint">${pairs.slice(0, 6).map(([name, value]) => `${name} ${value}`).join(" · ")}</span>` : null;
}

function parsed(text) {
  try {
    const found = JSON.parse(text || "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}
