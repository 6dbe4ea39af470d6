import { html, useMemo, useState } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { entity, entityHref, items, rank } from "../lib/model.js";
import { Answer, Card, Empty, PageHead } from "../ui/parts.js";
import { health } from "./overview.js";

const [COLUMN, ROW, WIDE, TALL] = [290, 36, 210, 28];
const NODES_MAX = 200;

export function Topology() {
  const topology = useApi("/topology", { every: 30, kinds: "case" });
  return html`<div class="page">
    <${PageHead} title=${t("nav.topology")} lead=${t("topology.lead")} />
    <${Card} label=${t("nav.topology")}><${Answer} of=${topology} bones=${8}>
      ${(data) => (items(data.entities).length ? html`<${Map} topology=${data} />` : html`<${Empty} icon="topology" title=${t("topology.empty.title")}><p>${t("topology.empty.text")}</p><//>`)}
    <//><//>
  </div>`;
}

// Callers to the left of what they call: each entity's column is its longest way from an entrance, circles cut.
export function arranged(entities, relations) {
  const nodes = new globalThis.Map(entities.map((one) => [entity(one).text, { one, key: entity(one), out: [], into: [], column: 0 }]));
  const edges = relations.map((relation) => ({ ...relation, from: nodes.get(entity(relation.source).text), to: nodes.get(entity(relation.target).text) })).filter((edge) => edge.from && edge.to && edge.from !== edge.to);
  for (const edge of edges) {
    edge.from.out.push(edge.to);
    edge.to.into.push(edge.from);
  }
  const state = new globalThis.Map();
  const depth = (node) => {
    if (state.get(node) === "walking") return -1;
    if (state.get(node) === "done") return node.column;
    state.set(node, "walking");
    node.column = Math.max(0, ...node.into.map((caller) => depth(caller) + 1));
    state.set(node, "done");
    return node.column;
  };
  for (const node of nodes.values()) depth(node);
  const columns = [];
  for (const node of nodes.values()) (columns[node.column] ??= []).push(node);
  columns.forEach((column, x) => {
    const place = (node) => (node.into.length ? node.into.reduce((sum, other) => sum + (other.y ?? 0), 0) / node.into.length : 0);
    column.sort((a, b) => place(a) - place(b) || rank(b.one.severity ?? 0) - rank(a.one.severity ?? 0) || a.key.text.localeCompare(b.key.text));
    let free = 16; // beside the middle of its callers, or below the one above it
    for (const node of column) {
      node.x = 16 + x * COLUMN;
      node.y = Math.max(free, place(node));
      free = node.y + ROW;
    }
  });
  return { nodes: [...nodes.values()], edges, wide: 32 + columns.length * COLUMN - (COLUMN - WIDE), tall: 16 + ROW + Math.max(0, ...[...nodes.values()].map((node) => node.y)) };
}

function Map({ topology }) {
  const [near, setNear] = useState("");
  const all = items(topology.entities).slice(0, NODES_MAX);
  const drawn = useMemo(() => arranged(all, items(topology.relations)), [topology]);
  const lit = (edge) => !near || edge.from.key.text === near || edge.to.key.text === near;
  const close = new Set(drawn.edges.filter((edge) => near && lit(edge)).flatMap((edge) => [edge.from, edge.to]));
  return html`<div class="map"><svg width=${drawn.wide} height=${drawn.tall} viewBox=${`0 0 ${drawn.wide} ${drawn.tall}`} role="group" aria-label=${t("nav.topology")}>
    <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 .8 7 4 0 7.2z" class="tip" /></marker></defs>
    ${drawn.edges.map((edge) => {
      const [x1, y1, x2, y2] = [edge.from.x + WIDE, edge.from.y + TALL / 2, edge.to.x, edge.to.y + TALL / 2];
      const bend = Math.max(24, Math.abs(x2 - x1) / 2);
      return html`<path class=${`edge${lit(edge) ? "" : " dim"}`} d=${`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} marker-end="url(#tip)"><title>${edge.from.key.text} ${word("relation", edge.kind)} ${edge.to.key.text}</title></path>`;
    })}
    ${drawn.nodes.map((node) => {
      const level = health(node.one);
      return html`<a href=${entityHref(node.one)} class=${`node n-${level}${near && node.key.text !== near && !close.has(node) ? " dim" : ""}`} onMouseEnter=${() => setNear(node.key.text)} onMouseLeave=${() => setNear("")} onFocus=${() => setNear(node.key.text)} onBlur=${() => setNear("")} aria-label=${node.key.text}>
        <title>${node.key.text}</title><rect x=${node.x} y=${node.y} width=${WIDE} height=${TALL} rx="6" /><rect class="edge-mark" x=${node.x} y=${node.y} width="4" height=${TALL} rx="2" />
        <svg x=${node.x + 12} y=${node.y} width=${WIDE - 18} height=${TALL}><text y="18">${node.key.name}</text></svg></a>`;
    })}
  </svg></div>
  ${items(topology.entities).length > NODES_MAX ? html`<p class="rows-more">${t("topology.cut", { count: NODES_MAX })}</p>` : null}`;
}
