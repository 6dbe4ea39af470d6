// One playbook as text: written, checked while one writes, tried on past cases, signed off.
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { get, may, post, Problem, useApi } from "../lib/api.js";
import { keepDraft, useDraft } from "../lib/drafts.js";
import { count } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { items } from "../lib/model.js";
import { go } from "../lib/router.js";
import { jumpTo, Lined } from "../ui/lined.js";
import { Bones, Card, Clash, Empty, Failure, Icon, PageHead, useDeed } from "../ui/parts.js";

const PAUSE_MS = 500; // after the last letter, before the text is checked
const CASES_SHOWN = 6;

export const Backtest = ({ of }) => html`<div class="backtest">
  <p><${Icon} name="retry" /> ${of.case_count ? t("playbooks.backtest", { ran: count(of.ran), cases: count(of.case_count), count: of.days }) : t("playbooks.backtest.none")}</p>
  ${of.ran ? html`<p class="soft">${t("playbooks.backtest.became", { helped: count(of.helped), not: count(of.not_helped), untried: count(of.untried) })}</p>` : null}
  ${of.out_of_reach ? html`<p class="soft">${t("playbooks.backtest.reach", { count: of.out_of_reach })}</p>` : null}
  ${of.cases?.length ? html`<p class="soft">${t("playbooks.backtest.cases")} ${of.cases.slice(0, CASES_SHOWN).map((id, index) => html`${index ? ", " : ""}<a class="inline mono" href=${`/cases/${id}`}>${id.slice(-8)}</a>`)}${of.cases.length > CASES_SHOWN ? ` ${t("more.count", { count: of.cases.length - CASES_SHOWN })}` : ""}</p>` : null}
</div>`;

export const NewPlaybook = () => html`<${PlaybookPage} name="" />`;

export function PlaybookPage({ name }) {
  const [start, setStart] = useState({ text: null, fault: null });
  const from = name || "restart-service"; // a new one begins from one that works
  const load = (signal) =>
    get(`/playbooks/${encodeURIComponent(from)}/text`, signal).then(
      (found) => setStart({ text: name ? found.text : found.text.replace(/^name: .*$/m, "name: my-playbook").replace(/^title: .*$/m, "title: What it does, in a line"), fault: null }),
      (error) => {
        if (signal?.aborted) return;
        if (!(error instanceof Problem)) throw error;
        setStart((now) => ({ ...now, fault: error }));
      },
    );
  useEffect(() => {
    const abort = new AbortController();
    setStart({ text: null, fault: null });
    load(abort.signal);
    return () => abort.abort();
  }, [name]);
  return html`<div class="page">
    <${PageHead} title=${name || t("playbooks.new")} lead=${t("playbooks.editor.lead")}><a class="button" href="/playbooks">${t("nav.playbooks")}</a><//>
    ${start.fault ? html`<${Failure} error=${start.fault} retry=${() => load()} />` : null}
    ${start.text !== null ? html`<${Editor} key=${name} name=${name} start=${start.text} reload=${() => load()} onSigned=${(text) => setStart({ text, fault: null })} />` : start.fault ? null : html`<${Bones} count=${12} />`}
  </div>`;
}

// What is wrong in the text, or may be, line by line.
const Lines = ({ of, look, onJump }) => (of.length ? html`<ul class=${look}>${of.map((each) => html`<li><button type="button" class="link" onClick=${() => onJump(each.line)}>${t("playbooks.line", { line: each.line })}</button><span>${each.text} <span class="soft">${each.mend}</span></span></li>`)}</ul>` : null);

