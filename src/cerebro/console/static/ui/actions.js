// Actions as cards: what would change, what it can cost, what is expected, how it is checked and taken back.
import { html, useState } from "../lib/html.js";
import { may, post, query } from "../lib/api.js";
import { plainly, relative, span, stamp, utc, utcMinute } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { entity } from "../lib/model.js";
import { Dialog, EntityLink, Icon, Time, useDeed, useNow } from "./parts.js";

const WAITING = ["proposed", "awaiting_approval"];
const UNDER_WAY = ["approved", "executing", "verifying", "undoing"];
const UNDOABLE = ["helped", "unverified", "escalated", "executing", "verifying"];
const ENDED = ["refused", "expired", "helped", "unverified", "undone", "failed", "escalated"];
const LOOK = { helped: "good", undone: "off", failed: "hot", escalated: "hot", unverified: "off", refused: "off", expired: "off", executing: "warm", verifying: "warm", undoing: "warm", approved: "warm", awaiting_approval: "hot", proposed: "warm" };

// Pages of the API; an escalated one stands in both, for it is over once a person has judged it.
export const OPEN_ACTIONS = `/actions${query({ state: ["escalated", ...WAITING, ...UNDER_WAY].join(","), limit: 200 })}`;
export const ENDED_ACTIONS = `/actions${query({ state: ENDED.join(","), limit: 200 })}`;

const waits = (action) => WAITING.includes(action.state);
const isStuck = (action) => action.state === "escalated" && !action.verdict;
export const needsPerson = (action) => isStuck(action) || waits(action);
export const isOpen = (action) => needsPerson(action) || UNDER_WAY.includes(action.state);

// How many there are, "200+" where the page tells of more.
export const counted = (count, page) => `${count}${page?.cursor ? "+" : ""}`;

export const ActionState = ({ value }) => html`<span class=${`state ${LOOK[value] ?? ""}`}>${word("action.state", value)}</span>`;
export const Risk = ({ value }) => html`<span class=${`risk r-${value}`} title=${t("action.risk")}><i aria-hidden="true"></i>${word("risk", value)}</span>`;

// What people can do with an action as it stands.
const OFFERED = {
  approve: waits,
  refuse: (action) => waits(action) || action.state === "approved",
  undo: (action) => UNDOABLE.includes(action.state) && (action.steps ?? []).some((step) => step.undo?.length && step.state !== "planned"),
};
const mayDecide = (action) => may(action.needs || "respond");

// Each deed under the words of the server when it refuses; what was asked for stays asked then, with the reason given.
function useActions(reload) {
  const [busy, run] = useDeed();
  const [asked, setAsked] = useState(null); // { action, verb }
  const tell = async (action, verb, body = {}) => {
    const { error } = await run(() => post(`/actions/${encodeURIComponent(action.id)}/${verb}`, body), t(`action.did.${verb}`));
    reload();
    if (!error) setAsked(null);
  };
  return { busy, asked, setAsked, tell };
}

export function ActionCards({ actions, reload, keys = false, cases = false }) {
  const deeds = useActions(reload);
  const shown = actions.map(plainly).sort((a, b) => order(a) - order(b) || b.updated_ms - a.updated_ms);
  const first = keys ? shown.find((one) => waits(one) && mayDecide(one)) : undefined;
  useKeys(t("action.title"), first ? [["A", t("do.approve"), () => deeds.setAsked({ action: first, verb: "approve" })], ["R", t("do.refuse"), () => deeds.setAsked({ action: first, verb: "refuse" })]] : []);
  return html`<ul class="action-cards">${shown.map((action) => html`<li key=${action.id}><${ActionCard} action=${action} deeds=${deeds} keyed=${action === first} cases=${cases} /></li>`)}</ul>
    ${deeds.asked ? html`<${Confirm} ...${deeds.asked} now=${shown.find((one) => one.id === deeds.asked.action.id)} deeds=${deeds} />` : null}`;
}

const order = (action) => [isStuck, waits, isOpen, () => true].findIndex((holds) => holds(action));

