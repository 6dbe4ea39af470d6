import { html, useMemo, useState } from "../lib/html.js";
import { query, session, useApi } from "../lib/api.js";
import { stamp, writer } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { useStore } from "../lib/store.js";
import { Spark } from "../ui/chart.js";
import { CaseTable, FindingTable } from "../ui/lists.js";
import { Answer, Card, Empty, EntityLink, PageHead, Time } from "../ui/parts.js";
import { HealthWord } from "./entities.js";
import { labelText } from "./series.js";

const SHOWN = 24;

export function EntityPage({ kind, name }) {
  const { me } = useStore(session);
  const place = `${encodeURIComponent(kind)}/${encodeURIComponent(name)}`;
  const about = useApi(`/entities/${place}`, { every: 20, kinds: "case" });
  const cases = useApi(`/cases${query({ entity: `${kind}/${name}`, limit: 20 })}`, { kinds: "case" });
  const findings = useApi(`/findings${query({ entity: `${kind}/${name}`, limit: 20 })}`, { kinds: "finding" });
  const series = useApi(`/series${query({ entity: `${kind}/${name}`, limit: 400 })}`, { every: 120 });
  return html`<div class="page">
    <${PageHead} title=${html`<span class="entity"><span class="kind">${word("kind", kind)}</span>${name}</span>`}>${about.data ? html`<${HealthWord} of=${about.data.entity ?? about.data} />` : null}<//>
    <div class="case-columns">
      <div class="stack">
        <${Card} title=${t("entity.series")} aside=${series.data ? items(series.data).length : ""}>
          <${Answer} of=${series} bones=${6}>${(data) => html`<${Signals} series=${items(data)} entity=${`${kind}/${name}`} />`}<//>
        <//>
      </div>
      <div class="stack">
        <${Card} title=${t("finding.facts")}><${Answer} of=${about}>${(data) => html`<${Facts} about=${data} />`}<//><//>
        <${Card} title=${t("nav.cases")}><${Answer} of=${cases} bones=${2}>${(data) => (items(data).length ? html`<${CaseTable} cases=${items(data)} me=${me?.name} />` : html`<${Empty} small title=${t("entity.no_cases")} />`)}<//><//>
        <${Card} title=${t("nav.findings")}><${Answer} of=${findings} bones=${2}>${(data) => (items(data).length ? html`<${FindingTable} findings=${items(data)} about=${false} />` : html`<${Empty} small title=${t("entity.no_findings")} />`)}<//><//>
      </div>
    </div>
  </div>`;
}

function Facts({ about }) {
  const one = about.entity?.key ? about.entity : about;
  const relations = about.relations ?? [];
  return html`<dl class="facts card-body">
    <dt>${t("entities.owner")}</dt><dd>${one.owner || html`<span class="faint">${t("entity.no_owner")}</span>`}</dd>
    <dt>${t("entity.first")}</dt><dd><${Time} ms=${one.first_seen_ms} exact /></dd>
    <dt>${t("entities.seen")}</dt><dd><${Time} ms=${one.last_seen_ms} /></dd>
    ${Object.entries(one.attributes ?? {}).map(([name, value]) => html`<dt class="mono">${name}</dt><dd>${value}</dd>`)}
    ${relations.map((relation) => html`<dt>${word("relation", relation.kind)}</dt><dd><${EntityLink} of=${relation.source} /> → <${EntityLink} of=${relation.target} /></dd>`)}
  </dl>`;
}

function Signals({ series, entity }) {
  const [words, setWords] = useState("");
  const fits = useMemo(() => series.filter((one) => !words || `${one.metric} ${labelText(one.labels)}`.toLowerCase().includes(words.toLowerCase())), [series, words]);
  if (!series.length) return html`<${Empty} small icon="series" title=${t("entity.no_series")} />`;
  return html`<div class="card-body stack">
    <input class="input search" type="search" placeholder=${t("series.search")} aria-label=${t("series.search")} value=${words} onInput=${(event) => setWords(event.target.value)} />
    <ul class="sparks">${fits.slice(0, SHOWN).map((one) => html`<${Signal} key=${`${one.hi}:${one.lo}`} one=${one} entity=${entity} />`)}</ul>
    ${fits.length > SHOWN ? html`<p class="hint">${t("entity.more_series", { count: fits.length - SHOWN })}</p>` : null}
  </div>`;
}

function Signal({ one, entity }) {
  const end = useMemo(() => Math.floor(Date.now() / 60_000) * 60_000, []);
  const answer = useApi(`/series/points${query({ hi: one.hi, lo: one.lo, start_ms: end - 3_600_000, end_ms: end + 60_000, points: 120 })}`, { every: 60 });
  const values = answer.data?.value ?? [];
  const last = values.at(-1);
  const write = writer(one.metric, one.unit);
  return html`<li><a class="spark-row" href=${`/series?q=${encodeURIComponent(one.metric)}&entity=${encodeURIComponent(entity)}&hi=${one.hi}&lo=${one.lo}`} title=${last == null ? "" : stamp(answer.data.at_ms.at(-1))}>
    <span class="row-text"><span class="mono">${one.metric}</span><span class="row-note faint">${labelText(one.labels)}</span></span>
    <${Spark} values=${values} label=${one.metric} /><b class="end">${last == null ? "–" : write(last)}</b></a></li>`;
}
