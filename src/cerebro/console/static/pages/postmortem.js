import { html, useEffect, useState } from "../lib/html.js";
import { freshToken, may, put, query, useApi } from "../lib/api.js";
import { t, language } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { Markdown } from "../lib/markdown.js";
import { useStore } from "../lib/store.js";
import { Answer, Card, Chips, Icon, PageHead, Time, toast, useDeed } from "../ui/parts.js";

// Drafted from the case's own record; whoever edits it makes it theirs.
export function PostMortemPage({ id }) {
  const spoken = useStore(language);
  const path = `/cases/${encodeURIComponent(id)}/post-mortem`;
  const found = useApi(path + query({ language: spoken }), { every: 3600 });
  const [edited, setEdited] = useState(null); // { id, text, version }: what is being written, and what it was begun from
  const [mode, setMode] = useState("read");
  const [busy, run] = useDeed();
  const text = edited?.id === id ? edited.text : null; // it outlives every reload: what someone writes is theirs
  const setText = (written) => setEdited(written === null ? null : { id, text: written, version: text === null ? found.data.version : edited.version });
  const shown = text ?? found.data?.markdown ?? "";
  const save = async (event) => {
    event?.preventDefault();
    if (text === null || busy) return;
    const { error } = await run(() => put(path, { markdown: shown, version: edited.version }), t("post_mortem.saved"));
    if (error) return;
    setEdited(null);
    found.reload();
    setMode("read");
  };
  const fetchFile = (kind) => run(() => download(`/api/v1${path}.${kind}${query({ language: spoken })}`, `post-mortem-${id}.${kind}`));
  useKeys(t("post_mortem.title"), may("respond") ? [["e", t("post_mortem.write"), () => setMode(mode === "read" ? "write" : "read")]] : []);
  useEffect(() => {
    if (text === null || text === found.data?.markdown) return undefined;
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [text]);
  return html`<div class="page">
    <${PageHead} title=${t("post_mortem.title")} lead=${t("post_mortem.lead")}>
      <a class="button" href=${`/cases/${id}`}>${t("finding.case")}</a>
      <button class="button" disabled=${busy} onClick=${() => fetchFile("md")}>Markdown</button><button class="button" disabled=${busy} onClick=${() => fetchFile("pdf")}>PDF</button>
    <//>
    <${Answer} of=${found} bones=${10}>${(data) => html`<${Card} title=${data.version ? t("post_mortem.by", { who: data.by }) : t("post_mortem.draft")} aside=${data.version ? html`<${Time} ms=${data.saved_ms} />` : null}
      actions=${may("respond") ? html`<${Chips} label=${t("post_mortem.mode")} value=${mode} options=${[["read", t("post_mortem.read")], ["write", t("post_mortem.write")]]} onChange=${setMode} />` : null}>
      ${mode === "read"
        ? html`<div class="card-body"><${Markdown} text=${shown} /></div>`
        : html`<form class="card-body stack" onSubmit=${save}>
            <div class="beside"><textarea class="input document" value=${shown} onInput=${(event) => setText(event.target.value)} aria-label=${t("post_mortem.title")}
                onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && save(event)}></textarea>
              <div class="preview desk"><${Markdown} text=${shown} /></div></div>
            <div class="dialog-foot">${text === null || text === data.markdown ? null : html`<span class="faint">${t("post_mortem.unsaved")}</span><button type="button" class="button" onClick=${() => setText(null)}>${t("do.discard")}</button>`}<button class="button primary" disabled=${busy || text === null}><${Icon} name="check" />${t("do.save")}<kbd>Ctrl ↵</kbd></button></div>
          </form>`}
      <//>`}<//>
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
