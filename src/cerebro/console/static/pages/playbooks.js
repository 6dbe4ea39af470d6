import { html, useEffect, useRef, useState } from "../lib/html.js";
import { may, post, useApi } from "../lib/api.js";
import { count, plain, span, stamp, utc, weekday } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Risk } from "../ui/actions.js";
import { Backtest } from "./playbook.js";
import { Card, Dialog, Empty, Glyph, Icon, Offered, PageHead, useDeed } from "../ui/parts.js";
import { isHalted, SWITCHES, Turned } from "../ui/policy.js";

export const LEVELS = ["suggest", "ask", "act", "silent"];
const LADDER = { suggest: 1, ask: 2, act: 3, silent: 4, act_silently: 4 };

export const Level = ({ value }) => html`<span class="levels" title=${word("level", value)} aria-hidden="true">${[1, 2, 3, 4].map((step) => html`<i class=${step <= (LADDER[value] ?? 0) ? "on" : ""}></i>`)}</span> <span>${word("level", value)}</span>`;

export function Playbooks() {
  const { query: asked } = useStore(route);
  const playbooks = useApi("/playbooks", { every: 120 });
  const [over, setOver] = useState(null);
  const text = (asked.q ?? "").toLowerCase();
  return html`<div class="page">
    <${PageHead} title=${t("nav.playbooks")} lead=${t("playbooks.lead")}>${playbooks.data ? html`<a class="button" href="/playbooks/new"><${Icon} name="plus" />${t("playbooks.new")}</a>` : null}<//>
    <${Offered} of=${playbooks} icon="playbooks" title=${t("playbooks.empty.title")} text=${t("playbooks.empty.text")}>
      ${(data) => {
        const all = items(data).map((one) => ({ ...one, ...(one.playbook ?? {}) }));
        const fits = all.filter((one) => !text || JSON.stringify([one.name, one.title, one.trigger]).toLowerCase().includes(text));
        if (!all.length) return html`<${Card}><${Empty} icon="playbooks" title=${t("playbooks.empty.title")}><p>${t("playbooks.empty.text")}</p><//><//>`;
        return html`<div class="filters"><input class="input search" type="search" placeholder=${t("playbooks.search")} aria-label=${t("playbooks.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })} /></div>
          <${Card} label=${t("nav.playbooks")}>${fits.length ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("playbooks.what")}</th><th>${t("playbooks.when")}</th><th>${t("action.risk")}</th><th>${t("autonomy.level")}</th><th>${t("playbooks.record")}</th><th></th></tr></thead>
            <tbody>${fits.map((one) => html`<tr key=${one.name}><td class="wide"><b>${one.title}</b><span class="row-note faint">${one.name} · v${one.version}</span></td>
              <td>${(one.trigger?.causes ?? []).map((cause) => word("cause", cause)).join(", ")}<span class="row-note faint">${(one.trigger?.entities ?? []).map((kind) => word("kind", kind)).join(", ")}</span></td>
              <td class="tight"><${Risk} value=${one.risk} /></td><td class="tight">${one.level ?? one.level_max ? html`<${Level} value=${one.level ?? one.level_max} />` : html`<span class="faint">–</span>`}</td>
              <td class="tight"><${Record} of=${one.record ?? one.past ?? one} /></td>
              <td class="tight end"><button class="button bare small" onClick=${() => setOver(one)}>${t("do.details")}</button></td></tr>`)}</tbody></table></div>` : html`<${Empty} small icon="search" title=${t("cases.none_fit")} />`}<//>`;
      }}
    <//>
    ${over ? html`<${Details} one=${over} onClose=${() => setOver(null)} />` : null}
  </div>`;
}

export function Record({ of }) {
  const rows = Array.isArray(of) ? of : [of];
  const sum = (name) => rows.reduce((total, row) => total + (row?.[name] ?? 0), 0);
  const [helped, not, harmful] = [sum("helped"), sum("not_helped"), sum("harmful")];
  if (!helped && !not && !harmful) return html`<span class="faint">${t("playbooks.never")}</span>`;
  return html`<span>${t("playbooks.helped", { helped: count(helped), count: count(helped + not) })}${harmful ? html` <b class="s-critical">${t("playbooks.harmful", { count: harmful })}</b>` : null}</span>`;
}

function Details({ one, onClose }) {
  const past = useApi(`/playbooks/${encodeURIComponent(one.name)}/backtest`, { every: 3600 });
  return html`<${Dialog} title=${one.title} look="wide" onClose=${onClose}>
    <p class="row-note"><code>${one.name}</code> v${one.version} <${Risk} value=${one.risk} /> ${one.sign_off ? html`<span class="faint">${t("playbooks.sign_off", { role: word("role", one.sign_off) })}</span>` : null}</p>
    ${one.predicted ? html`<p>${one.predicted}</p>` : null}
    <dl class="facts small">
      ${one.expect ? html`<dt>${t("action.verify")}</dt><dd>${word("expect", one.expect.of)}, ${t("action.within", { span: span(one.expect.within_s * 1000) })}</dd>` : null}
      ${one.cool_down_s ? html`<dt>${t("playbooks.cool_down")}</dt><dd>${span(one.cool_down_s * 1000)}</dd>` : null}
      <dt>${t("playbooks.steps")}</dt><dd>${(one.steps ?? []).map((step) => html`<p><code>${step.executor}.${step.operation}</code> ${step.undo ? html`<span class="faint">${t("action.undo")}: <code>${step.undo.operation}</code></span>` : html`<span class="faint">${step.why_no_undo || t("action.undo.none")}</span>`}</p>`)}</dd>
    </dl>
    ${past.data ? html`<${Backtest} of=${past.data} />` : null}
    ${one.runbook ? html`<h3>${t("playbooks.runbook")}</h3><p class="runbook">${one.runbook}</p>` : null}
    <div class="dialog-foot"><a class="button" href=${`/playbooks/${encodeURIComponent(one.name)}`}>${t("playbooks.open_editor")}</a></div>
  <//>`;
}

