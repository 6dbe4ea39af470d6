// What keeps Cerebro from acting now, on every page: it is why nothing happens.
import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { plain } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Icon, Time } from "./parts.js";

export const SWITCHES = ["stopped", "frozen"]; // the one that keeps back more comes first

export const usePolicy = () => useApi("/autonomy", { every: 60, kinds: "autonomy" }).data?.policy ?? {};
export const isHalted = (policy) => SWITCHES.some((name) => policy[name]);

// Who turned a switch last, when, and why.
export function Turned({ policy, name }) {
  const [by, ms, reason] = [policy[`${name}_by`], policy[`${name}_ms`], policy[`${name}_reason`]];
  return html`${by ?? ""}${ms ? html`${by ? ", " : ""}<${Time} ms=${ms} />` : null}${reason ? html`: ${plain(reason)}` : null}`;
}

export function PolicyStrip() {
  const policy = usePolicy();
  const on = SWITCHES.filter((name) => policy[name]);
  if (!on.length) return null;
  return html`<div class=${`lost page halted ${on[0]}`} role="status"><${Icon} name="autonomy" />
    <div class="halted-text">${on.map((name) => html`<p key=${name}><b>${t(`autonomy.halted.${name}`)}</b> <span class="soft"><${Turned} policy=${policy} name=${name} /></span></p>`)}</div>
    <a class="button small" href="/autonomy">${t("nav.autonomy")}</a></div>`;
}
