// Lists that more than one page shows.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { entity, entityHref } from "../lib/model.js";
import { go } from "../lib/router.js";
import { chance } from "../lib/format.js";
import { titled } from "../lib/titles.js";
import { EntityLink, Glyph, Person, Severity, State, Time } from "./parts.js";

// A table whose rows are walked with j and k and opened with Enter.
export function WalkedTable({ rows, href, head, row, group, fold = true, onChosen }) {
  const [chosen, setChosen] = useState(-1);
  const body = useRef(null);
  const at = Math.min(chosen, rows.length - 1);
  const step = (by) => setChosen(Math.max(0, Math.min(rows.length - 1, at + by)));
  useKeys(group, [
    ["j", t("keys.next"), () => step(1)],
    ["k", t("keys.previous"), () => step(-1)],
    ["enter", t("keys.open"), () => rows[at] && go(href(rows[at]))],
  ]);
  useEffect(() => {
    if (at >= 0) body.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]); // not with every new answer: whoever reads on below stays there
  useEffect(() => onChosen?.(rows[at] ?? null), [at, rows]);
  return html`<div class="table-wrap"><table class=${`list${fold ? " fold" : ""}`}>
    <thead><tr>${head}</tr></thead>
    <tbody ref=${body}>
      ${rows.map((one, index) => html`<tr key=${one.id ?? index} class=${index === at ? "chosen" : ""} aria-selected=${String(index === at)}>${row(one)}</tr>`)}
    </tbody>
  </table></div>`;
}

export const CaseTable = ({ cases, me }) => html`<${WalkedTable}
  rows=${cases}
  group=${t("nav.cases")}
  href=${(one) => `/cases/${one.id}`}
  head=${html`<th>${t("case.severity")}</th><th>${t("case.title")}</th><th>${t("case.state")}</th><th>${t("case.entities")}</th><th>${t("case.owner")}</th><th class="end">${t("case.since")}</th>`}
  row=${(one) => html`<td class="tight"><${Severity} value=${one.severity} /></td>
    <td class="wide"><a class="strong" href=${`/cases/${one.id}`}>${titled(one.title)}</a></td>
    <td class="tight"><${State} value=${one.state} /></td>
    <td><${Entities} of=${one.entities} /></td>
    <td class="tight" data-label=${t("case.owner")}><${Person} name=${one.assignee || one.acknowledged_by} me=${me} /></td>
    <td class="tight end soft"><${Time} ms=${one.began_ms || one.opened_ms} /></td>`}
/>`;

export function Entities({ of, shown = 2 }) {
  const all = of ?? [];
  return html`<span>${all.slice(0, shown).map((one, index) => html`${index ? ", " : ""}<a href=${entityHref(one)} title=${entity(one).text}>${entity(one).name}</a>`)}${all.length > shown ? html` <span class="faint">${t("more.count", { count: all.length - shown })}</span>` : null}</span>`;
}

export const FindingTable = ({ findings, about = true }) => html`<${WalkedTable}
  rows=${findings}
  group=${t("nav.findings")}
  href=${(one) => `/findings/${one.id}`}
  head=${html`<th>${t("case.severity")}</th><th>${t("finding.title")}</th>${about ? html`<th>${t("finding.entity")}</th>` : null}<th>${t("finding.chance")}</th><th class="end">${t("finding.began")}</th>`}
  row=${(one) => html`<td class="tight">${one.cleared ? html`<span class="severity s-good">${t("finding.cleared")}</span>` : html`<${Severity} value=${one.severity} />`}</td>
    <td class="wide"><a href=${`/findings/${one.id}`}>${titled(one.title)}</a></td>
    ${about ? html`<td><${EntityLink} of=${one.entity} /></td>` : null}
    <td class="tight soft" title=${`p = ${one.p_value}`}>${one.cleared ? "" : chance(one.p_value)}</td>
    <td class="tight end soft"><${Time} ms=${one.at_ms} /></td>`}
/>`;

export const CaseRows = ({ cases, me }) => html`<ul class="rows">${cases.map(
  (one) => html`<li key=${one.id}><a class=${`row${one.live ? "" : " over"}`} href=${`/cases/${one.id}`}>
    <${Severity} value=${one.severity} bare />
    <span class="row-text"><span class="strong">${titled(one.title)}</span><span class="row-note"><${State} value=${one.state} /><${Person} name=${one.assignee || one.acknowledged_by} me=${me} /></span></span>
    <span class="soft row-end"><${Time} ms=${one.began_ms || one.opened_ms} /></span>
  </a></li>`,
)}</ul>`;

export const FindingRows = ({ findings }) => html`<ul class="rows">${findings.map(
  (one) => html`<li key=${one.id}><a class=${`row${one.cleared ? " over" : ""}`} href=${`/findings/${one.id}`}>
    ${one.cleared ? html`<${Glyph} level="good" />` : html`<${Severity} value=${one.severity} bare />`}
    <span class="row-text">${titled(one.title)}</span>
    <span class="soft row-end"><${Time} ms=${one.seen_ms} /></span>
  </a></li>`,
)}</ul>`;