export function Autonomy() {
  const autonomy = useApi("/autonomy", { every: 30, kinds: "action autonomy" });
  const [busy, run] = useDeed();
  const turn = (body, said) => run(() => post("/autonomy", body), said).then((outcome) => (autonomy.reload(), outcome));
  return html`<div class="page">
    <${PageHead} title=${t("nav.autonomy")} lead=${t("autonomy.lead")} />
    <${Offered} of=${autonomy} icon="autonomy" title=${t("autonomy.empty.title")} text=${t("autonomy.empty.text")}>
      ${(data) => html`<div class="stack">
        <${Switches} policy=${data.policy ?? data} busy=${busy} turn=${turn} />
        <${Rules} rules=${data.policy?.rules ?? []} />
        <div class="case-columns"><${Meanings} /><${Doors} /></div>
        <${Matrix} data=${data} busy=${busy} turn=${turn} />
      </div>`}
    <//>
  </div>`;
}

const DO = { stopped: ["stop", "resume"], frozen: ["freeze", "thaw"] };

function Switches({ policy, busy, turn }) {
  const [asked, setAsked] = useState(""); // which switch is about to be turned
  const look = policy.stopped ? "hot" : policy.frozen ? "warm" : "good";
  const told = SWITCHES.filter((name) => policy[`${name}_ms`] || policy[`${name}_by`]);
  return html`<${Card} title=${t("autonomy.now")}><div class="card-body stack">
    <p><span class=${`state ${look}`}>${policy.stopped ? t("autonomy.stopped") : policy.frozen ? t("autonomy.frozen") : t("autonomy.works")}</span>${policy.stopped && policy.frozen ? html` <span class="state warm">${t("autonomy.frozen")}</span>` : null}</p>
    <p class="soft">${policy.stopped ? t("autonomy.stopped.text") : policy.frozen ? t("autonomy.frozen.text") : t("autonomy.works.text")}</p>
    ${told.length ? html`<dl class="facts small">${told.map((name) => html`<dt>${t(`autonomy.switch.${name}`)}</dt><dd><b>${policy[name] ? t("autonomy.on_now") : t("autonomy.off_now")}</b> <${Turned} policy=${policy} name=${name} /></dd>`)}</dl>` : null}
    ${may("operate") ? html`<p class="action-deeds">${SWITCHES.map((name) => html`<button class=${`button ${name === "stopped" && !policy.stopped ? "danger" : ""}`} disabled=${busy} onClick=${() => setAsked(name)}>${t(`autonomy.${DO[name][Number(Boolean(policy[name]))]}`)}</button>`)}</p>` : null}
    ${asked ? html`<${TurnDialog} name=${asked} on=${!policy[asked]} busy=${busy} turn=${turn} onClose=${() => setAsked("")} />` : null}
  </div><//>`;
}

