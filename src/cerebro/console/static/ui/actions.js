// Actions as cards: what would change, what it can cost, what is expected, how it is checked and taken back.
import { html, useState } from "../lib/html.js";
import { may, post } from "../lib/api.js";
import { span } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { entity } from "../lib/model.js";
import { Dialog, EntityLink, Icon, State, Time, useDeed } from "./parts.js";

export const WAITING = ["proposed", "awaiting_approval"];
export const UNDER_WAY = ["approved", "executing", "verifying", "undoing"];
const LOOK = { helped: "good", undone: "off", failed: "hot", escalated: "hot", unverified: "off", refused: "off", expired: "off", executing: "warm", verifying: "warm", undoing: "warm", approved: "warm", awaiting_approval: "hot", proposed: "warm" };

export const ActionState = ({ value }) => html`<span class=${`state ${LOOK[value] ?? ""}`}>${word("action.state", value)}</span>`;
export const Risk = ({ value }) => html`<span class=${`risk r-${value}`} title=${t("action.risk")}><i aria-hidden="true"></i>${word("risk", value)}</span>`;

// What people can do with an action now: each under the words of the server when it refuses.
export function useActions(reload) {
  const [busy, run] = useDeed();
  const [asked, setAsked] = useState(null); // { action, verb }
  const tell = (action, verb, body = {}) => run(() => post(`/actions/${encodeURIComponent(action.id)}/${verb}`, body), t(`action.did.${verb}`)).then((outcome) => (reload(), setAsked(null), outcome));
  return { busy, asked, setAsked, tell };
}

export function ActionCards({ actions, reload, keys = false, cases = false }) {
  const deeds = useActions(reload);
  const sorted = [...actions].sort((a, b) => order(a) - order(b) || b.updated_ms - a.updated_ms);
  const first = sorted.find((one) => WAITING.includes(one.state));
  const mine = keys && first && may("respond");
  useKeys(t("action.title"), mine ? [["A", t("do.approve"), () => deeds.setAsked({ action: first, verb: "approve" })], ["R", t("do.refuse"), () => deeds.setAsked({ action: first, verb: "refuse" })]] : []);
  return html`<ul class="action-cards">${sorted.map((action) => html`<li key=${action.id}><${ActionCard} action=${action} deeds=${deeds} keyed=${mine && action === first} cases=${cases} /></li>`)}</ul>
    ${deeds.asked ? html`<${Confirm} ...${deeds.asked} deeds=${deeds} />` : null}`;
}

const order = (action) => (WAITING.includes(action.state) ? 0 : UNDER_WAY.includes(action.state) ? 1 : 2);

function ActionCard({ action, deeds, keyed, cases }) {
  const waits = WAITING.includes(action.state);
  const undoable = ["helped", "unverified", "escalated"].includes(action.state);
  const judged = action.started_ms && action.ended_ms && !action.verdict;
  const [open, setOpen] = useState(waits || UNDER_WAY.includes(action.state));
  if (!open) {
    return html`<article class="action over" aria-label=${action.title}>
      <p class="action-head"><button class="link" aria-expanded="false" onClick=${() => setOpen(true)}>${action.title}</button><span class="grow"></span><${ActionState} value=${action.state} /></p>
      ${action.outcome ? html`<p class="soft">${action.outcome}</p>` : null}
    </article>`;
  }
  return html`<article class=${`action ${waits ? "waits" : ""}`} aria-label=${action.title}>
    <p class="action-head"><b>${action.title}</b><span class="grow"></span><${ActionState} value=${action.state} /></p>
    <p class="row-note"><${EntityLink} of=${action.target} /><${Risk} value=${action.risk} /><a class="faint" href=${`/playbooks/${encodeURIComponent(action.playbook)}`}>${action.playbook}</a>${cases ? html`<a class="inline" href=${`/cases/${action.case}`}>${t("finding.case")}</a>` : null}</p>
    <${Differences} action=${action} />
    <${Promised} action=${action}>
      ${action.outcome ? html`<dt>${t("action.outcome")}</dt><dd>${action.outcome}</dd>` : null}
      ${action.verdict ? html`<dt>${t("action.verdict")}</dt><dd>${t(action.verdict === "good" ? "action.good" : "action.bad")} <span class="faint">${action.verdict_by}</span></dd>` : null}
    <//>
    ${action.reasons?.length ? html`<details class="query"><summary>${t("action.why")}</summary><ul class="bullets">${action.reasons.map((reason) => html`<li>${reason.text}</li>`)}</ul></details>` : null}
    ${action.story?.length ? html`<details class="query"><summary>${t("action.story", { count: action.story.length })}</summary><ul class="bullets">${action.story.map((turn) => html`<li><span class="faint"><${Time} ms=${turn.at_ms} /></span> ${turn.text}</li>`)}</ul></details>` : null}
    ${may("respond") && (waits || undoable || judged)
      ? html`<p class="action-deeds">
          ${waits ? html`<button class="button primary small" disabled=${deeds.busy} onClick=${() => deeds.setAsked({ action, verb: "approve" })}><${Icon} name="check" />${t("do.approve")}${keyed ? html`<kbd>⇧A</kbd>` : null}</button>
            <button class="button small" disabled=${deeds.busy} onClick=${() => deeds.setAsked({ action, verb: "refuse" })}>${t("do.refuse")}${keyed ? html`<kbd>⇧R</kbd>` : null}</button>` : null}
          ${judged ? html`<span class="soft">${t("action.judge")}</span><button class="button small" disabled=${deeds.busy} onClick=${() => deeds.tell(action, "verdict", { verdict: "good" })}>${t("action.good")}</button><button class="button small" disabled=${deeds.busy} onClick=${() => deeds.tell(action, "verdict", { verdict: "bad" })}>${t("action.bad")}</button>` : null}
          ${undoable ? html`<button class="button small" disabled=${deeds.busy} onClick=${() => deeds.setAsked({ action, verb: "undo" })}><${Icon} name="retry" />${t("do.undo")}</button>` : null}
        </p>`
      : null}
  </article>`;
}

