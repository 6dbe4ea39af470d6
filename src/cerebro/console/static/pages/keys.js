import { html, useState } from "../lib/html.js";
import { post, remove, useApi } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { Answer, Card, Dialog, Empty, Icon, PageHead, Snippet, Time, useDeed } from "../ui/parts.js";

const SCOPES = ["ingest", "read", "respond", "operate", "admin"];

export function Keys() {
  const keys = useApi("/keys", { every: 60 });
  const [over, setOver] = useState(null);
  const [busy, run] = useDeed();
  const end = async () => {
    const { error } = await run(() => remove(`/keys/${encodeURIComponent(over.end.prefix)}`), t("keys_page.ended", { name: over.end.name }));
    if (!error) setOver(null);
    keys.reload();
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.keys")} lead=${t("keys_page.lead")}><button class="button primary" onClick=${() => setOver({ make: true })}><${Icon} name="plus" />${t("keys_page.new")}</button><//>
    <${Card} label=${t("nav.keys")}><${Answer} of=${keys}>
      ${(data) =>
        items(data).length
          ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("keys_page.name")}</th><th>${t("keys_page.prefix")}</th><th>${t("keys_page.scopes")}</th><th>${t("users.since")}</th><th>${t("keys_page.used")}</th><th>${t("keys_page.ends")}</th><th></th></tr></thead>
              <tbody>${items(data).map(
                (one) => html`<tr key=${one.prefix}><td class="strong wide">${one.name}</td><td class="tight mono">${one.prefix}…</td><td>${(one.scopes ?? []).map((scope) => html`<span class="state">${scope}</span> `)}</td>
                  <td class="tight soft" title=${one.made_by}><${Time} ms=${one.made_ms} /></td><td class="tight soft" data-label=${t("keys_page.used")}>${one.last_used_ms ? html`<${Time} ms=${one.last_used_ms} />` : t("keys_page.unused")}</td><td class="tight soft" data-label=${t("keys_page.ends")}>${one.expires_ms ? html`<${Time} ms=${one.expires_ms} />` : t("keys_page.never")}</td>
                  <td class="tight end"><button class="button small danger" disabled=${busy} onClick=${() => setOver({ end: one })}>${t("keys_page.end")}</button></td></tr>`,
              )}</tbody></table></div>`
          : html`<${Empty} icon="keys" title=${t("keys_page.empty.title")}><p>${t("keys_page.empty.text")}</p><//>`}
    <//><//>
    ${over?.make ? html`<${NewKey} onClose=${() => setOver(null)} onMade=${keys.reload} />` : null}
    ${over?.end
      ? html`<${Dialog} title=${t("keys_page.end.title", { name: over.end.name })} onClose=${() => setOver(null)}><p class="soft">${t("keys_page.end.text")}</p>
          <div class="dialog-foot"><button class="button" onClick=${() => setOver(null)}>${t("do.cancel")}</button><button class="button danger" disabled=${busy} onClick=${end}>${t("keys_page.end")}</button></div><//>`
      : null}
  </div>`;
}

function NewKey({ onClose, onMade }) {
  const [busy, run] = useDeed();
  const [made, setMade] = useState("");
  const make = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const { answer } = await run(() => post("/keys", { name: form.get("name").trim(), scopes: form.getAll("scopes") }));
    if (!answer) return;
    setMade(answer.key);
    onMade();
  };
  if (made) {
    return html`<${Dialog} title=${t("keys_page.made")} onClose=${onClose}><p>${t("keys_page.made.text")}</p><${Snippet} text=${made} />
      <div class="dialog-foot"><button class="button primary" onClick=${onClose}>${t("do.done")}</button></div><//>`;
  }
  return html`<${Dialog} title=${t("keys_page.new")} onClose=${onClose}><form class="stack" onSubmit=${make}>
    <label class="field"><span>${t("keys_page.name")}</span><input class="input" name="name" required autofocus autocomplete="off" placeholder="prometheus-eu-1" /></label>
    <fieldset class="field bare"><span>${t("keys_page.scopes")}</span><div class="checks">${SCOPES.map((scope) => html`<label><input type="checkbox" name="scopes" value=${scope} defaultChecked=${scope === "ingest"} />${scope}</label>`)}</div><small class="hint">${t("keys_page.scopes.hint")}</small></fieldset>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("keys_page.new")}</button></div>
  </form><//>`;
}