function ActionCard({ action, deeds, keyed, cases }) {
  const [unfolded, setUnfolded] = useState(isOpen(action));
  if (!unfolded && !isOpen(action)) {
    return html`<article class="action over" aria-label=${action.title}>
      <p class="action-head"><button class="link" aria-expanded="false" onClick=${() => setUnfolded(true)}>${action.title}</button><span class="grow"></span><${ActionState} value=${action.state} /></p>
      ${action.outcome ? html`<p class="soft">${action.outcome}</p>` : null}
    </article>`;
  }
  return html`<article class=${`action ${isStuck(action) ? "stuck" : waits(action) ? "waits" : ""}`} aria-label=${action.title}>
    <p class="action-head"><b>${action.title}</b><span class="grow"></span><${ActionState} value=${action.state} /></p>
    <p class="row-note"><${EntityLink} of=${action.target} /><${Risk} value=${action.risk} /><a class="faint" href=${`/playbooks/${encodeURIComponent(action.playbook)}`}>${action.playbook}</a>${cases ? html`<a class="inline" href=${`/cases/${action.case}`}>${t("finding.case")}</a>` : null}</p>
    <${Held} action=${action} />
    <${Differences} action=${action} />
    <${Promised} action=${action}>
      <dt>${t("action.undo")}</dt><dd>${undoText(action)}</dd>
      ${action.outcome ? html`<dt>${t("action.outcome")}</dt><dd>${action.outcome}</dd>` : null}
      ${action.verdict ? html`<dt>${t("action.verdict")}</dt><dd>${t(action.verdict === "good" ? "action.good" : "action.bad")} <span class="faint">${action.verdict_by}</span></dd>` : null}
    <//>
    ${action.reasons?.length ? html`<details class="query"><summary>${t("action.why")}</summary><ul class="bullets">${action.reasons.map((reason) => html`<li>${reason.text}</li>`)}</ul></details>` : null}
    ${action.story?.length ? html`<details class="query"><summary>${t("action.story", { count: action.story.length })}</summary><ul class="bullets">${action.story.map((turn) => html`<li><span class="faint"><${Time} ms=${turn.at_ms} /></span> ${turn.text}</li>`)}</ul></details>` : null}
    <${Deeds} action=${action} deeds=${deeds} keyed=${keyed} />
  </article>`;
}

// Why it has not begun, and until when it may.
function Held({ action }) {
  const now = useNow();
  const ms = waits(action) || action.state === "approved" ? (action.expires_ms ?? 0) : 0;
  if (!action.held && !ms) return null;
  return html`<p class="row-note held">
    ${action.held ? html`<span class="s-major"><${Icon} name="clock" /> ${t("action.held", { why: word("action.bar", action.held) })}</span>` : null}
    ${ms ? html`<span class="soft" title=${`${stamp(ms)}\n${utc(ms)}`}>${t(ms > now ? "action.expires" : "action.expired", { time: utcMinute(ms), when: relative(ms, now) })}</span>` : null}
  </p>`;
}

function Deeds({ action, deeds, keyed }) {
  const offered = Object.keys(OFFERED).filter((verb) => OFFERED[verb](action));
  const mine = mayDecide(action);
  const judged = may("respond") && action.started_ms && action.ended_ms && !action.verdict;
  const ask = (verb) => deeds.setAsked({ action, verb });
  const judge = (verdict) => deeds.tell(action, "verdict", { verdict });
  if (!offered.length && !judged) return null;
  return html`${offered.length && !mine ? html`<p class="hint">${word(waits(action) ? "action.by" : "action.back", action.needs || "respond")}</p>` : null}
    ${(offered.length && mine) || judged
      ? html`<p class="action-deeds">
          ${mine && offered.includes("approve") ? html`<button class="button primary small" disabled=${deeds.busy} onClick=${() => ask("approve")}><${Icon} name="check" />${t("do.approve")}${keyed ? html`<kbd>⇧A</kbd>` : null}</button>` : null}
          ${mine && offered.includes("refuse") ? html`<button class="button small" disabled=${deeds.busy} onClick=${() => ask("refuse")}>${t("do.refuse")}${keyed ? html`<kbd>⇧R</kbd>` : null}</button>` : null}
          ${judged ? html`<span class="soft">${t("action.judge")}</span><button class="button small" disabled=${deeds.busy} onClick=${() => judge("good")}>${t("action.good")}</button><button class="button small" disabled=${deeds.busy} onClick=${() => judge("bad")}>${t("action.bad")}</button>` : null}
          ${mine && offered.includes("undo") ? html`<button class="button small" disabled=${deeds.busy} onClick=${() => ask("undo")}><${Icon} name="retry" />${t("do.undo")}</button>` : null}
        </p>`
      : null}`;
}

// What is expected of it, and how that is looked at.
const Promised = ({ action, children }) => html`<dl class="facts small">
  ${action.predicted ? html`<dt>${t("action.predicted")}</dt><dd>${action.predicted}</dd>` : null}
  ${action.expect ? html`<dt>${t("action.verify")}</dt><dd>${word("expect", action.expect.of)}, ${t("action.within", { span: span(action.expect.within_s * 1000) })}</dd>` : null}
  ${children}
</dl>`;

