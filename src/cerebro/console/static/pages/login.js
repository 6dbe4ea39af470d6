import { html, useState } from "../lib/html.js";
import { login, resume, session } from "../lib/api.js";
import { language, LANGUAGES, t } from "../lib/i18n.js";
import { useStore } from "../lib/store.js";
import { Icon, Logo } from "../ui/icons.js";
import { Failure } from "../ui/parts.js";

export function Login({ onTheme, onLanguage }) {
  const { unreachable } = useStore(session);
  const [fault, setFault] = useState(null);
  const [busy, setBusy] = useState(false);
  const enter = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    setFault(null);
    try {
      await login(form.get("name").trim(), form.get("password"));
    } catch (error) {
      if (error.status === undefined) throw error;
      setFault(error);
      setBusy(false);
    }
  };
  document.title = "Cerebro";
  const other = Object.entries(LANGUAGES).find(([code]) => code !== language.get());
  return html`<div class="login">
    <div class="login-tools">
      <button class="button bare" onClick=${onLanguage} lang=${other[0]}><${Icon} name="language" />${other[1]}</button>
      <button class="button bare square" onClick=${onTheme} aria-label=${t("menu.theme")}><${Icon} name="sun" /></button>
    </div>
    <main class="login-box">
      <div class="login-brand"><${Logo} /><h1>Cerebro</h1></div>
      ${unreachable && !fault ? html`<${Failure} error=${{ status: 0, code: "unreachable" }} retry=${resume} />` : null}
      <form onSubmit=${enter} class="stack">
        <label class="field"><span>${t("login.name")}</span><input class="input" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus aria-invalid=${String(Boolean(fault))} /></label>
        <label class="field"><span>${t("login.password")}</span><input class="input" name="password" type="password" autocomplete="current-password" required aria-invalid=${String(Boolean(fault))} /></label>
        ${fault ? html`<${Failure} error=${fault} />` : null}
        <button class="button primary" disabled=${busy}>${busy ? t("login.busy") : t("login.enter")}</button>
      </form>
      <div class="login-hint">
        <p class="strong">${t("login.first.title")}</p>
        <p>${t("login.first.text")}</p>
        <p><code>cerebro user add NAME --role responder</code></p>
      </div>
    </main>
  </div>`;
}
