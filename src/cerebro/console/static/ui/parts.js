// The parts that every page is made of.
import { html, useEffect, useReducer, useRef, useState } from "../lib/html.js";
import { relative, stamp, utc } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { entity as read, entityHref, severity as severityOf } from "../lib/model.js";
import { store, useStore } from "../lib/store.js";
import { Glyph, Icon } from "./icons.js";

export { Glyph, Icon };

// --- time: one clock ticks for all --------------------------------------------------------------------------------

const tick = store(Date.now());
setInterval(() => document.hidden || tick.set(Date.now()), 5000);
document.addEventListener("visibilitychange", () => document.hidden || tick.set(Date.now()));
export const useNow = () => useStore(tick);

// "5 min ago"; the exact local time and UTC when pointed at.
export function Time({ ms, exact = false }) {
  const now = useNow();
  if (!ms) return html`<span class="faint">–</span>`;
  return html`<time datetime=${new Date(ms).toISOString()} title=${`${stamp(ms)}\n${utc(ms)}`}>${exact ? stamp(ms) : relative(ms, Math.max(now, Date.now() - 5000))}</time>`;
}

// --- words with a shape -------------------------------------------------------------------------------------------

export function Severity({ value, bare = false }) {
  const level = severityOf(value);
  const text = word("severity", level);
  return html`<span class=${`severity s-${level}`} title=${bare ? text : undefined}>
    <${Glyph} level=${level} /><span class=${bare ? "visually-hidden" : ""}>${text}</span>
  </span>`;
}

const STATE_LOOK = { open: "hot", escalated: "hot", investigating: "warm", acting: "warm", verifying: "warm", resolved: "good", closed: "off" };
export const State = ({ value }) => html`<span class=${`state ${STATE_LOOK[value] ?? ""}`}>${word("state", value)}</span>`;

export function EntityLink({ of }) {
  const { kind, name } = read(of);
  return html`<a class="entity" href=${entityHref(of)}><span class="kind">${word("kind", kind)}</span><span>${name}</span></a>`;
}

export function Person({ name, me }) {
  if (!name) return html`<span class="faint">${t("person.nobody")}</span>`;
  return html`<span>${name}${name === me ? html` <span class="faint">${t("person.you")}</span>` : null}</span>`;
}

// --- frames -------------------------------------------------------------------------------------------------------

export function Card({ title, aside, actions, old = false, children, label }) {
  return html`<section class=${`card${old ? " old" : ""}`} aria-label=${label ?? (typeof title === "string" ? title : undefined)}>
    ${title ? html`<header><h2>${title}</h2>${aside ? html`<span class="aside">${aside}</span>` : null}<span class="grow"></span>${actions ?? null}</header>` : null}
    ${children}
  </section>`;
}

export function PageHead({ title, lead, before, children }) {
  useEffect(() => {
    document.title = title ? `${title} · Cerebro` : "Cerebro";
  }, [title]);
  return html`<div class="page-head"><h1>${before ? html`${before} ` : null}${title}</h1><div class="page-deeds">${children}</div>${lead ? html`<p class="lead">${lead}</p>` : null}</div>`;
}

export function Empty({ icon = "calm", title, children, small = false }) {
  return html`<div class=${`empty${small ? " small" : ""}`}>
    <${Icon} name=${icon} />
    <p class="strong">${title}</p>
    ${children}
  </div>`;
}

export function Failure({ error, retry }) {
  const known = error.code && t(`problem.${error.code}`) !== `problem.${error.code}` ? t(`problem.${error.code}`) : "";
  return html`<div class="failure" role="alert">
    <${Icon} name="warning" />
    <div>
      <p>${error.detail || known || t("problem.other", { status: error.status })}</p>
      ${error.mend || (error.status === 0 && t("problem.unreachable.mend")) ? html`<p class="mend">${error.mend || t("problem.unreachable.mend")}</p>` : null}
    </div>
    ${retry ? html`<button class="button small" onClick=${retry}><${Icon} name="retry" />${t("do.retry")}</button>` : null}
  </div>`;
}

const WIDTHS = ["w-90", "w-70", "w-80", "w-55", "w-85", "w-65", "w-75", "w-60"];
export const Bones = ({ count = 4 }) => html`<div class="bones" aria-busy="true" aria-label=${t("loading")}>
  ${Array.from({ length: count }, (_, index) => html`<span class=${`bone ${WIDTHS[index % WIDTHS.length]}`}></span>`)}
</div>`;

// An answer of the API: bones while it is awaited, the problem when there is none, else the children.
export function Answer({ of, bones = 4, children }) {
  if (of.data !== undefined) {
    return html`${of.error ? html`<${Failure} error=${of.error} retry=${of.reload} />` : null}${children(of.data)}`;
  }
  if (of.error) return html`<${Failure} error=${of.error} retry=${of.reload} />`;
  return html`<${Bones} count=${bones} />`;
}

