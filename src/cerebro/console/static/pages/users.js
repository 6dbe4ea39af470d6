import { html, useState } from "../lib/html.js";
import { changePassword, patch, post, remove, session, useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { useStore } from "../lib/store.js";
import { Answer, Card, Dialog, Icon, PageHead, Time, useDeed } from "../ui/parts.js";

const ROLES = ["viewer", "responder", "operator", "admin"];

export function Users() {
  const users = useApi("/users", { every: 60 });
  const { me } = useStore(session);
  const [over, setOver] = useState(null);
  const [busy, run] = useDeed();
  const drop = async () => {
    const { error } = await run(() => remove(`/users/${encodeURIComponent(over.drop)}`), t("users.removed", { who: over.drop }));
    if (!error) setOver(null);
    users.reload();
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.users")} lead=${t("users.lead")}><button class="button primary" onClick=${() => setOver({ make: true })}><${Icon} name="plus" />${t("users.new")}</button><//>
    <${Card} label=${t("nav.users")}><${Answer} of=${users}>
      ${(data) => html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("login.name")}</th><th>${t("users.role")}</th><th>${t("users.may")}</th><th>${t("users.since")}</th><th></th></tr></thead>
        <tbody>${items(data).map(
          (one) => html`<tr key=${one.login}><td class="strong wide">${one.login}${one.login === me?.name ? html` <span class="faint">${t("person.you")}</span>` : ""}${one.disabled ? html` <span class="state off">${t("users.disabled")}</span>` : ""}</td><td class="tight">${word("role", one.role)}</td><td class="soft">${t(`role.${one.role}.may`)}</td>
            <td class="tight soft"><${Time} ms=${one.made_ms} /></td><td class="tight end">${one.login === me?.name ? null : html`<button class="button small" onClick=${() => setOver({ change: one })}>${t("users.change")}</button> <button class="button small danger" disabled=${busy} onClick=${() => setOver({ drop: one.login })}>${t("users.remove")}</button>`}</td></tr>`,
        )}</tbody></table></div>`}
    <//><//>
    ${over?.make ? html`<${NewUser} onClose=${() => setOver(null)} onMade=${users.reload} />` : null}
    ${over?.change ? html`<${ChangeUser} one=${over.change} onClose=${() => setOver(null)} onMade=${users.reload} />` : null}
    ${over?.drop
      ? html`<${Dialog} title=${t("users.remove.title", { who: over.drop })} onClose=${() => setOver(null)}><p class="soft">${t("users.remove.text")}</p>
          <div class="dialog-foot"><button class="button" onClick=${() => setOver(null)}>${t("do.cancel")}</button><button class="button danger" disabled=${busy} onClick=${drop}>${t("users.remove")}</button></div><//>`
      : null}
  </div>`;
}

function NewUser({ onClose, onMade }) {
  const [busy, run] = useDeed();
  const make = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const login = form.get("login").trim();
    const { error } = await run(() => post("/users", { login, role: form.get("role"), password: form.get("password") }), t("users.made", { who: login }));
    if (!error) {
      onMade();
      onClose();
    }
  };
  return html`<${Dialog} title=${t("users.new")} onClose=${onClose}><form class="stack" onSubmit=${make}>
    <label class="field"><span>${t("login.name")}</span><input class="input" name="login" required autofocus autocomplete="off" autocapitalize="none" spellcheck="false" /></label>
    <label class="field"><span>${t("users.role")}</span><select class="input" name="role">${ROLES.map((role) => html`<option value=${role} selected=${role === "responder"}>${word("role", role)} – ${t(`role.${role}.may`)}</option>`)}</select></label>
    <label class="field"><span>${t("login.password")}</span><input class="input" name="password" type="password" required minlength="12" autocomplete="new-password" /><small>${t("users.password.hint")}</small></label>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("users.new")}</button></div>
  </form><//>`;
}

function ChangeUser({ one, onClose, onMade }) {
  const [busy, run] = useDeed();
  const change = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const body = { role: form.get("role"), disabled: form.has("disabled") };
    if (form.get("password")) body.password = form.get("password");
    const { error } = await run(() => patch(`/users/${encodeURIComponent(one.login)}`, body), t("users.changed", { who: one.login }));
    if (!error) {
      onMade();
      onClose();
    }
  };
  return html`<${Dialog} title=${t("users.change.title", { who: one.login })} onClose=${onClose}><form class="stack" onSubmit=${change}>
    <label class="field"><span>${t("users.role")}</span><select class="input" name="role" autofocus>${ROLES.map((role) => html`<option value=${role} selected=${role === one.role}>${word("role", role)} – ${t(`role.${role}.may`)}</option>`)}</select></label>
    <label class="field"><span>${t("users.password.new")}</span><input class="input" name="password" type="password" minlength="12" autocomplete="new-password" /><small>${t("users.password.keep")}</small></label>
    <div class="checks"><label><input type="checkbox" name="disabled" defaultChecked=${one.disabled} />${t("users.disable")}</label></div>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("do.save")}</button></div>
  </form><//>`;
}

// One's own password.
export function PasswordDialog({ onClose }) {
  const [busy, run] = useDeed();
  const change = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const { error } = await run(() => changePassword(form.get("password"), form.get("next")), t("password.changed"));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t("menu.password")} onClose=${onClose}><form class="stack" onSubmit=${change}>
    <label class="field"><span>${t("password.now")}</span><input class="input" name="password" type="password" required autofocus autocomplete="current-password" /></label>
    <label class="field"><span>${t("users.password.new")}</span><input class="input" name="next" type="password" required minlength="12" autocomplete="new-password" /><small>${t("users.password.hint")}</small></label>
    <p class="hint">${t("password.others")}</p>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("do.save")}</button></div>
  </form><//>`;
}
