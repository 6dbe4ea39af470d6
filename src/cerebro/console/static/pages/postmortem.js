import { html, useState } from "../lib/html.js";
import { file, may, put, query, useApi } from "../lib/api.js";
import { useDraft } from "../lib/drafts.js";
import { t, language } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { Markdown } from "../lib/markdown.js";
import { useStore } from "../lib/store.js";
import { Answer, Card, Chips, Clash, Icon, PageHead, Time, useDeed } from "../ui/parts.js";

// Drafted from the case's own record; whoever edits it makes it theirs.
export function PostMortemPage({ id }) {
  const spoken = useStore(language);
  const path = `/cases/${encodeURIComponent(id)}/post-mortem`;
  const found = useApi(path + query({ language: spoken }), { every: 3600 });
  const [written, keep] = useDraft(`post-mortem/${id}`); // { text, version }: what is being written, and what it was begun from
  const [mode, setMode] = useState(written ? "write" : "read");
  const [saved, setSaved] = useState(null); // what came of the last save: it is here before it is asked for again
  const [busy, run] = useDeed();
  const newest = saved?.version > found.data?.version ? saved : found.data;
  const clashes = written && newest?.version > written.version;
  const setText = (text) => keep((now) => (text === newest.markdown ? null : { text, version: now?.version ?? newest.version }));
  const save = async (event, version = written?.version) => {
    event?.preventDefault();
    if (!written || busy) return;
    const sent = written.text;
    const { answer, error } = await run(() => put(path, { markdown: sent, version }), t("post_mortem.saved"));
    found.reload();
    if (error) return;
    setSaved(answer);
    keep((now) => {
      if (now && now.text !== sent) return { ...now, version: answer.version }; // written while it was being kept
      setMode("read");
      return null;
    });
  };
  const fetchFile = (kind) => run(async () => download(await file(`${path}.${kind}${query({ language: spoken })}`), `post-mortem-${id}.${kind}`));
  useKeys(t("post_mortem.title"), may("respond") ? [["e", t("post_mortem.write"), () => setMode(mode === "read" ? "write" : "read")]] : []);
  return html`<div class="page">
    <${PageHead} title=${t("post_mortem.title")} lead=${t("post_mortem.lead")}>
      <a class="button" href=${`/cases/${id}`}>${t("finding.case")}</a>
      <button class="button" disabled=${busy} onClick=${() => fetchFile("md")}>Markdown</button><button class="button" disabled=${busy} onClick=${() => fetchFile("pdf")}>PDF</button>
    <//>
    <${Answer} of=${{ ...found, data: newest }} bones=${10}>${(data) => html`
      ${clashes ? html`<${Clash} text=${t("post_mortem.clash", { who: data.by })} ms=${data.saved_ms} busy=${busy} onMine=${() => save(null, data.version)} onTheirs=${() => keep(null)}><${Markdown} text=${data.markdown} /><//>` : null}
      <${Card} title=${data.version ? t("post_mortem.by", { who: data.by }) : t("post_mortem.draft")} aside=${html`${data.version ? html`<${Time} ms=${data.saved_ms} />` : null}${written ? html` <span class="state warm">${t("post_mortem.unsaved")}</span>` : null}`}
      actions=${may("respond") ? html`<${Chips} label=${t("post_mortem.mode")} value=${mode} options=${[["read", t("post_mortem.read")], ["write", t("post_mortem.write")]]} onChange=${setMode} />` : null}>
      ${mode === "read"
        ? html`<div class="card-body"><${Markdown} text=${written?.text ?? data.markdown} /></div>`
        : html`<form class="card-body stack" onSubmit=${save}>
            <div class="beside"><textarea class="input document" value=${written?.text ?? data.markdown} onInput=${(event) => setText(event.target.value)} aria-label=${t("post_mortem.title")}
                onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && save(event)}></textarea>
              <div class="preview desk"><${Markdown} text=${written?.text ?? data.markdown} /></div></div>
            <div class="dialog-foot">${written ? html`<button type="button" class="button" onClick=${() => keep(null)}>${t("do.discard")}</button>` : null}<button class="button primary" disabled=${busy || !written || clashes}><${Icon} name="check" />${t("do.save")}<kbd>Ctrl ↵</kbd></button></div>
          </form>`}
      <//>`}<//>
  </div>`;
}

function download(blob, name) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
}