// What is expected of it, how that is looked at, and what takes it back.
const Promised = ({ action, children }) => html`<dl class="facts small">
  ${action.predicted ? html`<dt>${t("action.predicted")}</dt><dd>${action.predicted}</dd>` : null}
  ${action.expect ? html`<dt>${t("action.verify")}</dt><dd>${word("expect", action.expect.of)}, ${t("action.within", { span: span(action.expect.within_s * 1000) })}</dd>` : null}
  <dt>${t("action.undo")}</dt><dd>${undoText(action)}</dd>
  ${children}
</dl>`;

function undoText(action) {
  const back = (action.steps ?? []).flatMap((step) => step.undo ?? []);
  if (!back.length) return t("action.undo.none");
  return [...new Set(back.map((call) => `${call.operation} ${entity(call.target).text}`))].join(", ");
}

export function Differences({ action }) {
  const steps = action.steps ?? [];
  const changes = steps.flatMap((step) => step.changes ?? []);
  const bare = steps.filter((step) => !step.changes?.length); // they are called all the same
  return html`${bare.length ? html`<p class="hint">${bare.map((step) => called(step.call)).join(" · ")}</p>` : null}
    ${changes.length ? html`<table class="diff"><tbody>${changes.map((change) => html`<tr><th scope="row">${change.what}</th><td class="was"><span aria-hidden="true">− </span>${change.before || "–"}</td><td class="will"><span aria-hidden="true">+ </span>${change.after || "–"}</td></tr>`)}</tbody></table>` : null}`;
}

const called = (call) => [call.operation, entity(call.target).text, ...Object.entries(call.arguments ?? {}).map(([name, value]) => `${name}=${value}`)].join(" ");

// Nothing is done that was not shown: the approval names the digest of what stands here.
function Confirm({ action, verb, deeds }) {
  const [reason, setReason] = useState("");
  const close = () => deeds.setAsked(null);
  const go = (event) => {
    event.preventDefault();
    deeds.tell(action, verb, verb === "approve" ? { digest: action.digest } : { reason });
  };
  return html`<${Dialog} title=${t(`action.ask.${verb}`)} look="wide" onClose=${close}><form class="stack" onSubmit=${go}>
    <p class="strong">${action.title}</p><p class="row-note"><${EntityLink} of=${action.target} /><${Risk} value=${action.risk} /></p>
    <${Differences} action=${action} />
    <${Promised} action=${action} />
    ${verb === "approve" ? html`<p class="hint">${t("action.digest")} <code>${(action.digest ?? "").slice(0, 16)}</code></p>` : html`<label class="field"><span>${t("silence.reason")}</span><input class="input" value=${reason} onInput=${(event) => setReason(event.target.value)} autofocus /></label>`}
    <div class="dialog-foot"><button type="button" class="button" onClick=${close}>${t("do.cancel")}</button><button class=${`button ${verb === "approve" ? "primary" : "danger"}`} disabled=${deeds.busy} autofocus=${verb === "approve"}>${t(`do.${verb}`)}</button></div>
  </form><//>`;
}
