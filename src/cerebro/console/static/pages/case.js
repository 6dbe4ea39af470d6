import { html, useMemo, useRef, useState } from "../lib/html.js";
import { may, post, query, session, useApi } from "../lib/api.js";
import { useDraft } from "../lib/drafts.js";
import { chance, span, stamp } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { entity, items, live, rank } from "../lib/model.js";
import { go } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { titled } from "../lib/titles.js";
import { ActionCards, counted, isOpen } from "../ui/actions.js";
import { DrillStrip } from "../ui/drill.js";
import { Evidence, Worth } from "../ui/evidence.js";
import { folded, Graph, graphOf, near, only } from "../ui/map.js";
import { point, pointed, unpoint } from "../ui/moment.js";
import { Answer, Card, copyText, Dialog, Empty, EntityLink, Glyph, Icon, PageHead, Person, Severity, State, Time, toast, useDeed, useNow } from "../ui/parts.js";
import { isHalted, SWITCHES, usePolicy } from "../ui/policy.js";
import { Shares, Story, useStory } from "../ui/story.js";

const EVIDENCE_SHOWN = 3;
const SIGNALS_FROM = 4; // fewer are told by the story
const NEAR_MS = 45_000; // a line of the timeline so near to what is pointed at is meant
const NEIGHBOURS_MAX = 12;
const LINES_SHOWN = 14; // of the timeline, the newest; the rest is one click away
const HOURS = [0.5, 1, 4, 12, 24, 72, 168];

export function CasePage({ id }) {
  const answer = useApi(`/cases/${encodeURIComponent(id)}`, { every: 15, kinds: "case finding" });
  return html`<div class="page"><${DrillStrip} /><${Answer} of=${answer} bones=${10}>${(one) => html`<${Whole} one=${one} reload=${answer.reload} />`}<//></div>`;
}