// What holds after a switch was turned, by the server's own answer: another one may still be on.
const toldOf = (name, { policy }) => (policy[name] ? t(`autonomy.halted.${name}`) : isHalted(policy) ? t(`autonomy.still.${SWITCHES.find((each) => policy[each])}`) : t("autonomy.resumed"));

function TurnDialog({ name, on: first, busy, turn, onClose }) {
  const [on] = useState(first); // as it was asked for, whatever others do meanwhile
  const [reason, setReason] = useState("");
  const verb = DO[name][on ? 0 : 1];
  const go = async (event) => {
    event.preventDefault();
    const { error } = await turn({ [name]: on, reason }, (answer) => toldOf(name, answer));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t(`autonomy.ask.${verb}`)} onClose=${onClose}><form class="stack" onSubmit=${go}>
    <p class="soft">${t(on ? `autonomy.${name}.text` : `autonomy.lift.${name}`)}</p>
    <label class="field"><span>${t("silence.reason")}</span><input class="input" name="reason" value=${reason} onInput=${(event) => setReason(event.target.value)} maxlength="300" autofocus autocomplete="off" /><small>${t("autonomy.reason.hint")}</small></label>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class=${`button ${on ? "danger" : "primary"}`} disabled=${busy}>${t(`autonomy.${verb}`)}</button></div>
  </form><//>`;
}

const hour = (number) => `${String(number).padStart(2, "0")}:00`;

// When a rule holds: its days and hours, both of UTC.
function when(rule) {
  const days = rule.weekdays?.length && rule.weekdays.length < 7 ? [...rule.weekdays].sort().map(weekday).join(", ") : "";
  const hours = (rule.to_hour - rule.from_hour) % 24 === 0 ? "" : `${hour(rule.from_hour)}–${hour(rule.to_hour)}`;
  return days || hours ? `${[days, hours].filter(Boolean).join(" ")} UTC` : t("autonomy.always");
}

const Rules = ({ rules }) => (rules.length ? html`<${Card} title=${t("autonomy.rules")}><ul class="rows">${rules.map((rule) => html`<li class="row plain"><span class="row-text"><code>${rule.playbook}</code> ${t("autonomy.on")} <code>${rule.target}</code> <span class="soft">${when(rule)}</span><span class="row-note faint">${plain(rule.why ?? "")}</span></span><${Level} value=${rule.level_max} /></li>`)}</ul><//>` : null);

const Meanings = () => html`<${Card} title=${t("autonomy.meaning")}><dl class="facts card-body">${LEVELS.map((level) => html`<dt><b>${word("level", level)}</b></dt><dd>${t(`autonomy.level.${level}`)}</dd>`)}</dl><//>`;

// What Cerebro can reach at all: without a door nothing of a program can be restarted or rolled back.
function Doors() {
  const doors = useApi("/executors", { every: 60 });
  if (!doors.data) return null;
  const rows = items(doors.data);
  return html`<${Card} title=${t("autonomy.doors")}>${rows.length
    ? html`<ul class="rows">${rows.map((door) => html`<li class="row plain" key=${`${door.by}/${door.name}`}><${Glyph} level=${door.answers ? "good" : "major"} /><span class="row-text"><b>${door.name}</b> <span class="faint">${door.scope.join(", ")}</span><span class="row-note faint">${door.url ? `${door.answers ? t("autonomy.doors.answers") : t("autonomy.doors.silent")} ${door.url}` : t("autonomy.doors.settings")}</span></span>${door.level ? html`<${Level} value=${door.level} />` : null}</li>`)}</ul>`
    : html`<${Empty} small icon="autonomy" title=${t("autonomy.doors.none")}><p>${t("autonomy.doors.none.text")}</p><//>`}<//>`;
}

