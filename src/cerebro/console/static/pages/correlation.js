// How findings become cases: the rules that count, and what other rules would have done last week.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { may, post, Problem, put, useApi } from "../lib/api.js";
import { useDraft } from "../lib/drafts.js";
import { count, percent } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { entityHref } from "../lib/model.js";
import { jumpTo, Lined } from "../ui/lined.js";
import { Answer, Card, Clash, Empty, Failure, Icon, PageHead, Time, useDeed } from "../ui/parts.js";

const PAUSE_MS = 700;
const JOINS_SHOWN = 12;

export function Correlation() {
  const found = useApi("/correlation", { every: 120, kinds: "case" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.correlation")} lead=${t("correlation.lead")} />
    <${Answer} of=${found} bones=${8}>${(data) => html`<${Rules} key=${data.at_ms} data=${data} reload=${found.reload} />`}<//>
  </div>`;
}

function Rules({ data, reload }) {
  const [draft, keepWritten] = useDraft("correlation"); // { text, base }: the rules that it was begun from
  const text = draft?.text ?? data.text;
  const base = draft?.base ?? data.text;
  const setText = (next, from = base) => keepWritten(next === from ? null : { text: next, base: from });
  const clashes = draft && base !== data.text;
  const [seen, setSeen] = useState(null); // { text, preview, error }
  const [busy, run] = useDeed();
  const box = useRef(null);
  useEffect(() => {
    let late = false;
    const later = setTimeout(async () => {
      try {
        const preview = await post("/correlation/preview", { text });
        if (!late) setSeen({ text, preview });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (!late) setSeen({ text, error });
      }
    }, seen ? PAUSE_MS : 0);
    return () => {
      late = true;
      clearTimeout(later);
    };
  }, [text]);
  const current = seen?.text === text ? seen : null;
  const line = Number(/^Line (\d+)/.exec(current?.error?.detail ?? "")?.[1] ?? 0);
  const keep = async (event) => {
    event.preventDefault();
    if (!draft || clashes || !current?.preview || busy) return;
    const { error } = await run(() => put("/correlation/rules", { text }), t("correlation.kept"));
    if (error) return;
    keepWritten((now) => (now && now.text !== text ? { ...now, base: text } : null)); // written while it was being kept
    reload();
  };
  return html`${clashes ? html`<${Clash} text=${t("correlation.clash", { who: data.by })} ms=${data.at_ms} busy=${busy} onMine=${() => setText(text, data.text)} onTheirs=${() => keepWritten(null)}><div class="snippet"><pre tabindex="0">${data.text}</pre></div><//>` : null}
    <div class="case-columns"><div class="stack">
      <${Card} title=${t("correlation.rules")} aside=${html`${data.by ? html`${data.by} <${Time} ms=${data.at_ms} />` : t("correlation.shipped")}${draft ? html` <span class="state warm">${t("post_mortem.unsaved")}</span>` : null}`}><form onSubmit=${keep}>
        <${Lined} box=${box} text=${text} onInput=${(next) => setText(next)} faults=${line ? [{ line, text: current.error.detail }] : []} label=${t("correlation.rules")} readOnly=${!may("operate")} />
        <div class="card-body stack">
          ${current?.error ? html`<${Failure} error=${current.error} />` : null}
          ${line ? html`<p><button type="button" class="button small" onClick=${() => jumpTo(box.current, line)}>${t("playbooks.line", { line })}</button></p>` : null}
          ${may("operate") ? html`<div class="dialog-foot">${draft ? html`<button type="button" class="button" onClick=${() => keepWritten(null)}>${t("do.discard")}</button>` : null}<button class="button primary" disabled=${busy || !draft || clashes || !current?.preview}><${Icon} name="check" />${t("correlation.keep")}</button></div>` : null}
        </div></form>
      <//>
      <${Card} title=${t("correlation.words")}><dl class="facts card-body words">
        ${["map", "history", "together", "apart"].map((name) => html`<dt><code>${name}</code></dt><dd>${t(`correlation.word.${name}`)}</dd>`)}
      </dl><//>
    </div>
    <div class="stack">
      <${Card} title=${t("correlation.noise")}><div class="card-body stack">
        <div class="pair"><div class="figure"><span class="value s">${count(data.noise.finding_count)}</span><span class="label">${t("correlation.findings")}</span></div>
          <div class="figure"><span class="value s">${count(data.noise.case_count)}</span><span class="label">${t("correlation.cases")}</span></div>
          <div class="figure"><span class="value s">${data.noise.finding_count ? percent(Math.max(0, data.noise.reduction)) : "–"}</span><span class="label">${t("correlation.less")}</span></div></div>
        <p class="hint">${t("correlation.noise.text")}</p>
      </div><//>
      <${Card} title=${t("correlation.preview")} aside=${text === data.text ? t("correlation.as_is") : t("correlation.changed")}>
        ${current?.preview ? html`<${Preview} of=${current.preview} />` : html`<p class="card-body soft">${current?.error ? t("correlation.mend_first") : t("correlation.trying")}</p>`}
      <//>
    </div></div>`;
}

function Preview({ of }) {
  if (!of.finding_count) return html`<${Empty} small icon="calm" title=${t("correlation.nothing")} />`;
  return html`<div class="card-body stack">
      <p>${t("correlation.would", { findings: count(of.finding_count), then: count(of.cases_then), now: count(of.cases_now), count: of.cases_then })}${of.truncated ? ` ${t("correlation.truncated")}` : ""}</p>
      <p class="soft">${t(of.joins.length ? "correlation.joins" : "correlation.no_joins")}</p>
    </div>
    ${of.joins.length ? html`<ul class="rows topped">${of.joins.slice(0, JOINS_SHOWN).map((join) => html`<li class="row plain"><span class="row-text"><a href=${`/findings/${join.finding}`}>${join.title}</a> <span class="faint"><a href=${entityHref(join.entity)}>${join.entity}</a></span><span class="row-note soft">${join.reason}</span></span><span class="row-end soft"><${Time} ms=${join.at_ms} /></span></li>`)}</ul>
      ${of.joins.length > JOINS_SHOWN ? html`<p class="rows-more">${t("more.count", { count: of.joins.length - JOINS_SHOWN })}</p>` : null}` : null}`;
}
