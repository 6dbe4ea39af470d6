import { html, useEffect, useState } from "../lib/html.js";
import { freshToken, may, put, query, useApi } from "../lib/api.js";
import { t, language } from "../lib/i18n.js";
import { useStore } from "../lib/store.js";
import { Answer, Card, Icon, PageHead, Time, toast, useDeed } from "../ui/parts.js";

// Drafted from the case's own record; whoever edits it makes it theirs.
export function PostMortemPage({ id }) {
  const spoken = useStore(language);
  const path = `/cases/${encodeURIComponent(id)}/post-mortem`;
  const found = useApi(path + query({ language: spoken }), { every: 3600 });
  const [text, setText] = useState(null);
  const [busy, run] = useDeed();
  useEffect(() => setText(null), [found.data]);
  const shown = text ?? found.data?.markdown ?? "";
  const save = async (event) => {
    event.preventDefault();
    const { error } = await run(() => put(path, { markdown: shown, version: found.data.version }), t("post_mortem.saved"));
    if (!error) found.reload();
  };
  const fetchFile = (kind) => run(() => download(`/api/v1${path}.${kind}${query({ language: spoken })}`, `post-mortem-${id}.${kind}`));
  return html`<div class="page">
    <${PageHead} title=${t("post_mortem.title")} lead=${t("post_mortem.lead")}>
      <a class="button" href=${`/cases/${id}`}>${t("finding.case")}</a>
      <button class="button" disabled=${busy} onClick=${() => fetchFile("md")}>Markdown</button><button class="button" disabled=${busy} onClick=${() => fetchFile("pdf")}>PDF</button>
    <//>
    <${Answer} of=${found} bones=${10}>${(data) => html`<${Card} title=${data.version ? t("post_mortem.by", { who: data.by }) : t("post_mortem.draft")} aside=${data.version ? html`<${Time} ms=${data.saved_ms} />` : null}>
      <form class="card-body stack" onSubmit=${save}>
        <textarea class="input document" value=${shown} readonly=${!may("respond")} onInput=${(event) => setText(event.target.value)} aria-label=${t("post_mortem.title")}></textarea>
        ${may("respond") ? html`<div class="dialog-foot"><button class="button primary" disabled=${busy || text === null}><${Icon} name="check" />${t("do.save")}</button></div>` : null}
      </form><//>`}<//>
  </div>`;
}

async function download(address, name) {
  const answer = await fetch(address, { headers: { authorization: `Bearer ${await freshToken()}` } });
  if (!answer.ok) {
    toast(t("problem.other", { status: answer.status }), { bad: true });
    return;
  }
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(await answer.blob());
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
}
