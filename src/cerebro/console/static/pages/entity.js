import { html, useMemo, useState } from "../lib/html.js";
import { query, session, useApi } from "../lib/api.js";
import { stamp, writer } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { entity, items } from "../lib/model.js";
import { useStore } from "../lib/store.js";
import { Spark } from "../ui/chart.js";
import { CaseRows, FindingRows } from "../ui/lists.js";
import { Answer, Card, Empty, EntityLink, PageHead, Time } from "../ui/parts.js";
import { HealthWord } from "./entities.js";
import { labelText } from "./series.js";

const SHOWN = 24;

export function EntityPage({ kind, name }) {
  const { me } = useStore(session);
  const text = `${kind}/${name}`;
  const about = useApi(`/entities/${encodeURIComponent(kind)}/${encodeURIComponent(name)}`, { every: 20, kinds: "case" });
  const cases = useApi(`/cases${query({ entity: text, limit: 20 })}`, { kinds: "case" });
  const findings = useApi(`/findings${query({ entity: text, limit: 20 })}`, { kinds: "finding" });
  return html`<div class="page">
    <${PageHead} title=${name} before=${html`<span class="faint">${word("kind", kind)}</span>`}>${about.data ? html`<${HealthWord} of=${about.data} />` : null}<//>
    <div class="case-columns">
      <div class="stack">
        <${Card} title=${t("entity.series")} aside=${about.data ? about.data.series_count : ""}>
          <${Answer} of=${about} bones=${6}>${(data) => html`<${Signals} series=${data.series} of=${text} />`}<//>
        <//>
      </div>
      <div class="stack">
        ${about.data ? html`<${Card} title=${t("finding.facts")}><${Facts} one=${about.data} /><//>` : null}
        <${Card} title=${t("nav.cases")}><${Answer} of=${cases} bones=${2}>${(data) => (items(data).length ? html`<${CaseRows} cases=${items(data)} me=${me?.name} />` : html`<${Empty} small title=${t("entity.no_cases")} />`)}<//><//>
        <${Card} title=${t("nav.findings")}><${Answer} of=${findings} bones=${2}>${(data) => (items(data).length ? html`<${FindingRows} findings=${items(data)} />` : html`<${Empty} small title=${t("entity.no_findings")} />`)}<//><//>
      </div>
    </div>
  </div>`;
}

const Facts = ({ one }) => html`<dl class="facts card-body">
  <dt>${t("entities.owner")}</dt><dd>${one.owner || html`<span class="faint">${t("entity.no_owner")}</span>`}</dd>
  <dt>${t("entity.first")}</dt><dd><${Time} ms=${one.first_seen_ms} exact /></dd>
  <dt>${t("entities.seen")}</dt><dd><${Time} ms=${one.last_seen_ms} /></dd>
  ${Object.entries(one.attributes).map(([name, value]) => html`<dt class="mono">${name}</dt><dd>${value}</dd>`)}
  ${one.relations.slice(0, 12).map((relation, index) => {
    const again = index > 0 && one.relations[index - 1].kind === relation.kind;
    const out = entity(relation.source).text === entity(one).text;
    return html`<dt>${again ? "" : word("relation", relation.kind)}</dt><dd>${out ? "→" : "←"} <${EntityLink} of=${out ? relation.target : relation.source} /></dd>`;
  })}
  ${one.relations.length > 12 ? html`<dt></dt><dd class="faint">${t("more.count", { count: one.relations.length - 12 })}</dd>` : null}
</dl>`;

function Signals({ series, of }) {
  const [words, setWords] = useState("");
  const fits = useMemo(() => series.filter((one) => !words || `${one.metric} ${labelText(one.labels)}`.toLowerCase().includes(words.toLowerCase())), [series, words]);
  if (!series.length) return html`<${Empty} small icon="series" title=${t("entity.no_series")} />`;
  return html`<div class="card-body stack">
    <input class="input search" type="search" placeholder=${t("series.search")} aria-label=${t("series.search")} value=${words} onInput=${(event) => setWords(event.target.value)} />
    ${fits.length ? html`<ul class="sparks">${fits.slice(0, SHOWN).map((one) => html`<${Signal} key=${`${one.hi}:${one.lo}`} one=${one} of=${of} />`)}</ul>` : html`<p class="hint">${t("cases.none_fit")}</p>`}
    ${fits.length > SHOWN ? html`<p class="hint">${t("entity.more_series", { count: fits.length - SHOWN })}</p>` : null}
  </div>`;
}

function Signal({ one, of }) {
  const write = writer(one.metric, one.unit);
  const counter = ["counter", "histogram"].includes(one.type);
  return html`<li><a class="spark-row" href=${`/series${query({ q: one.metric, entity: of, hi: one.hi, lo: one.lo })}`} title=${one.last_ms ? stamp(one.last_ms) : ""}>
    <span class="row-text"><span class="mono">${one.metric}</span><span class="row-note faint">${labelText(one.labels)}</span></span>
    <${Spark} values=${counter ? steps(one.spark.value ?? []) : (one.spark.value ?? [])} label=${one.metric} /><b class="end">${one.last_value == null ? "–" : write(one.last_value)}</b></a></li>`;
}

// What a counter grew by between two points; a restart from zero is a gap.
const steps = (values) => values.slice(1).map((value, index) => (value >= values[index] ? value - values[index] : null));