// Who may do what by itself: a row a playbook, a column a level, moved by its record or by hand.
function Matrix({ data, busy, turn }) {
  const rows = items(data).length ? items(data) : (data.playbooks ?? []);
  if (!rows.length) return null;
  return html`<${Card} title=${t("autonomy.matrix")} aside=${t("autonomy.matrix.aside")}><div class="table-wrap"><table class="list fold"><thead><tr><th>${t("playbooks.what")}</th><th>${t("action.risk")}</th>${LEVELS.map((level) => html`<th class="tight desk">${word("level", level)}</th>`)}<th>${t("playbooks.record")}</th></tr></thead>
    <tbody>${rows.map((row) => html`<${MatrixRow} key=${row.playbook?.name ?? row.playbook ?? row.name} row=${row} busy=${busy} turn=${turn} />`)}</tbody></table></div><//>`;
}

// A level is chosen first and set by a word of its own: arrow keys choose, too.
function MatrixRow({ row, busy, turn }) {
  const name = row.playbook?.name ?? row.playbook ?? row.name;
  const most = row.level_max ?? row.playbook?.level_max;
  const beyond = (level) => most && LADDER[level] > LADDER[most];
  const fixed = !may("operate");
  const [chosen, setChosen] = useState(null);
  const line = useRef(null);
  const level = chosen ?? row.level;
  useEffect(() => setChosen(null), [row.level]);
  const leave = () => line.current.querySelectorAll("input:checked, select").forEach((each) => each.focus()); // one of them is on the page
  const set = async () => {
    leave();
    const { error } = await turn({ levels: { [name]: level } }, t("autonomy.moved", { name, level: word("level", level) }));
    if (error) setChosen((now) => (now === level ? null : now));
  };
  const drop = () => {
    leave();
    setChosen(null);
  };
  return html`<tr ref=${line}><td class="wide"><b>${row.title ?? row.playbook?.title ?? name}</b><span class="row-note faint">${name}</span>${row.bound ? html`<${Bound} by=${row.bound} />` : null}
      <select class="input phone-only" aria-label=${name} value=${level} disabled=${fixed} onChange=${(event) => setChosen(event.target.value)}>${LEVELS.map((each) => html`<option value=${each} disabled=${beyond(each)}>${word("level", each)}</option>`)}</select></td><td class="tight"><${Risk} value=${row.risk ?? row.playbook?.risk} /></td>
    ${LEVELS.map((each) => html`<td class="tight desk"><input type="radio" name=${`level-${name}`} aria-label=${`${name}: ${word("level", each)}`} checked=${level === each} disabled=${fixed || beyond(each)} onChange=${() => setChosen(each)} /></td>`)}
    <td>${level === row.level ? null : html`<p class="action-deeds"><span class="state warm" role="status">${t("autonomy.chosen", { level: word("level", level) })}</span><button class="button primary small" disabled=${busy} onClick=${set}>${t("do.apply")}</button><button class="button small" onClick=${drop}>${t("do.cancel")}</button></p>`}<${Record} of=${row.record ?? row} /><${Why} row=${row} /></td></tr>`;
}

// A rule keeps it lower somewhere now: "service/*: ask (nights)".
const Bound = ({ by }) => html`<span class="row-note bound s-major"><${Icon} name="clock" />${t("autonomy.bound", { rule: plain(by).replace(/: (suggest|ask|act|silent)\b/, (_, level) => `: ${word("level", level)}`) })}</span>`;

const MOVED = ["the level set for this playbook", "earned by its record"]; // by whom is told beside it

// Why a playbook has its level, and who gave it.
function Why({ row }) {
  const moved = row.by && { who: row.by, when: row.moved_ms ? stamp(row.moved_ms) : "" };
  return html`${row.why && !(moved && MOVED.includes(row.why)) ? html`<span class="row-note faint">${word("autonomy.why", row.why)}</span>` : null}
    ${moved ? html`<span class="row-note faint" title=${row.moved_ms ? utc(row.moved_ms) : ""}>${t(row.by === "cerebro" ? "autonomy.moved_by_record" : "autonomy.moved_by", moved)}</span>` : null}`;
}
