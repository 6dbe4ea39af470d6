// A drill as it happens: what was broken, what was seen of it when, and what was done, each with its clock.
import { html, useEffect, useState } from "../lib/html.js";
import { clock, percent, seconds } from "../lib/format.js";
import { language, t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { titled } from "../lib/titles.js";
import { faultTitle, standing, useDrills } from "../ui/drill.js";
import { Spark } from "../ui/chart.js";
import { Answer, Card, Chips, Empty, EntityLink, Icon, PageHead, Snippet, Time } from "../ui/parts.js";

const KINDS = ["crash", "hang", "slow_cpu", "bad_deploy_errors", "outside_api_slow", "bad_flag"];
// What a newcomer waits for, in the order in which it comes; each is met by the first step that fits.
const STATIONS = [
  ["fault", (drill) => (drill.fault_ms ? { at_ms: drill.fault_ms, what: "fault", text: drill.symptom && language.get() === "en" ? t("drill.symptom", { text: drill.symptom }) : "" } : null)],
  ["users", first("users")],
  ["finding", first("finding")],
  ["case", first("case", "finding_joined")],
  ["cause", last("cause")],
  ["action", first("action_done", "action_begun", "action_approved", "action_proposed", "escalated")],
  ["recovery", first("action_helped", "recovery")],
  ["post_mortem", first("resolved")],
];
const STEP_ICONS = { fault: "warning", users: "users", back: "users", finding: "findings", cleared: "calm", case: "cases", finding_joined: "cases", cause: "search", recovery: "calm", resolved: "calm", end: "check", escalated: "users", action_helped: "calm", post_mortem: "audit" };

function first(...kinds) {
  return (drill) => kinds.map((kind) => drill.steps.find((step) => step.what === kind && step.at_ms >= drill.fault_ms)).find(Boolean) ?? null;
}
function last(kind) {
  return (drill) => drill.steps.filter((step) => step.what === kind && step.at_ms >= drill.fault_ms).at(-1) ?? null;
}

export function Drills() {
  const found = useDrills();
  const [chosen, setChosen] = useState("");
  return html`<div class="page">
    <${PageHead} title=${t("nav.drills")} lead=${t("drill.lead")} />
    <${Answer} of=${found} bones=${6}>${(data) => {
      const all = items(data);
      if (!all.length) return html`<${Start} />`;
      const shown = all.find((drill) => drill.id === chosen) ?? all[0];
      return html`${all.length > 1 ? html`<div class="filters"><${Chips} label=${t("nav.drills")} value=${shown.id} options=${all.map((drill) => [drill.id, html`${clock(drill.began_ms).slice(0, 5)} ${faultTitle(drill) || t("drill.phase.quiet")}`])} onChange=${setChosen} /></div>` : null}
        <${Shown} key=${shown.id} drill=${shown} />`;
    }}<//>
  </div>`;
}

const Start = () => html`<${Card}><${Empty} icon="drills" title=${t("drill.empty.title")}><p>${t("drill.empty.text")}</p>
  <div class="drill-start"><${Snippet} text="cerebro drill" /></div><p class="soft">${t("drill.empty.kinds")}</p>
  <div class="drill-start"><${Snippet} text=${KINDS.map((kind) => `cerebro drill --kind ${kind}`).join("\n")} /></div><//><//>`;

function Shown({ drill }) {
  const now = useSecond(drill.running);
  return html`<div class="drill">
    <${Card} title=${faultTitle(drill) || t("drill.phase.quiet")} aside=${drill.running ? html`<span class="state hot">${t("drill.running")}</span>` : html`<${Time} ms=${drill.began_ms} />`} actions=${drill.entity ? html`<${EntityLink} of=${drill.entity} />` : null}>
      <p class="drill-clock" role="timer"><${Icon} name="clock" />${standing(drill, now)}</p>
      <ol class="stations">${STATIONS.map(([name, met]) => html`<${Station} key=${name} name=${name} drill=${drill} step=${met(drill)} />`)}</ol>
      ${drill.summary.length ? html`<ul class="bullets card-body drill-summary">${drill.summary.map((line) => html`<li>${line}</li>`)}</ul>` : null}
    <//>
    <div class="stack">
      <${Users} drill=${drill} />
      <${Card} title=${t("drill.story")} aside=${t("case.entries", { count: drill.steps.length })}>
        ${drill.steps.length
          ? html`<ol class="timeline">${[...drill.steps].sort((a, b) => b.at_ms - a.at_ms).map((step) => html`<li><span class="line-mark"><${Icon} name=${STEP_ICONS[step.what] ?? "actions"} /></span><div><p class="line-head"><b>${said(step.what)}</b><span class="grow"></span><span class="faint">${age(drill, step)}</span></p>${step.text ? html`<p class="line-text"><${Linked} step=${step} drill=${drill} /></p>` : null}</div></li>`)}</ol>`
          : html`<${Empty} small icon="clock" title=${t("drill.story.empty")} />`}
      <//>
    </div>
  </div>`;
}

function Station({ name, drill, step }) {
  const waits = drill.running && !step;
  const text = step ? html`<${Linked} step=${name === "post_mortem" ? { ...step, what: "post_mortem", text: t("drill.read_post_mortem") } : step} drill=${drill} />` : waits ? t("drill.awaited") : t("drill.never");
  return html`<li class=${step ? "met" : waits ? "awaited" : "missed"}>
    <span class="station-mark"><${Icon} name=${step ? "check" : waits ? "clock" : "close"} /></span>
    <div><p class="line-head"><b>${t(`drill.station.${name}`)}</b><span class="grow"></span>${step ? html`<span class="station-clock">${age(drill, step)}</span>` : null}</p><p class=${step ? "line-text" : "line-text faint"}>${text}</p></div></li>`;
}

const FELT = ["users", "back", "recovery"];
const whole = (value, parts) => Math.round(value * parts) / parts;

function Linked({ step, drill }) {
  const felt = FELT.includes(step.what) && drill.felt.find((look) => look.at_ms === step.at_ms);
  if (felt) return t("drill.felt", { errors: percent(whole(felt.error_share, 100)), slow: seconds(whole(felt.p95_ms / 1000, 1000)) });
  const to = step.what === "post_mortem" ? `/cases/${step.case}/post-mortem` : step.case ? `/cases/${step.case}` : step.finding ? `/findings/${step.finding}` : "";
  return to ? html`<a class="inline" href=${to}>${titled(step.text)}</a>` : step.text;
}

const WORDS = ["fault", "users", "back", "finding", "cleared", "case", "cause", "recovery", "resolved", "end"];
const said = (what) => (WORDS.includes(what) ? t(`drill.step.${what}`) : word("entry", what));

// Seconds since the fault; before it, the hour.
const age = (drill, step) => (drill.fault_ms && step.at_ms >= drill.fault_ms ? `+${seconds(Math.round((step.at_ms - drill.fault_ms) / 1000))}` : clock(step.at_ms));

function Users({ drill }) {
  const felt = drill.felt.at(-1);
  return html`<${Card} title=${t("drill.users")} aside=${felt ? "" : t("drill.users.none")}>
    ${felt
      ? html`<div class="card-body pair">
          <div class="figure"><span class=${`value s${felt.error_share >= 0.02 ? " s-critical" : ""}`}>${percent(Math.round(felt.error_share * 1000) / 1000)}</span><span class="label">${t("drill.users.errors")}</span><${Spark} values=${drill.felt.map((look) => look.error_share)} label=${t("drill.users.errors")} /></div>
          <div class="figure"><span class="value s">${seconds(Math.round(felt.p95_ms) / 1000)}</span><span class="label">${t("drill.users.slow")}</span><${Spark} values=${drill.felt.map((look) => look.p95_ms)} label=${t("drill.users.slow")} /></div>
        </div>`
      : null}
  <//>`;
}

// The present, second by second, while something runs.
function useSecond(running) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
