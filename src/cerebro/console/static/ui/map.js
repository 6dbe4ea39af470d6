// What needs what, drawn: callers to the left of what they call; many alike folded into one until someone opens them.
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { t, word } from "../lib/i18n.js";
import { entity, entityHref, items, rank } from "../lib/model.js";
import { go } from "../lib/router.js";
import { Glyph } from "./parts.js";

const [ROW, TALL] = [36, 28];
const [WIDE, GAP] = [206, 56]; // of a thing, and between two columns
const [SMALL_WIDE, SMALL_GAP] = [106, 22];
const ROWS_MAX = 22; // of one column; a longer one is broken into several
const FOLD_FROM = 60; // fewer are drawn one by one
const REPLICAS_FROM = 24; // so many, and replicas stand within their service
const FEW = 12; // folding down to less than this is left out, while it can be
const PARTS_OF = new Set(["process", "disk", "interface", "container", "filesystem"]);
const LEVELS = ["good", "unknown", "notice", "minor", "major", "critical"];

export const levelOf = (one) => (LEVELS.includes(one?.health) ? one.health : one?.severity ? ["good", "notice", "minor", "major", "critical"][rank(one.severity)] : "unknown");
const worse = (a, b) => (LEVELS.indexOf(a) >= LEVELS.indexOf(b) ? a : b);
const sick = (level) => LEVELS.indexOf(level) >= 2;

// The map as nodes by name, and edges between them; what a relation names and nobody has seen is a node too.
export function graphOf(topology) {
  const nodes = new Map();
  for (const one of items(topology.entities)) {
    const key = entity(one);
    nodes.set(key.text, { id: key.text, key, level: levelOf(one), needs: one.needs_health ?? "good", owner: one.owner ?? "", count: 1, members: [key.text] });
  }
  const edges = [];
  for (const relation of items(topology.relations)) {
    const [source, target] = [entity(relation.source), entity(relation.target)];
    for (const key of [source, target]) if (!nodes.has(key.text)) nodes.set(key.text, { id: key.text, key, level: "unknown", count: 1, members: [key.text] });
    if (source.text !== target.text) edges.push({ from: source.text, to: target.text, kind: relation.kind, weight: 1 });
  }
  return { nodes, edges };
}

export function near(graph, centre, hops) {
  const beside = new Map();
  for (const { from, to } of graph.edges) {
    (beside.get(from) ?? beside.set(from, []).get(from)).push(to);
    (beside.get(to) ?? beside.set(to, []).get(to)).push(from);
  }
  let seen = new Set([centre]);
  let edge = [centre];
  for (let hop = 0; hop < hops; hop += 1) {
    edge = edge.flatMap((id) => beside.get(id) ?? []).filter((id) => !seen.has(id) && seen.add(id));
  }
  return seen;
}

export function only(graph, keep) {
  const nodes = new Map([...graph.nodes].filter(([id, node]) => keep(id, node)));
  return { nodes, edges: graph.edges.filter((edge) => nodes.has(edge.from) && nodes.has(edge.to)) };
}

const stem = (name) => name.replace(/([-_.:](?:\d+|[0-9a-f]{5,})|\d+)+$/i, "");
const head = (name) => name.split(/[-_./:]/)[0];

// Replicas go into their service, parts into what they run on, then those of one name but for a number, then those of one first word.
export function folded(graph, opened) {
  let now = graph;
  const steps = [[byService, REPLICAS_FROM], [byHost, FOLD_FROM], [(all) => byName(all, stem, 3), FOLD_FROM], [(all) => byName(all, head, 5), FOLD_FROM]];
  for (const [step, most] of steps) {
    if (now.nodes.size <= most) continue;
    const fewer = merge(now, step(now), opened);
    if (fewer.nodes.size >= FEW || now.nodes.size > 4 * FOLD_FROM) now = fewer; // a map of three boxes says nothing
  }
  return now;
}

const byService = (graph) => within(graph, (edge) => edge.kind === "instance_of");
const byHost = (graph) => within(graph, (edge, part) => edge.kind === "runs_on" && PARTS_OF.has(part.key.kind));

function within(graph, isPart) {
  const groups = new Map();
  for (const edge of graph.edges) if (isPart(edge, graph.nodes.get(edge.from))) groups.set(edge.from, edge.to);
  return [...graph.nodes.keys()].map((id) => [id, groups.get(id) ?? ""]);
}

function byName(graph, of, least) {
  const groups = new Map();
  for (const node of graph.nodes.values()) {
    if (node.group || sick(node.level)) continue; // what hurts stands by itself
    const name = `${node.key.kind}/${of(node.key.name)}`;
    (groups.get(name) ?? groups.set(name, []).get(name)).push(node.id);
  }
  return [...groups].flatMap(([name, ids]) => (ids.length >= least ? ids.map((id) => [id, `${name}…`]) : []));
}