function Whole({ one, reload }) {
  const { me } = useStore(session);
  const [over, setOver] = useState("");
  const [busy, run] = useDeed();
  const comment = useRef(null);
  const story = useStory(one.id);
  const centre = entity(one.causes?.find((cause) => cause.kind !== "unknown")?.entity ?? one.entities[0]).text;
  const topology = useApi(centre ? `/topology${query({ focus: centre, hops: 1 })}` : "", { every: 60, kinds: "case" });
  const owners = [...new Set(items(topology.data?.entities).filter((thing) => one.entities.some((key) => entity(key).text === entity(thing).text) || entity(thing).text === centre).map((thing) => thing.owner).filter(Boolean))];
  const begins = one.began_ms || one.opened_ms;
  const isLive = live(one);
  const act = (name, body, done) => run(() => post(`/cases/${one.id}/${name}`, body), done).then((outcome) => (reload(), outcome));
  const share = async () => (await copyText(location.origin + location.pathname)) && toast(t("case.link_copied"));
  const deeds = deedsOf(one, me?.name, { act, setOver, comment, share });
  useKeys(t("case.this"), deeds.map((deed) => [deed.key, deed.text, () => !busy && deed.run()]));

  return html`<${PageHead} title=${titled(one.title)}>
      <a class="button bare" href=${`/cases/${one.id}/post-mortem`}><${Icon} name="audit" />${t("case.post_mortem")}</a>
      <button class="button bare" onClick=${share} title="y"><${Icon} name="link" />${t("case.share")}</button>
    <//>
    ${one.labels?.merged_into ? html`<p class="lost merged" role="status"><${Icon} name="link" /><span>${t("case.merged_into")}</span><a class="button small" href=${`/cases/${one.labels.merged_into}`}>${t("case.merged_open")}</a></p>` : null}
    <div class="case-line">
      <${Severity} value=${one.severity} /><${State} value=${one.state} />
      <span class="soft"><${Icon} name="clock" />${isLive ? html`<${Since} ms=${begins} />` : t("case.lasted", { span: span((one.resolved_ms || one.updated_ms) - begins) })}</span>
      <span class="soft"><${Icon} name="user" />${one.assignee ? html`<${Person} name=${one.assignee} me=${me?.name} />` : one.acknowledged_by ? t("case.seen_by", { who: one.acknowledged_by }) : html`<b>${t("case.nobody")}</b>`}</span>
      ${one.silences.map((silence) => html`<a class="state warm" href="/silences"><${Icon} name="silences" />${t("case.silent_until")} <${Time} ms=${silence.ends_ms} /></a>`)}
      <span class="entities-line">${one.entities.slice(0, 6).map((key) => html`<${EntityLink} of=${key} />`)}${one.entities.length > 6 ? html`<span class="faint">${t("more.count", { count: one.entities.length - 6 })}</span>` : null}</span>
      ${owners.length ? html`<span class="soft"><${Icon} name="users" />${t("case.belongs", { who: owners.join(", ") })}</span>` : null}
    </div>
    ${may("respond") && deeds.length
      ? html`<div class="deeds" role="toolbar" aria-label=${t("case.deeds")}>
          ${deeds.filter((deed) => deed.shown).map((deed) => html`<button class=${`button ${deed.look ?? ""}`} disabled=${busy} onClick=${deed.run}>${deed.icon ? html`<${Icon} name=${deed.icon} />` : null}${deed.text}<kbd>${deed.key}</kbd></button>`)}
        </div>`
      : null}
    <div class="case-columns told">
      <div class="stack">
        <${Story} id=${one.id} causes=${one.causes} story=${story} />
        ${story.told.error && !story.told.data && one.causes?.length ? html`<${Card} title=${t("case.causes")}><div class="card-body"><${Shares} causes=${one.causes} /></div><//>` : null}
        ${one.signals.length >= SIGNALS_FROM ? html`<${Signals} one=${one} />` : null}
        <${Proof} findings=${one.findings} one=${one} />
      </div>
      <div class="stack">
        <div class="case-todo"><${ToDo} one=${one} /></div>
        <${Neighbourhood} centre=${centre} topology=${topology} />
        <${Timeline} one=${one} me=${me?.name} box=${comment} reload=${reload} />
      </div>
    </div>
    ${over === "assign" ? html`<${Assign} one=${one} me=${me?.name} act=${act} busy=${busy} onClose=${() => setOver("")} />` : null}
    ${over === "silence" ? html`<${SilenceDialog} one=${one} act=${act} busy=${busy} onClose=${() => setOver("")} />` : null}
    ${over === "merge" ? html`<${Merge} one=${one} act=${act} busy=${busy} onClose=${() => setOver("")} />` : null}
    ${over === "split" ? html`<${Split} one=${one} act=${act} busy=${busy} onClose=${() => setOver("")} />` : null}
    ${over === "close" ? html`<${Close} act=${act} busy=${busy} onClose=${() => setOver("")} />` : null}`;
}

function deedsOf(one, me, { act, setOver, comment, share }) {
  if (!may("respond")) return [{ key: "y", text: t("case.share"), run: share }];
  const ended = one.state === "closed";
  const deeds = [];
  if (!ended && !one.acknowledged_by) deeds.push({ key: "a", icon: "check", look: "primary", text: t("do.acknowledge"), shown: true, run: () => act("acknowledge", {}, t("case.acknowledged")) });
  if (!ended && one.assignee !== me) deeds.push({ key: "m", icon: "user", text: t("do.take"), shown: true, run: () => act("assign", { assignee: me }, t("case.taken")) });
  if (!ended) deeds.push({ key: "s", icon: "users", text: t("do.assign"), shown: true, run: () => setOver("assign") });
  if (!ended) deeds.push({ key: "z", icon: "silences", text: t("do.silence"), shown: true, run: () => setOver("silence") });
  if (one.state === "resolved") deeds.push({ key: "o", icon: "retry", text: t("do.reopen"), shown: true, run: () => act("reopen", {}, t("case.reopened")) });
  if (!ended) deeds.push({ key: "x", icon: "close", text: t("do.close"), shown: true, run: () => setOver("close") });
  if (!ended) deeds.push({ key: "J", look: "bare", text: t("do.merge"), shown: true, run: () => setOver("merge") });
  if (!ended && one.signals.length > 1) deeds.push({ key: "B", look: "bare", text: t("do.split"), shown: true, run: () => setOver("split") });
  deeds.push({ key: "c", icon: "comment", text: t("do.comment"), run: () => comment.current?.focus() });
  deeds.push({ key: "y", text: t("case.share"), run: share });
  return deeds;
}

function Since({ ms }) {
  const now = useNow();
  return html`<span title=${stamp(ms)}>${t("case.hurts_for", { span: span(now - ms) })}</span>`;
}

function Signals({ one }) {
  const signals = one.signals ?? [];
  if (!signals.length) return null;
  const sorted = [...signals].sort((a, b) => Number(a.cleared) - Number(b.cleared) || rank(b.severity) - rank(a.severity) || a.at_ms - b.at_ms);
  const off = signals.filter((signal) => !signal.cleared).length;
  return html`<${Card} title=${t("case.signals")} aside=${t("case.signals_off", { off, count: signals.length })}>
    <ul class="rows">${sorted.slice(0, 12).map(
      (signal) => html`<li><a class=${`row${signal.cleared ? " over" : ""}`} href=${`/findings/${signal.finding}`}>
        ${signal.cleared ? html`<${Glyph} level="good" />` : html`<${Severity} value=${signal.severity} bare />`}
        <span class="row-text">${titled(signal.title)}<span class="row-note faint">${signal.cleared ? html`${t("case.cleared")} <${Time} ms=${signal.cleared_ms} />` : entity(signal.entity).text}</span></span>
        <span class="soft row-end"><${Time} ms=${signal.at_ms} /></span></a></li>`,
    )}</ul>
    ${sorted.length > 12 ? html`<p class="rows-more">${t("more.count", { count: sorted.length - 12 })}</p>` : null}
  <//>`;
}