// As `Answer`; where this Cerebro has no such door yet, an empty page that says so.
export function Offered({ of, icon, title, text, bones = 6, children }) {
  if (of.data === undefined && of.error?.status === 404) return html`<${Card}><${Empty} icon=${icon} title=${title}><p>${text}</p><//><//>`;
  return html`<${Answer} of=${of} bones=${bones}>${children}<//>`;
}

// Someone else was faster than what is written here: theirs to be read, and what shall become of mine.
export const Clash = ({ text, ms = 0, busy = false, onMine, onTheirs, children }) => html`<div class="lost clash" role="alert">
  <${Icon} name="warning" /><div class="clash-text"><p>${text}${ms ? html` <span class="soft"><${Time} ms=${ms} /></span>` : null}</p><details class="query"><summary>${t("clash.theirs")}</summary>${children}</details></div>
  <button type="button" class="button small" disabled=${busy} onClick=${onMine}>${t("clash.keep_mine")}</button><button type="button" class="button small" disabled=${busy} onClick=${onTheirs}>${t("clash.discard_mine")}</button>
</div>`;

// --- things to press ----------------------------------------------------------------------------------------------

export function Copy({ text, label }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (await copyText(text)) {
      setDone(true);
      setTimeout(() => setDone(false), 1600);
    }
  };
  return html`<button type="button" class="button small copy" onClick=${copy}><${Icon} name=${done ? "check" : "copy"} />${done ? t("do.copied") : (label ?? t("do.copy"))}</button>`;
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain HTTP on an address that is not loopback: the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

export const Snippet = ({ text }) => html`<div class="snippet"><pre tabindex="0">${text}</pre><${Copy} text=${text} /></div>`;

export const Chips = ({ label, value, options, onChange }) => html`<div class="chips" role="group" aria-label=${label}>
  ${options.map(([key, text]) => html`<button type="button" aria-pressed=${String(value === key)} onClick=${() => onChange(key)}>${text}</button>`)}
</div>`;

export function Meter({ share, look = "", label }) {
  const bounded = Math.min(1, Math.max(0, share || 0));
  return html`<div class=${`meter ${look}`} role="meter" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(bounded * 100)} aria-label=${label}>
    <i ref=${(bar) => bar && (bar.style.width = `${bounded * 100}%`)}></i>
  </div>`;
}

// A dialog that the browser itself keeps: focus stays inside, Escape closes.
export function Dialog({ title, onClose, look = "", children }) {
  const box = useRef(null);
  useEffect(() => {
    const dialog = box.current;
    dialog.showModal();
    return () => dialog.open && dialog.close();
  }, []);
  const outside = (event) => event.target === box.current && onClose();
  return html`<dialog ref=${box} class=${look} aria-label=${title} onClose=${onClose} onCancel=${onClose} onMouseDown=${outside}>
    ${look.includes("palette")
      ? children
      : html`<div class="dialog-head"><h2>${title}</h2><button type="button" class="button bare square small" aria-label=${t("do.close_dialog")} onClick=${onClose}><${Icon} name="close" /></button></div>
          <div class="dialog-body">${children}</div>`}
  </dialog>`;
}

// --- what just happened -------------------------------------------------------------------------------------------

const toasts = store([]);
let toastCount = 0;

export function toast(text, { bad = false, mend = "" } = {}) {
  const id = ++toastCount;
  toasts.set([...toasts.get().slice(-3), { id, text, bad, mend }]);
  setTimeout(() => toasts.set(toasts.get().filter((one) => one.id !== id)), bad ? 9000 : 3500);
}

export const complain = (error) => toast(error.detail || word("problem", error.code) || error.message, { bad: true, mend: error.mend });

export function Toasts() {
  const shown = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map(
      (one) => html`<div key=${one.id} class=${`toast${one.bad ? " bad" : ""}`}>
        <${Icon} name=${one.bad ? "warning" : "check"} />
        <div><p>${one.text}</p>${one.mend ? html`<p class="soft">${one.mend}</p>` : null}</div>
      </div>`,
    )}
  </div>`;
}

// Runs something that the server may refuse; says so, and tells whether it is running. What is said of success may
// depend on the answer.
export function useDeed() {
  const [busy, setBusy] = useReducer((_, next) => next, false);
  const run = async (deed, done = "") => {
    setBusy(true);
    try {
      const answer = await deed();
      if (done) toast(typeof done === "function" ? done(answer) : done);
      return { answer };
    } catch (error) {
      if (error.status === undefined) throw error;
      complain(error);
      return { error };
    } finally {
      setBusy(false);
    }
  };
  return [busy, run];
}