function merge(graph, pairs, opened) {
  const into = new Map(pairs.filter(([, group]) => group && !opened.has(group)));
  const nodes = new Map();
  for (const node of graph.nodes.values()) {
    const group = into.get(node.id);
    if (!group) {
      nodes.set(node.id, nodes.has(node.id) ? joined(node, nodes.get(node.id)) : node);
      continue;
    }
    const cut = group.indexOf("/");
    const known = nodes.get(group) ?? (graph.nodes.has(group) ? { ...graph.nodes.get(group), count: 0, members: [], level: "good" } : { id: group, key: { kind: group.slice(0, cut), name: group.slice(cut + 1), text: group }, level: "good", count: 0, members: [], group: true });
    nodes.set(group, { ...known, level: worse(known.level, node.level), count: known.count + node.count, members: [...known.members, ...node.members], sickCount: (known.sickCount ?? 0) + (sick(node.level) ? 1 : 0) });
  }
  const edges = new Map();
  for (const edge of graph.edges) {
    const [from, to] = [into.get(edge.from) ?? edge.from, into.get(edge.to) ?? edge.to];
    if (from === to) continue;
    const name = `${from}\0${to}\0${edge.kind}`;
    const known = edges.get(name);
    edges.set(name, known ? { ...known, weight: known.weight + edge.weight } : { ...edge, from, to });
  }
  return { nodes, edges: [...edges.values()] };
}

const joined = (host, parts) => ({ ...host, level: worse(host.level, parts.level), count: parts.count + 1, members: [...host.members, ...parts.members], sickCount: parts.sickCount });

// Columns by the longest way from an entrance, circles cut; in a column, everyone beside the middle of those that need it.
export function arranged(graph, wide = WIDE, gap = GAP) {
  const nodes = new Map([...graph.nodes.values()].map((node) => [node.id, { ...node, out: [], into: [], column: 0 }]));
  const edges = graph.edges.map((edge) => ({ ...edge, source: nodes.get(edge.from), target: nodes.get(edge.to) }));
  for (const edge of edges) {
    edge.source.out.push(edge.target);
    edge.target.into.push(edge.source);
  }
  const state = new Map();
  const depth = (node) => {
    if (state.get(node) === "walking") return -1;
    if (state.get(node) === "done") return node.column;
    state.set(node, "walking");
    node.column = Math.max(0, ...node.into.map((caller) => depth(caller) + 1));
    state.set(node, "done");
    return node.column;
  };
  for (const node of nodes.values()) depth(node);
  const layers = [];
  const loners = [...nodes.values()].filter((node) => !node.into.length && !node.out.length);
  for (const node of nodes.values()) if (node.into.length || node.out.length) (layers[node.column] ??= []).push(node);
  const order = (layer, beside) => {
    const middle = (node) => (beside(node).length ? beside(node).reduce((sum, other) => sum + (other.place ?? 0), 0) / beside(node).length : (node.place ?? 0));
    layer.sort((a, b) => middle(a) - middle(b) || LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level) || a.key.text.localeCompare(b.key.text));
    layer.forEach((node, index) => (node.place = index / Math.max(1, layer.length)));
  };
  const full = layers.filter(Boolean);
  for (let sweep = 0; sweep < 3; sweep += 1) {
    full.forEach((layer) => order(layer, (node) => node.into));
    [...full].reverse().forEach((layer) => order(layer, (node) => node.out));
  }
  let x = 8;
  let tall = 0;
  const put = (layer, tight) => {
    const columns = Math.ceil(layer.length / ROWS_MAX);
    const rows = Math.ceil(layer.length / columns);
    layer.forEach((node, index) => {
      node.x = x + Math.floor(index / rows) * (wide + 12);
      node.y = 8 + (index % rows) * ROW;
      tall = Math.max(tall, node.y + ROW);
    });
    x += columns * (wide + 12) - 12 + (tight ? 12 : gap);
  };
  full.forEach((layer) => put(layer, false));
  if (loners.length) {
    order(loners, () => []);
    put(loners, true);
  }
  for (const layer of full) centre(layer, tall);
  return { nodes: [...nodes.values()], edges, wide: Math.max(wide, x - (loners.length ? 0 : gap)) + 8, tall: tall + 4 };
}

function centre(layer, tall) {
  const bottom = Math.max(...layer.map((node) => node.y + ROW));
  const down = Math.min(Math.max(0, (tall - bottom) / 2), 240);
  for (const node of layer) node.y += down;
}

// A part is named by its whole too ("checkout:checkout-0"); beside it the last word is enough.
const short = ({ kind, name }) => (kind === "instance" || PARTS_OF.has(kind) ? name.slice(name.indexOf(":") + 1) || name : name);