function Proof({ findings, one }) {
  const [all, setAll] = useState(false);
  const raised = useMemo(() => {
    const told = findings.filter((finding) => !finding.cleared);
    const latest = new Map(); // one picture a trouble: the latest
    for (const finding of [...told].sort((a, b) => a.seen_ms - b.seen_ms)) latest.set(finding.dedup_key ?? finding.id, finding);
    const hurting = new Set(one.active_keys); // what is over by now comes last
    const over = (finding) => Number(!hurting.has(finding.dedup_key));
    return [...latest.values()].sort((a, b) => over(a) - over(b) || rank(b.severity) - rank(a.severity) || a.at_ms - b.at_ms);
  }, [findings, one.active_keys]);
  if (!raised.length) return html`<${Card} title=${t("case.evidence")}><${Empty} small icon="findings" title=${t("case.no_evidence")} /><//>`;
  const shown = all ? raised : raised.slice(0, EVIDENCE_SHOWN);
  return html`${shown.map((finding) => html`<${Shown} key=${finding.id} finding=${finding} one=${one} />`)}
    ${raised.length > shown.length ? html`<button class="button" onClick=${() => setAll(true)}>${t("case.more_evidence", { count: raised.length - shown.length })}</button>` : null}`;
}

const Shown = ({ finding, one }) => html`<section class="card" id=${`finding-${finding.id}`} aria-label=${finding.title}>
  <header><${Severity} value=${finding.severity} bare /><h2>${finding.title === one.title ? t("case.evidence") : titled(finding.title)}</h2><span class="grow"></span><a class="button bare small" href=${`/findings/${finding.id}`}>${t("do.details")}</a></header>
  <div class="card-body stack">
    ${finding.evidence.map((evidence) => html`<${Evidence} evidence=${evidence} finding=${finding} />`)}
    <p class="hint" title=${`p = ${finding.p_value}`}>${t("finding.on_an_ordinary_day", { chance: chance(finding.p_value) })} ${t("finding.by", { agent: finding.agent })}</p>
    <${Worth} finding=${finding} />
  </div>
</section>`;

