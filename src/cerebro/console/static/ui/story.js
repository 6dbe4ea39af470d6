// The story of a case: sentences that cannot be there without proof, and each proof one click away.
import { html, useEffect, useMemo, useState } from "../lib/html.js";
import { may, query, useApi } from "../lib/api.js";
import { short } from "../lib/format.js";
import { t, language, word } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { useStore } from "../lib/store.js";
import { Spark } from "./chart.js";
import { drawing, Evidence, Query } from "./evidence.js";
import { Card, Dialog, Empty, EntityLink, Failure, Icon, Bones, Time } from "./parts.js";

const PARTS = ["hurts", "since", "owner", "cause", "changed", "tried", "unknown"];
const offset = () => -new Date().getTimezoneOffset();

export function useStory(id) {
  const spoken = useStore(language);
  const [check, setCheck] = useState(false);
  const [worded, setWorded] = useState(false);
  const path = `/cases/${encodeURIComponent(id)}/story`;
  const told = useApi(`${path}${query({ language: spoken, offset_min: offset(), worded })}`, { every: worded ? 120 : 20, kinds: "case finding action" });
  const checked = useApi(check ? `${path}${query({ language: spoken, offset_min: offset(), check: true })}` : "", { every: 3600 });
  const verdicts = useMemo(() => new Map((checked.data?.proofs ?? []).map((proof) => [proof.id, proof])), [checked.data]);
  const verify = () => (check ? checked.reload() : setCheck(true));
  return { told, verdicts, verify, checking: checked.loading, checkFault: checked.error, worded, setWorded };
}

const LOOKS = { same: "good", drawn: "good", changed: "critical", expired: "major", unanswered: "major" };
const MARKS = { same: "✓", drawn: "✓", changed: "≠", expired: "…", unanswered: "?" };

export function Story({ id, causes, onProof, story }) {
  const { told, verdicts, verify, checking, checkFault, worded, setWorded } = story;
  const data = told.data;
  const [open, setOpen] = useState("");
  const proofs = data?.proofs ?? [];
  const chosen = proofs.find((proof) => proof.id === open);
  useKeys(t("story.title"), [
    ["v", t("story.check"), verify],
    ...proofs.slice(0, 9).map((proof, index) => [String(index + 1), index ? "" : t("story.open_proof"), () => setOpen(proof.id)]),
  ]);
  useEffect(() => onProof?.(open), [open]);
  if (!data && told.error?.status === 404) return null;
  return html`<div class="case-story"><${Card} title=${t("story.title")} aside=${data?.worded_by ? t("story.worded", { model: data.worded_by }) : t("story.aside", { count: proofs.length })}
    actions=${data ? html`${data.can_word ? html`<button class="button bare small" aria-pressed=${String(worded)} title=${worded ? data.not_worded : ""} onClick=${() => setWorded(!worded)}>${t("story.word")}</button>` : null}<button class="button bare small" onClick=${verify} disabled=${checking} title="v"><${Icon} name="check" />${checking ? t("story.checking") : t("story.check")}</button>` : null}>
    ${told.error ? html`<${Failure} error=${told.error} retry=${told.reload} />` : null}
    ${checkFault ? html`<${Failure} error=${checkFault} retry=${verify} />` : null}
    ${data
      ? html`<dl class="story">${PARTS.map((part) => {
          const sentences = data.sentences.filter((sentence) => sentence.part === part);
          if (!sentences.length) return null;
          return html`<div class=${`story-part p-${part}`}><dt>${word("story.part", part)}</dt><dd>
            ${part === "cause" && causes?.length ? html`<${Shares} causes=${causes} proofOf=${(cause) => proofs.find((proof) => cause.evidence?.some((one) => one.query === proof.query && one.start_ms === proof.start_ms))} onOpen=${setOpen} />` : null}
            ${sentences.map((sentence) => html`<p class="said">${sentence.text}${"\u00a0"}<span class="marks">${sentence.proofs.map((number) => html`<${Mark} number=${number} proof=${proofs[number - 1]} verdict=${verdicts.get(proofs[number - 1]?.id)} onOpen=${setOpen} />`)}</span></p>`)}
          </dd></div>`;
        })}</dl>
        ${verdicts.size ? html`<${Verdict} verdicts=${[...verdicts.values()]} />` : null}`
      : told.error ? null : html`<${Bones} count=${6} />`}
    ${chosen ? html`<${ProofDialog} proof=${chosen} verdict=${verdicts.get(chosen.id)} told=${data.sentences.filter((sentence) => sentence.proofs.includes(chosen.number))} onClose=${() => setOpen("")} />` : null}
  <//></div>`;
}

function Mark({ number, proof, verdict, onOpen }) {
  if (!proof) return null;
  const look = verdict?.verdict ? ` s-${LOOKS[verdict.verdict] ?? "unknown"}` : "";
  const said = verdict?.verdict ? ` · ${word("verdict", verdict.verdict)}` : "";
  return html`<button type="button" class=${`proof-mark${look}`} title=${`${t("story.proof", { number })}${said}`} aria-label=${`${t("story.proof", { number })}${said}`} onClick=${() => onOpen(proof.id)}>${number}${verdict?.verdict ? html`<i>${MARKS[verdict.verdict]}</i>` : null}</button>`;
}