// Well by itself, and in need of something that is not.
const suffers = (node) => !node.group && !sick(node.level) && LEVELS.indexOf(node.needs) >= 4;

export function Graph({ graph, zoom = 1, small = false, lit = null, chosen = "", onOpen, onChoose, label }) {
  const [wide, gap] = small ? [SMALL_WIDE, SMALL_GAP] : [WIDE, GAP];
  const [over, setOver] = useState("");
  const drawn = useMemo(() => arranged(graph, wide, gap), [graph, wide]);
  const place = useRef(null);
  useEffect(() => {
    const node = drawn.nodes.find((one) => one.id === chosen); // only the map moves, never the page
    if (node) place.current?.scrollTo((node.x + wide / 2) * zoom - place.current.clientWidth / 2, (node.y + TALL / 2) * zoom - place.current.clientHeight / 2);
  }, [chosen, drawn]);
  const bright = over ? near(graph, over, 1) : lit;
  const dim = (id) => bright && !bright.has(id);
  const touched = (edge) => (over ? edge.from === over || edge.to === over : bright ? bright.has(edge.from) && bright.has(edge.to) : true);
  return html`<div class="map" ref=${place}><svg width=${Math.round(drawn.wide * zoom)} height=${Math.round(drawn.tall * zoom)} viewBox=${`0 0 ${drawn.wide} ${drawn.tall}`} role="group" aria-label=${label ?? t("nav.topology")}>
    <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 .8 7 4 0 7.2z" class="tip" /></marker></defs>
    ${drawn.edges.map((edge) => {
      const back = edge.target.x <= edge.source.x;
      const [x1, y1] = [edge.source.x + (back ? wide / 2 : wide), edge.source.y + (back ? TALL : TALL / 2)];
      const [x2, y2] = [edge.target.x + (back ? wide / 2 : 0), edge.target.y + (back ? TALL : TALL / 2)];
      const bend = Math.max(small ? 10 : 24, Math.abs(x2 - x1) / 2);
      const path = back ? `M${x1} ${y1}C${x1} ${y1 + 24} ${x2} ${y2 + 24} ${x2} ${y2}` : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
      return html`<path class=${`edge e-${edge.kind}${touched(edge) ? "" : " dim"}${edge.weight > 3 ? " thick" : ""}`} d=${path} marker-end="url(#tip)"><title>${edge.source.key.text} ${word("relation", edge.kind)} ${edge.target.key.text}${edge.weight > 1 ? ` (${edge.weight})` : ""}</title></path>`;
    })}
    ${drawn.nodes.map((node) => {
      const open = (event) => {
        event.preventDefault();
        event.stopPropagation();
        if (node.group) onOpen?.(node.id);
        else if (onChoose) onChoose(node.id);
        else go(entityHref(node.key));
      };
      const said = `${word("kind", node.key.kind)} ${node.key.name}, ${word("health", node.level) === node.level ? word("severity", node.level) : word("health", node.level)}${node.count > 1 ? `, ${node.count}` : ""}${node.owner ? `, ${t("case.belongs", { who: node.owner })}` : ""}${suffers(node) ? `, ${t("topology.needs", { level: word("severity", node.needs) })}` : ""}`;
      return html`<a href=${node.group ? "#" : entityHref(node.key)} class=${`node n-${node.level}${suffers(node) ? " suffers" : ""}${dim(node.id) ? " dim" : ""}${chosen === node.id ? " chosen" : ""}${node.group ? " group" : ""}`} aria-label=${said} onClick=${open}
        onMouseEnter=${() => setOver(node.id)} onMouseLeave=${() => setOver("")} onFocus=${() => setOver(node.id)} onBlur=${() => setOver("")}>
        <title>${said}</title>
        ${node.group ? html`<rect class="behind" x=${node.x + 4} y=${node.y + 4} width=${wide} height=${TALL} rx="6" />` : null}
        <rect class="body" x=${node.x} y=${node.y} width=${wide} height=${TALL} rx="6" />
        <svg x=${node.x + 8} y=${node.y + 7} width="14" height="14"><${Glyph} level=${node.level} /></svg>
        <svg x=${node.x + 28} y=${node.y} width=${wide - 34 - (node.count > 1 ? 34 : 0)} height=${TALL}><text y="18"><tspan class="map-kind">${small || node.key.kind === "service" ? "" : `${word("kind", node.key.kind)} `}</tspan>${short(node.key)}</text></svg>
        ${node.count > 1 ? html`<text class="map-count" x=${node.x + wide - 8} y=${node.y + 18} text-anchor="end">${node.sickCount ? `${node.sickCount}/` : ""}${node.count}</text>` : null}
      </a>`;
    })}
  </svg></div>`;
}