// What to do: what waits for a yes first, then what is under way, then what was tried.
function ToDo({ one }) {
  const actions = useApi(`/actions${query({ case: one.id, limit: 50 })}`, { every: 15, kinds: "action case" });
  const found = items(actions.data);
  const open = found.filter(isOpen).length;
  return html`<${Card} title=${t("case.what_to_do")} aside=${found.length ? t("case.actions", { open, count: counted(found.length, actions.data) }) : ""}>
    <${Answer} of=${actions}>${() => (found.length ? html`<${ActionCards} actions=${found} reload=${actions.reload} keys />` : actions.error ? null : html`<${NothingToDo} one=${one} />`)}<//>
  <//>`;
}

function NothingToDo({ one }) {
  const policy = usePolicy();
  if (!live(one)) return html`<${Empty} small icon="actions" title=${t("case.no_actions.over")} />`;
  if (isHalted(policy)) {
    const name = SWITCHES.find((each) => policy[each]);
    return html`<${Empty} small icon="autonomy" title=${t(`autonomy.halted.${name}`)}><p>${t(`autonomy.${name}.text`)}</p><p><a class="inline" href="/autonomy">${t("nav.autonomy")}</a></p><//>`;
  }
  return html`<${Empty} small icon="actions" title=${t("case.no_actions")}><p>${t("case.no_actions.text")}</p><//>`;
}

// What stands next to what hurts: enough to see whom it takes along.
function Neighbourhood({ centre, topology }) {
  const graph = useMemo(() => {
    if (!topology.data) return null;
    const whole = graphOf(topology.data);
    if (!whole.nodes.has(centre)) return null;
    const inside = near(whole, centre, 1);
    const ranked = [...inside].sort((a, b) => Number(b === centre) - Number(a === centre) || weight(whole.nodes.get(b)) - weight(whole.nodes.get(a))).slice(0, NEIGHBOURS_MAX);
    const kept = new Set(ranked);
    return { cut: inside.size - kept.size, graph: folded(only(whole, (id) => kept.has(id)), new Set()) };
  }, [topology.data, centre]);
  if (!graph || graph.graph.nodes.size < 2) return null;
  return html`<${Card} title=${t("case.neighbours")} actions=${html`<a class="button bare small" href=${`/topology${query({ focus: centre })}`}>${t("nav.topology")}</a>`}>
    <div class="small-map"><${Graph} graph=${graph.graph} small zoom=${0.95} chosen=${centre} label=${t("case.neighbours")} onOpen=${() => go(`/topology${query({ focus: centre })}`)} /></div>
    ${graph.cut ? html`<p class="rows-more">${t("more.count", { count: graph.cut })}</p>` : null}
  <//>`;
}

const weight = (node) => ["good", "unknown", "notice", "minor", "major", "critical"].indexOf(node.level) * 10 + (node.key.kind === "service" ? 1 : 0);

const LINE_ICONS = { action_proposed: "actions", action_approved: "check", action_begun: "play", action_done: "actions", action_helped: "calm", action_not_helped: "retry", action_not_verified: "search", action_undone: "retry", action_failed: "warning", action_harmed: "warning", action_refused: "close", escalated: "users", cause_named: "findings", dead_end: "close", gap: "search", post_mortem_written: "audit", diagnosed: "findings", ruled_out: "close", split: "link", commented: "comment", acknowledged: "check", assigned: "user", silenced: "silences", closed: "close", reopened: "retry", resolved: "calm", merged: "link" };