// How the blame is shared: a bar a cause, the unexplained rest among them.
export function Shares({ causes, proofOf = () => null, onOpen }) {
  const named = [...causes].filter((cause) => cause.kind !== "unknown").sort((a, b) => a.rank - b.rank).slice(0, 4);
  const left = Math.max(0, 1 - named.reduce((sum, cause) => sum + cause.share, 0));
  const rows = [...named.map((cause) => ({ cause, share: cause.share })), ...(left >= 0.005 && named.length ? [{ cause: null, share: left }] : [])];
  return html`<ol class="shares">${rows.map(
    ({ cause, share }, index) => html`<li class=${index === 0 ? "first" : cause ? "" : "rest"}>
      <span class="share">${Math.round(share * 100)} %</span>
      <${Bar} share=${share} proof=${cause && proofOf(cause)} onOpen=${onOpen} />
      <span class="share-what">${cause ? html`<${EntityLink} of=${cause.entity} /> <span class="faint">${word("cause", cause.kind)}</span>` : html`<span class="soft">${word("cause", "unknown")}</span>`}</span>
    </li>`,
  )}</ol>`;
}

// A bar that opens what proves it.
function Bar({ share, proof, onOpen }) {
  const inner = html`<i ref=${(bar) => bar && (bar.style.width = `${Math.max(1, share * 100)}%`)}></i>`;
  if (!proof) return html`<span class="share-bar" aria-hidden="true">${inner}</span>`;
  return html`<button type="button" class="share-bar" aria-label=${t("story.proof", { number: proof.number })} title=${t("story.proof", { number: proof.number })} onClick=${() => onOpen(proof.id)}>${inner}</button>`;
}

function Verdict({ verdicts }) {
  const bad = verdicts.filter((one) => !["same", "drawn", ""].includes(one.verdict));
  return html`<p class=${`rows-more ${bad.length ? "s-major" : "s-good"}`} role="status"><${Icon} name=${bad.length ? "warning" : "check"} /> ${bad.length ? t("story.checked.bad", { bad: bad.length, count: verdicts.length }) : t("story.checked.good", { count: verdicts.length })}</p>`;
}

export function ProofDialog({ proof, verdict, told = [], onClose }) {
  const rows = Array.isArray(proof.sample?.rows) ? proof.sample.rows : null;
  const value = proof.engine === "records" ? proof.sample : null;
  const numbers = Object.entries(proof.sample ?? {}).filter(([, each]) => typeof each === "number");
  return html`<${Dialog} title=${t("story.proof", { number: proof.number })} look="wide proof" onClose=${onClose}>
    ${told.map((sentence) => html`<p class="strong">${sentence.text}</p>`)}
    ${proof.sentence && !told.some((sentence) => sentence.text.includes(proof.sentence)) && !drawing(proof.sample) ? html`<p>${proof.sentence}</p>` : null}
    ${verdict?.verdict ? html`<p class=${`s-${LOOKS[verdict.verdict] ?? "unknown"}`}><b>${word("verdict", verdict.verdict)}</b> · ${t("story.rows", { count: verdict.row_count })}${verdict.detail ? ` · ${verdict.detail}` : ""}</p>` : null}
    ${drawing(proof.sample) ? html`<${Evidence} evidence=${proof} />` : html`
      ${rows ? (rows.length ? html`<${Rows} rows=${rows} />` : html`<${Empty} small icon="calm" title=${t("story.no_rows")} />`) : null}
      ${Array.isArray(proof.sample?.values) ? html`<${Spark} values=${proof.sample.values} label=${proof.sentence} />` : null}
      ${!rows && !value && numbers.length ? html`<dl class="facts small">${numbers.map(([name, number]) => html`<dt>${name.replaceAll("_", " ")}</dt><dd>${short(number)}</dd>`)}</dl>` : null}
      ${value && Object.keys(value).length ? html`<${Kept} value=${value.value ?? value} />` : null}
      <${Query} evidence=${proof} open />`}
  <//>`;
}

function Rows({ rows }) {
  const columns = Object.keys(rows[0]);
  return html`<div class="table-wrap"><table class="list"><thead><tr>${columns.map((name) => html`<th>${name.replace(/_ms$/, "")}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, 50).map((row) => html`<tr>${columns.map((name) => html`<td>${name.endsWith("_ms") ? html`<${Time} ms=${Number(row[name])} exact />` : String(row[name] ?? "")}</td>`)}</tr>`)}</tbody></table></div>`;
}

const Kept = ({ value }) => html`<div class="snippet"><pre tabindex="0">${typeof value === "string" ? value || t("story.nothing_kept") : JSON.stringify(value, null, 2)}</pre></div>`;
