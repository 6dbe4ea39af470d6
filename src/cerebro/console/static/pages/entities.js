import { html, useMemo } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { entity, entityHref, items, rank } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { WalkedTable } from "../ui/lists.js";
import { Answer, Card, Chips, Empty, EntityLink, Glyph, PageHead, Time } from "../ui/parts.js";
import { health } from "./overview.js";

export function Entities() {
  const { query: asked } = useStore(route);
  const entities = useApi("/entities?limit=1000", { every: 20, kinds: "case" });
  const all = items(entities.data);
  const kinds = useMemo(() => [...new Set(all.map((one) => entity(one).kind))].sort(), [entities.data]);
  const words = (asked.q ?? "").toLowerCase();
  const rows = useMemo(
    () =>
      all
        .filter((one) => (!asked.kind || entity(one).kind === asked.kind) && (!words || entity(one).text.toLowerCase().includes(words)))
        .sort((a, b) => rank(b.severity ?? 0) - rank(a.severity ?? 0) || entity(a).text.localeCompare(entity(b).text)),
    [entities.data, asked.kind, words],
  );
  return html`<div class="page">
    <${PageHead} title=${t("nav.entities")} lead=${t("entities.lead")} />
    <div class="filters" role="search">
      ${kinds.length > 1 ? html`<${Chips} label=${t("finding.kind")} value=${asked.kind ?? ""} options=${[["", t("cases.all")], ...kinds.map((kind) => [kind, word("kinds", kind)])]} onChange=${(kind) => refine({ kind })} />` : null}
      <input class="input search" type="search" placeholder=${t("entities.search")} aria-label=${t("entities.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} />
    </div>
    <${Card} label=${t("nav.entities")}>
      <${Answer} of=${entities} bones=${8}>
        ${() =>
          rows.length
            ? html`<${WalkedTable} rows=${rows} group=${t("nav.entities")} href=${entityHref}
                head=${html`<th>${t("entities.health")}</th><th>${t("finding.entity")}</th><th>${t("entities.owner")}</th><th class="end">${t("entities.cases")}</th><th class="end">${t("entities.seen")}</th>`}
                row=${(one) => html`<td class="tight"><${HealthWord} of=${one} /></td><td class="wide"><${EntityLink} of=${one} /></td><td class="soft">${one.owner || "–"}</td>
                  <td class="tight end" data-label=${t("entities.cases")}>${one.open_cases ?? one.case_count ?? 0}</td><td class="tight end soft"><${Time} ms=${one.last_seen_ms} /></td>`} />`
            : all.length
              ? html`<${Empty} icon="search" title=${t("cases.none_fit")} />`
              : html`<${Empty} icon="connect" title=${t("entities.empty.title")}><p>${t("entities.empty.text")}</p><p><a class="button primary" href="/connect">${t("nav.connect")}</a></p><//>`}
      <//>
    <//>
  </div>`;
}

export function HealthWord({ of }) {
  const level = health(of);
  const text = level === "good" ? t("health.good") : level === "unknown" ? t("health.unknown") : word("severity", level);
  return html`<span class=${`severity s-${level}`}><${Glyph} level=${level} />${text}</span>`;
}