function Timeline({ one, me, box, reload }) {
  const [written, keep] = useDraft(`comment/${one.id}`);
  const text = written ?? "";
  const [busy, run] = useDeed(); // its own: a comment does not wait for a deed
  const { ms: shownMs, by } = useStore(pointed);
  const [all, setAll] = useState(false);
  const lines = [...(one.timeline ?? [])].reverse();
  const shown = all || lines.length <= LINES_SHOWN + 3 ? lines : lines.slice(0, LINES_SHOWN);
  const say = async (event) => {
    event?.preventDefault();
    if (!text.trim() || busy) return;
    const { error } = await run(() => post(`/cases/${one.id}/comment`, { text }));
    if (!error) keep((now) => (now === text ? null : now));
    reload();
  };
  const onsets = useMemo(() => new Map((one.findings ?? []).map((finding) => [finding.id, finding.at_ms])), [one.findings]);
  const moment = (line) => onsets.get(line.reference) ?? line.at_ms; // a finding is told of later than it began
  const meant = shownMs && by !== "timeline" ? nearest(lines, shownMs, moment) : null;
  return html`<${Card} title=${t("case.timeline")} aside=${t("case.entries", { count: lines.length })}>
    ${may("respond")
      ? html`<form class="say" onSubmit=${say}>
          <textarea class="input" rows="2" ref=${box} value=${text} placeholder=${t("case.say")} aria-label=${t("case.say")} onInput=${(event) => keep(event.target.value || null)}
            onKeyDown=${(event) => ((event.ctrlKey || event.metaKey) && event.key === "Enter" ? say(event) : event.key === "Escape" && event.target.blur())}></textarea>
          <button class="button small" disabled=${busy || !text.trim()}>${t("do.comment")}<kbd>Ctrl ↵</kbd></button>
        </form>`
      : null}
    <ol class="timeline">
      ${shown.map((line) => {
        const human = line.actor !== "cerebro";
        return html`<li class=${`${human ? "human" : ""}${line === meant ? " meant" : ""}`} onMouseEnter=${() => point(moment(line), "timeline")} onMouseLeave=${() => unpoint("timeline")}>
          <span class="line-mark">${LINE_ICONS[line.kind] ? html`<${Icon} name=${LINE_ICONS[line.kind]} />` : html`<i></i>`}</span>
          <div><p class="line-head"><b>${human ? (line.actor === me ? t("person.me", { name: line.actor }) : line.actor) : "Cerebro"}</b> <span class="faint">${word("entry", line.kind)}</span><span class="grow"></span><span class="faint"><${Time} ms=${line.at_ms} /></span></p>
          <p class="line-text">${line.text}</p></div></li>`;
      })}
    </ol>
    ${shown.length < lines.length ? html`<p class="rows-more"><button type="button" class="link" onClick=${() => setAll(true)}>${t("case.whole_timeline", { count: lines.length - shown.length })}</button></p>` : null}
  <//>`;
}

function nearest(lines, ms, moment) {
  const away = (line) => Math.abs(moment(line) - ms);
  const best = lines.reduce((kept, line) => (!kept || away(line) < away(kept) ? line : kept), null);
  return best && away(best) <= NEAR_MS ? best : null;
}

function Assign({ one, me, act, busy, onClose }) {
  const [name, setName] = useState(one.assignee || me || "");
  const users = useApi(may("admin") ? "/users" : "");
  const give = async (event) => {
    event.preventDefault();
    const { error } = await act("assign", { assignee: name.trim() }, name.trim() ? t("case.assigned", { who: name.trim() }) : t("case.unassigned"));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t("case.assign.title")} onClose=${onClose}><form class="stack" onSubmit=${give}>
    <label class="field"><span>${t("case.assign.who")}</span><input class="input" list="people" value=${name} onInput=${(event) => setName(event.target.value)} autofocus autocomplete="off" /><small>${t("case.assign.hint")}</small></label>
    <datalist id="people">${items(users.data).map((user) => html`<option value=${user.login}></option>`)}</datalist>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("do.assign")}</button></div>
  </form><//>`;
}

