import { html, useState } from "../lib/html.js";
import { get, useApi } from "../lib/api.js";
import { count } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { Answer, Card, Empty, Glyph, Icon, PageHead, Time, useDeed } from "../ui/parts.js";

export function Audit() {
  const audit = useApi("/audit?limit=200", { every: 30 });
  const [verdict, setVerdict] = useState(null);
  const [busy, run] = useDeed();
  const verify = async () => {
    const { answer } = await run(() => get("/audit/verify"));
    if (answer) setVerdict(answer);
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.audit")} lead=${t("audit.lead")}><button class="button" disabled=${busy} onClick=${verify}><${Icon} name="check" />${t("audit.verify")}</button><//>
    ${verdict ? html`<p class=${`verdict ${verdict.intact ? "s-good" : "s-critical"}`} role="status"><${Glyph} level=${verdict.intact ? "good" : "critical"} />${verdict.intact ? t("audit.intact", { count: count(verdict.count) }) : t("audit.broken", { at: verdict.broken_at, reason: verdict.reason ?? "" })}</p>` : null}
    <${Card} label=${t("nav.audit")}><${Answer} of=${audit} bones=${8}>
      ${(data) =>
        items(data).length
          ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("audit.when")}</th><th>${t("audit.who")}</th><th>${t("audit.did")}</th><th>${t("audit.to")}</th><th>${t("audit.details")}</th></tr></thead>
              <tbody>${items(data).map(
                (one) => html`<tr key=${one.seq}><td class="tight soft"><${Time} ms=${one.at_ms} exact /></td><td class="tight">${one.actor}</td><td class="tight strong">${one.action}</td><td>${one.object}</td><td class="soft mono wide">${detail(one)}</td></tr>`,
              )}</tbody></table></div>`
          : html`<${Empty} icon="audit" title=${t("audit.empty")} />`}
    <//><//>
  </div>`;
}

const detail = (one) => {
  const facts = one.detail ?? "";
  return typeof facts === "string" ? facts : Object.entries(facts).map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ");
};
