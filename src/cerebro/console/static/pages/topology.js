import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { query, useApi } from "../lib/api.js";
import { span, stamp } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { useKeys } from "../lib/keys.js";
import { entityHref } from "../lib/model.js";
import { go, refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { folded, Graph, graphOf, near, only } from "../ui/map.js";
import { Answer, Card, Chips, Empty, Glyph, Icon, PageHead } from "../ui/parts.js";

const MINUTE = 60_000;
const BACK_MIN = 24 * 60;
const SICK = ["critical", "major", "minor", "notice"];

export function Topology() {
  const { query: asked } = useStore(route);
  const at = Number(asked.at) || 0;
  const topology = useApi(`/topology${query({ at_ms: at, limit: 2000 })}`, { every: at ? 3600 : 30, kinds: at ? "" : "case" });
  return html`<div class="page wide">
    <${PageHead} title=${t("nav.topology")} lead=${t("topology.lead")} />
    <${Answer} of=${topology} bones=${8}>
      ${(data) => html`<${Whole} topology=${data} asked=${asked} at=${at} />`}
    <//>
  </div>`;
}

function Whole({ topology, asked, at }) {
  const [opened, setOpened] = useState(() => new Set());
  const [zoom, setZoom] = useState(0);
  const box = useRef(null);
  const whole = useMemo(() => graphOf(topology), [topology]);
  const kinds = useMemo(() => [...new Set([...whole.nodes.values()].map((node) => node.key.kind))].sort(), [whole]);
  const text = (asked.q ?? "").toLowerCase();
  const hops = Number(asked.hops) || 2;
  const focus = whole.nodes.has(asked.focus) ? asked.focus : "";
  const shown = useMemo(() => {
    let graph = whole;
    if (asked.kind) graph = only(graph, (id, node) => node.key.kind === asked.kind || id === focus);
    if (focus) {
      const inside = near(graph, focus, hops);
      graph = only(graph, (id) => inside.has(id));
    } else if (asked.sick) {
      const hurt = new Set([...graph.nodes.values()].filter((node) => SICK.includes(node.level)).flatMap((node) => [...near(graph, node.id, 1)]));
      graph = only(graph, (id) => hurt.has(id));
    }
    return folded(graph, opened);
  }, [whole, asked.kind, asked.sick, focus, hops, opened]);
  const hits = useMemo(() => (text ? [...whole.nodes.values()].filter((node) => node.id.toLowerCase().includes(text)) : []), [whole, text]);
  const lit = useMemo(() => {
    if (!text) return null;
    const names = new Set(hits.map((node) => node.id));
    return new Set([...shown.nodes.values()].filter((node) => node.members.some((id) => names.has(id))).map((node) => node.id));
  }, [hits, shown]);
  const center = (id) => refine({ focus: id, q: "" });
  const open = (id) => setOpened(new Set([...opened, id]));
  const fit = zoom || 1;
  useEffect(() => {
    const svg = box.current?.querySelector("svg");
    if (!svg) return;
    const wide = Number(svg.getAttribute("viewBox").split(" ")[2]);
    setZoom(Math.min(1.15, Math.max(box.current.clientWidth < 500 ? 0.72 : 0.55, (box.current.clientWidth - 4) / wide)));
  }, [shown]);
  useKeys(t("nav.topology"), [
    ["+", t("topology.closer"), () => setZoom(Math.min(2, fit * 1.2))],
    ["-", t("topology.farther"), () => setZoom(Math.max(0.3, fit / 1.2))],
    ["u", t("topology.sick"), () => refine({ sick: asked.sick ? "" : "1", focus: "" })],
    ["0", t("topology.all"), () => (setOpened(new Set()), refine({ focus: "", q: "", kind: "", sick: "" }))],
  ]);
  if (!whole.nodes.size) return html`<${Card}><${Empty} icon="topology" title=${t("topology.empty.title")}><p>${t("topology.empty.text")}</p><//><//>`;
  const tally = (level) => [...whole.nodes.values()].filter((node) => node.level === level).length;
  return html`
    <div class="filters">
      <input class="input search" type="search" placeholder=${t("topology.search")} aria-label=${t("topology.search")} value=${asked.q ?? ""} onInput=${(event) => refine({ q: event.target.value })}
        onKeyDown=${(event) => event.key === "Enter" && hits.length && center(hits[0].id)} />
      <select class="input" aria-label=${t("topology.kind")} onChange=${(event) => refine({ kind: event.target.value })}><option value="">${t("topology.any_kind")}</option>${kinds.map((kind) => html`<option value=${kind} selected=${asked.kind === kind}>${word("kinds", kind) === kind ? kind : word("kinds", kind)}</option>`)}</select>
      <button class="button" aria-pressed=${String(Boolean(asked.sick))} onClick=${() => refine({ sick: asked.sick ? "" : "1", focus: "" })}>${t("topology.sick")}<kbd>u</kbd></button>
      ${focus ? html`<span class="focus-on"><b>${focus}</b><${Chips} label=${t("topology.hops")} value=${hops} options=${[[1, "1"], [2, "2"], [3, "3"]]} onChange=${(size) => refine({ hops: size })} />
        <a class="button small" href=${entityHref(focus)}>${t("do.details")}</a><button class="button bare square small" aria-label=${t("topology.all")} onClick=${() => refine({ focus: "" })}><${Icon} name="close" /></button></span>` : null}
      <span class="grow"></span>
      <span class="map-zoom"><button class="button square" aria-label=${t("topology.farther")} onClick=${() => setZoom(Math.max(0.3, fit / 1.2))}>−</button><button class="button square" aria-label=${t("topology.closer")} onClick=${() => setZoom(Math.min(2, fit * 1.2))}>+</button></span>
    </div>
    ${text ? html`<ul class="hits">${hits.slice(0, 8).map((node) => html`<li><button class="button small" onClick=${() => center(node.id)}><${Glyph} level=${node.level} />${node.id}</button></li>`)}${hits.length ? null : html`<li class="faint">${t("palette.nothing")}</li>`}${hits.length > 8 ? html`<li class="faint">${t("more.count", { count: hits.length - 8 })}</li>` : null}</ul>` : null}
    <${Card} label=${t("nav.topology")}>
      <div ref=${box}>${shown.nodes.size ? html`<${Graph} graph=${shown} zoom=${fit} lit=${lit} chosen=${focus} onOpen=${open} onChoose=${(id) => (id === focus ? go(entityHref(id)) : center(id))} />` : html`<${Empty} icon="calm" title=${t("topology.none_sick")} />`}</div>
      <footer class="map-foot">
        <span class="legend">${["critical", "major", "minor", "notice", "good", "unknown"].map((level) => (tally(level) ? html`<span class=${`severity s-${level}`}><${Glyph} level=${level} />${level === "good" || level === "unknown" ? word("health", level) : word("severity", level)} ${tally(level)}</span>` : null))}</span>
        <span class="grow"></span>
        <span class="faint">${t("topology.drawn", { drawn: shown.nodes.size, count: topology.total_count ?? whole.nodes.size })}${opened.size ? html` <button class="button bare small" onClick=${() => setOpened(new Set())}>${t("topology.fold")}</button>` : null}</span>
      </footer>
    <//>
    <${Slider} at=${at} />`;
}

// The map as it was: a day back, minute by minute.
function Slider({ at }) {
  const now = Date.now();
  const [dragged, setDragged] = useState(null);
  const back = dragged ?? (at ? Math.min(BACK_MIN, Math.max(0, Math.round((now - at) / MINUTE))) : 0);
  const settle = (minutes) => {
    setDragged(null);
    refine({ at: minutes ? Math.round((now - minutes * MINUTE) / MINUTE) * MINUTE : "" });
  };
  return html`<div class="time-slider"><label><span class="visually-hidden">${t("topology.when")}</span>
      <input type="range" min="0" max=${BACK_MIN} step="5" value=${String(BACK_MIN - back)} onInput=${(event) => setDragged(BACK_MIN - Number(event.target.value))} onChange=${(event) => settle(BACK_MIN - Number(event.target.value))} /></label>
    <span class="soft">${back ? html`${t("topology.ago", { span: span(back * MINUTE) })} <span class="faint">${stamp(now - back * MINUTE)}</span>` : t("topology.now")}</span>
    ${back ? html`<button class="button small" onClick=${() => settle(0)}>${t("topology.to_now")}</button>` : null}
  </div>`;
}
