import { html, useState } from "../lib/html.js";
import { may, post, remove, useApi } from "../lib/api.js";
import { span } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { entityHref, items } from "../lib/model.js";
import { Answer, Card, Dialog, Empty, Icon, PageHead, Time, useDeed } from "../ui/parts.js";

const HOURS = [0.5, 1, 4, 12, 24, 72, 168];

export function Silences() {
  const silences = useApi("/silences", { every: 30 });
  const [over, setOver] = useState(false);
  const [busy, run] = useDeed();
  const end = (one) => run(() => remove(`/silences/${encodeURIComponent(one.id)}`), t("silence.ended")).then(silences.reload);
  const make = () => setOver(true);
  return html`<div class="page">
    <${PageHead} title=${t("nav.silences")} lead=${t("silences.lead")}>${may("respond") ? html`<button class="button primary" onClick=${make}><${Icon} name="plus" />${t("silence.new")}</button>` : null}<//>
    <${Card} label=${t("nav.silences")}>
      <${Answer} of=${silences}>
        ${(data) =>
          items(data).length
            ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("silence.what")}</th><th>${t("silence.reason")}</th><th>${t("silence.by")}</th><th>${t("silence.ends")}</th><th></th></tr></thead>
                <tbody>${items(data).map(
                  (one) => html`<tr key=${one.id}><td class="wide">${one.entity ? html`<a href=${entityHref(one.entity)}>${one.entity}</a>` : t("silence.any_entity")} ${one.signal ? html`<code>${one.signal}</code>` : null}</td>
                    <td>${one.reason || html`<span class="faint">–</span>`}</td><td class="tight">${one.by}</td><td class="tight soft"><${Time} ms=${one.ends_ms} /></td>
                    <td class="tight end">${may("respond") && one.live !== false ? html`<button class="button small" disabled=${busy} onClick=${() => end(one)}>${t("silence.end")}</button>` : null}</td></tr>`,
                )}</tbody></table></div>`
            : html`<${Empty} icon="silences" title=${t("silences.empty.title")}><p>${t("silences.empty.text")}</p><//>`}
      <//>
    <//>
    ${over ? html`<${NewSilence} onClose=${() => setOver(false)} onMade=${silences.reload} />` : null}
  </div>`;
}

function NewSilence({ onClose, onMade }) {
  const [busy, run] = useDeed();
  const make = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const body = { entity: form.get("entity").trim(), signal: form.get("signal").trim(), length_s: Number(form.get("hours")) * 3600, reason: form.get("reason") };
    const { error } = await run(() => post("/silences", body), t("silence.made"));
    if (!error) {
      onMade();
      onClose();
    }
  };
  return html`<${Dialog} title=${t("silence.new")} onClose=${onClose}><form class="stack" onSubmit=${make}>
    <label class="field"><span>${t("finding.entity")}</span><input class="input" name="entity" placeholder="host/web-7" autofocus autocomplete="off" /><small>${t("silence.entity.hint")}</small></label>
    <label class="field"><span>${t("finding.signal")}</span><input class="input" name="signal" placeholder="system.cpu.utilization" autocomplete="off" /><small>${t("silence.signal.hint")}</small></label>
    <label class="field"><span>${t("silence.for")}</span><select class="input" name="hours">${HOURS.map((size) => html`<option value=${String(size)} selected=${size === 1}>${span(size * 3_600_000)}</option>`)}</select></label>
    <label class="field"><span>${t("silence.reason")}</span><input class="input" name="reason" placeholder=${t("silence.reason.example")} maxlength="1000" /></label>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("do.silence")}</button></div>
  </form><//>`;
}