function SilenceDialog({ one, act, busy, onClose }) {
  const [hours, setHours] = useState(1);
  const [reason, setReason] = useState("");
  const quiet = async (event) => {
    event.preventDefault();
    const { error } = await act("silence", { length_s: hours * 3600, reason }, t("case.silenced", { span: span(hours * 3_600_000) }));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t("case.silence.title")} onClose=${onClose}><form class="stack" onSubmit=${quiet}>
    <p class="soft">${t("case.silence.text", { entities: one.entities.map((key) => entity(key).text).join(", ") })}</p>
    <label class="field"><span>${t("silence.for")}</span><select class="input" value=${String(hours)} onChange=${(event) => setHours(Number(event.target.value))} autofocus>${HOURS.map((size) => html`<option value=${String(size)} selected=${size === hours}>${span(size * 3_600_000)}</option>`)}</select></label>
    <label class="field"><span>${t("silence.reason")}</span><input class="input" value=${reason} onInput=${(event) => setReason(event.target.value)} placeholder=${t("silence.reason.example")} maxlength="1000" /></label>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("do.silence")}</button></div>
  </form><//>`;
}

function Close({ act, busy, onClose }) {
  const [text, setText] = useState("");
  const end = async (event) => {
    event.preventDefault();
    const { error } = await act("close", { text }, t("case.closed"));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t("case.close.title")} onClose=${onClose}><form class="stack" onSubmit=${end}>
    <p class="soft">${t("case.close.text")}</p>
    <label class="field"><span>${t("case.close.why")}</span><textarea class="input" rows="3" value=${text} onInput=${(event) => setText(event.target.value)} autofocus></textarea></label>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy}>${t("do.close")}</button></div>
  </form><//>`;
}

// Another case is the same story: it goes into this one.
function Merge({ one, act, busy, onClose }) {
  const [other, setOther] = useState("");
  const found = useApi("/cases?live=true&limit=200", { every: 60, kinds: "case" });
  const others = items(found.data).filter((each) => each.id !== one.id).sort((a, b) => Math.abs(a.began_ms - one.began_ms) - Math.abs(b.began_ms - one.began_ms));
  const join = async (event) => {
    event.preventDefault();
    const { error } = await act("merge", { other }, t("case.merged"));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t("case.merge.title")} onClose=${onClose}><form class="stack" onSubmit=${join}>
    <p class="soft">${t("case.merge.text")}</p>
    ${others.length
      ? html`<ul class="rows choices">${others.map((each) => html`<li><label class="row"><input type="radio" name="other" value=${each.id} checked=${other === each.id} onChange=${() => setOther(each.id)} /><${Severity} value=${each.severity} bare /><span class="row-text">${titled(each.title)}</span><span class="row-end soft"><${Time} ms=${each.began_ms || each.opened_ms} /></span></label></li>`)}</ul>`
      : html`<${Empty} small title=${t("case.merge.none")} />`}
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy || !other}>${t("do.merge")}</button></div>
  </form><//>`;
}

// Some of its troubles are another story: they make a case of their own.
function Split({ one, act, busy, onClose }) {
  const [chosen, setChosen] = useState(() => new Set());
  const turn = (key) => setChosen((now) => new Set(now.has(key) ? [...now].filter((each) => each !== key) : [...now, key]));
  const part = async (event) => {
    event.preventDefault();
    const { error } = await act("split", { keys: [...chosen] }, t("case.parted"));
    if (!error) onClose();
  };
  return html`<${Dialog} title=${t("case.split.title")} onClose=${onClose}><form class="stack" onSubmit=${part}>
    <p class="soft">${t("case.split.text")}</p>
    <ul class="rows choices">${one.signals.map((signal) => html`<li><label class="row"><input type="checkbox" checked=${chosen.has(signal.key)} onChange=${() => turn(signal.key)} />${signal.cleared ? html`<${Glyph} level="good" />` : html`<${Severity} value=${signal.severity} bare />`}<span class="row-text">${titled(signal.title)}</span><span class="row-end soft"><${Time} ms=${signal.at_ms} /></span></label></li>`)}</ul>
    <div class="dialog-foot"><button type="button" class="button" onClick=${onClose}>${t("do.cancel")}</button><button class="button primary" disabled=${busy || !chosen.size || chosen.size === one.signals.length}>${t("do.split")}</button></div>
  </form><//>`;
}