// `start` is what is signed now; a draft knows what it was begun from.
function Editor({ name, start, reload, onSigned }) {
  const [draft, keepWritten] = useDraft(`playbook/${name}`); // { text, base }
  const text = draft?.text ?? start;
  const base = draft?.base ?? start;
  const setText = (next, from = base) => keepWritten(next === start ? null : { text: next, base: from });
  const clashes = name && draft && base !== start;
  const [checked, setChecked] = useState(null); // { text, found, error }
  const [busy, run] = useDeed();
  const box = useRef(null);
  const known = useApi("/playbooks", { every: 300 });
  useEffect(() => {
    const abort = new AbortController();
    const check = async () => {
      try {
        const found = await post("/playbooks/check", { text, backtest: false });
        if (abort.signal.aborted) return;
        setChecked({ text, found });
        if (!found.faults.length) setTimeout(past, PAUSE_MS);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (!abort.signal.aborted) setChecked({ text, error });
      }
    };
    // Many past cases take a while: what is wrong with the text is told before.
    const past = async () => {
      if (abort.signal.aborted) return;
      try {
        const found = await post("/playbooks/check", { text });
        if (!abort.signal.aborted) setChecked({ text, found });
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (!abort.signal.aborted) setChecked((now) => ({ ...now, late: error }));
      }
    };
    const later = setTimeout(check, text === start && !checked ? 0 : PAUSE_MS);
    return () => {
      clearTimeout(later);
      abort.abort();
    };
  }, [text]);
  const current = checked?.text === text ? checked : null;
  const faults = current?.found?.faults ?? [];
  const warnings = current?.found?.warnings ?? [];
  const good = current?.found && !faults.length;
  const takes = good && items(known.data).find((one) => one.name === current.found.name);
  const keep = async (event) => {
    event?.preventDefault();
    if (!good || busy || !draft || !may("operate")) return;
    const { answer, error } = await run(() => post("/playbooks", { text, ...(current.found.name === name ? { replaces: base } : {}) }), t("playbooks.kept"));
    known.reload();
    if (error?.status === 409) reload();
    if (error) return;
    const stays = answer.name === name;
    keepWritten((now) => {
      const more = now && now.text !== text ? { text: now.text, base: text } : null; // written while it was being signed
      if (!stays && more) keepDraft(`playbook/${answer.name}`, more);
      return stays ? more : null;
    });
    if (stays) onSigned(text);
    else go(`/playbooks/${encodeURIComponent(answer.name)}`);
  };
  const jump = (line) => jumpTo(box.current, line);
  useKeys(t("nav.playbooks"), [["ctrl+s", t("playbooks.sign"), keep]]);
  return html`${clashes ? html`<${Clash} text=${t("playbooks.clash", { name })} busy=${busy} onMine=${() => setText(text, start)} onTheirs=${() => keepWritten(null)}><div class="snippet"><pre tabindex="0">${start}</pre></div><//>` : null}
  <form class="case-columns" onSubmit=${keep}>
    <${Card} label=${t("playbooks.editor")}><${Lined} box=${box} text=${text} onInput=${setText} faults=${faults} label=${t("playbooks.editor")} readOnly=${!may("operate")} /><//>
    <div class="stack">
      <${Card} title=${t("playbooks.check")}><div class="card-body stack" role="status">
        ${!current ? html`<p class="soft">${t("playbooks.checking")}</p>` : null}
        ${current?.error ? html`<${Failure} error=${current.error} />` : null}
        <${Lines} of=${faults} look="faults" onJump=${jump} />
        ${good ? html`<p class="s-good"><${Icon} name="check" /> ${t(warnings.length ? "playbooks.fits.bare" : "playbooks.fits")}</p>` : null}
        ${warnings.length ? html`<p class="s-minor"><${Icon} name="warning" /> ${t("playbooks.unknown")}</p><${Lines} of=${warnings} look="cautions" onJump=${jump} />` : null}
        ${takes ? html`<p class="soft">${t(takes.own ? "playbooks.replaces.own" : "playbooks.replaces.shipped", { name: takes.name, version: takes.version })}</p>` : null}
      </div><//>
      <${Card} title=${t("playbooks.backtest.title")}><div class="card-body">
        ${good && current.found.backtest ? html`<${Backtest} of=${current.found.backtest} />` : current?.late ? html`<${Failure} error=${current.late} />` : good ? html`<p class="soft">${t("playbooks.backtest.trying")}</p>` : html`<${Empty} small icon="retry" title=${t("playbooks.backtest.wait")} />`}
      </div><//>
      <${Card} title=${t("playbooks.sign")} aside=${draft ? html`<span class="state warm">${t("post_mortem.unsaved")}</span>` : null}><div class="card-body stack">
        <p class="soft">${t("playbooks.sign.text")}</p>
        ${may("operate") ? html`<p class="action-deeds"><button class="button primary" disabled=${!good || busy || !draft || clashes}><${Icon} name="check" />${t("playbooks.sign")}<kbd>Ctrl S</kbd></button>${draft ? html`<button type="button" class="button" onClick=${() => keepWritten(null)}>${t("do.discard")}</button>` : null}</p>` : html`<p>${t("forbidden.sign")}</p>`}
      </div><//>
    </div>
  </form>`;
}