function undoText(action) {
  const back = (action.steps ?? []).flatMap((step) => step.undo ?? []);
  if (!back.length) return t("action.undo.none");
  return [...new Set(back.map((call) => `${call.operation} ${entity(call.target).text}`))].join(", ");
}

// In short: what would be other than it is, and what is called though nothing tells what it changes.
function Differences({ action }) {
  const steps = action.steps ?? [];
  const bare = steps.filter((step) => !step.changes?.length);
  return html`${bare.length ? html`<p class="hint">${bare.map((step) => called(step.call)).join(" · ")}</p>` : null}
    <${Changes} of=${steps.flatMap((step) => step.changes ?? [])} />`;
}

const Changes = ({ of }) => (of.length ? html`<table class="diff"><tbody>${of.map((change) => html`<tr><th scope="row">${change.what}</th><td class="was"><span aria-hidden="true">− </span>${change.before || "–"}</td><td class="will"><span aria-hidden="true">+ </span>${change.after || "–"}</td></tr>`)}</tbody></table>` : null);

// In full, as it is approved: each call, what it changes, and what takes it back.
const Steps = ({ action }) => html`<ol class="steps">${(action.steps ?? []).map((step, index, all) => html`<li class="step">
  <p>${all.length > 1 ? html`<span class="faint">${index + 1}/${all.length}</span> ` : null}<code class="call">${called(step.call)}</code></p>
  <${Changes} of=${step.changes ?? []} />
  ${step.undo?.length ? step.undo.map((call) => html`<p class="soft">${t("action.undo")}: <code>${called(call)}</code></p>`) : html`<p class="soft">${t("action.undo.none")}</p>`}
</li>`)}</ol>`;

function called(call) {
  const values = Object.entries(call.arguments ?? {}).map(([name, value]) => `${name}=${quoted(value)}`);
  const by = [call.executor, call.door].filter(Boolean).join("@");
  return [[by, call.operation].filter(Boolean).join("."), entity(call.target).text, ...values].join(" ");
}

// A value with blanks in it is not to be taken for two.
const quoted = (value) => (/^[^\s"=]+$/u.test(value) ? value : JSON.stringify(value));

// Nothing is done that was not shown: the approval names the digest of what stands here, and an action that has become
// another meanwhile is looked at again before.
function Confirm({ action: seen, now = seen, verb, deeds }) {
  const [reason, setReason] = useState("");
  const close = () => deeds.setAsked(null);
  const action = verb === "approve" ? seen : now;
  const over = !OFFERED[verb](now);
  const moved = !deeds.busy && (over || now.digest !== action.digest);
  const go = (event) => {
    event.preventDefault();
    if (!deeds.busy && !moved) deeds.tell(action, verb, verb === "approve" ? { digest: action.digest } : { reason });
  };
  return html`<${Dialog} title=${t(`action.ask.${verb}`)} look="wide" onClose=${close}><form class="stack" onSubmit=${go}>
    <p class="strong">${action.title}</p><p class="row-note"><${EntityLink} of=${action.target} /><${Risk} value=${action.risk} /><span class="faint">${action.playbook}${action.playbook_version ? ` v${action.playbook_version}` : ""}</span></p>
    <${Held} action=${now} />
    <${Steps} action=${action} />
    <${Promised} action=${action} />
    ${verb === "approve" ? html`<p class="hint">${t("action.digest")} <code>${(action.digest ?? "").slice(0, 16)}</code></p>` : html`<label class="field"><span>${t("silence.reason")}</span><input class="input" value=${reason} onInput=${(event) => setReason(event.target.value)} maxlength="1000" autofocus /></label>`}
    <div class="dialog-foot">${moved ? html`<p class="lost clash" role="alert"><${Icon} name="warning" /><span>${t("action.moved", { state: word("action.state", now.state) })}</span><span class="grow"></span>${over ? null : html`<button type="button" class="button small" onClick=${() => deeds.setAsked({ action: now, verb })}>${t("action.moved.show")}</button>`}</p>` : null}
      <button type="button" class="button" onClick=${close}>${t("do.cancel")}</button><button class=${`button ${verb === "approve" ? "primary" : "danger"}`} disabled=${deeds.busy || moved} autofocus=${verb === "approve"}>${t(`do.${verb}`)}</button></div>
  </form><//>`;
}
