// Markdown as elements: the part of it that post-mortems are written in. Whatever else stands there stays text.
import { html } from "./html.js";

const SAFE = /^(https?:\/\/|\/(?!\/)|mailto:)/i;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,4})[.)])\s+(.*)$/;
const TURNS = [
  [/^\\([!-/:-@[-`{-~])/, (found) => found[1]],
  [/^`([^`]+)`/, (found) => html`<code>${found[1]}</code>`],
  [/^\*\*(?=\S)((?:\\.|[^\\])+?)\*\*/, (found) => html`<b>${inline(found[1])}</b>`],
  [/^\*(?=\S)((?:\\.|[^\\*])+?)\*/, (found) => html`<em>${inline(found[1])}</em>`],
  [/^\[((?:\\.|[^\\\]])*)\]\(([^()\s]*)\)/, (found) => link(found[1], found[2])],
];

export function Markdown({ text }) {
  return html`<div class="prose">${blocks(String(text ?? "").replaceAll("\r", "").split("\n"))}</div>`;
}

function link(text, address) {
  if (!SAFE.test(address)) return html`<span>${inline(text)}</span>`;
  const own = address.startsWith(`${location.origin}/`) ? address.slice(location.origin.length) : address;
  return own.startsWith("/") ? html`<a class="inline" href=${own}>${inline(text)}</a>` : html`<a class="inline" href=${own} target="_blank" rel="noreferrer noopener">${inline(text)}</a>`;
}

function inline(text) {
  const parts = [];
  let plain = "";
  let rest = text;
  while (rest) {
    const turn = TURNS.map(([pattern, make]) => [pattern.exec(rest), make]).find(([found]) => found);
    if (turn) {
      const made = turn[1](turn[0]);
      if (typeof made === "string") plain += made;
      else {
        if (plain) parts.push(plain);
        plain = "";
        parts.push(made);
      }
      rest = rest.slice(turn[0][0].length);
    } else {
      plain += rest[0];
      rest = rest.slice(1);
    }
  }
  if (plain) parts.push(plain);
  return parts;
}

function blocks(lines) {
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const [block, next] = block1(lines, at);
    if (block) made.push(block);
    at = next;
  }
  return made;
}

// The block that begins at a line, and the line after it.
function block1(lines, at) {
  const line = lines[at];
  if (!line.trim()) return [null, at + 1];
  const heading = /^(#{1,4})\s+(.*)$/.exec(line);
  if (heading) {
    const level = heading[1].length;
    const inside = inline(heading[2]);
    return [level === 1 ? html`<h2 class="first">${inside}</h2>` : level === 2 ? html`<h3>${inside}</h3>` : html`<h4>${inside}</h4>`, at + 1];
  }
  if (/^\s*(```|~~~)/.test(line)) return fenced(lines, at);
  if (/^(---+|\*\*\*+|___+)\s*$/.test(line)) return [html`<hr />`, at + 1];
  if (/^\s*\|/.test(line)) return table(lines, at);
  if (ITEM.test(line)) return list(lines, at);
  if (/^ {4}/.test(line)) return verbatim(lines, at, 4);
  const end = until(lines, at + 1, (next) => !next.trim() || /^(#{1,4}\s|\s*\||\s*```)/.test(next) || ITEM.test(next));
  const quoted = /^>\s?/.test(line);
  const text = lines.slice(at, end).map((each) => each.trim().replace(/^>\s?/, "")).join(" ");
  return [quoted ? html`<blockquote>${inline(text)}</blockquote>` : html`<p>${inline(text)}</p>`, end];
}

const until = (lines, from, stops) => {
  let end = from;
  while (end < lines.length && !stops(lines[end])) end += 1;
  return end;
};

function fenced(lines, at) {
  const end = until(lines, at + 1, (next) => /^\s*(```|~~~)/.test(next));
  return [html`<pre tabindex="0">${lines.slice(at + 1, end).join("\n")}</pre>`, end + 1];
}

function verbatim(lines, at, indent) {
  const end = until(lines, at, (next) => !new RegExp(`^ {${indent}}`).test(next));
  return [html`<pre tabindex="0">${lines.slice(at, end).map((each) => each.slice(indent).replace(/^ {1,3}/, "")).join("\n")}</pre>`, end];
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function table(lines, at) {
  const end = until(lines, at, (next) => !/^\s*\|/.test(next));
  const rows = lines.slice(at, end).map(cells);
  const ruled = rows.length > 1 && rows[1].every((cell) => /^:?-+:?$/.test(cell));
  const head = ruled ? rows[0] : null;
  const body = ruled ? rows.slice(2) : rows;
  const named = head?.some((cell) => cell);
  return [
    html`<div class="table-wrap"><table class="list">${named ? html`<thead><tr>${head.map((cell) => html`<th>${inline(cell)}</th>`)}</tr></thead>` : null}
      <tbody>${body.map((row) => html`<tr>${row.map((cell, index) => (named || index ? html`<td>${inline(cell)}</td>` : html`<th scope="row">${inline(cell)}</th>`))}</tr>`)}</tbody></table></div>`,
    end,
  ];
}

// A list with what stands indented under its items.
function list(lines, at) {
  const [, lead, number] = ITEM.exec(lines[at]);
  const depth = lead.length;
  const entries = [];
  let here = at;
  while (here < lines.length) {
    const found = ITEM.exec(lines[here]);
    if (!found || found[1].length !== depth || Boolean(found[2]) !== Boolean(number)) break;
    const end = until(lines, here + 1, (next, _) => next.trim() && !new RegExp(`^ {${depth + 2}}`).test(next));
    const under = lines.slice(here + 1, end);
    while (under.length && !under.at(-1).trim()) under.pop();
    const shift = under.length ? Math.min(depth + (found[2] ? found[2].length + 2 : 2), 8) : 0;
    entries.push({ text: found[3], under: under.map((each) => each.slice(Math.min(shift, each.length - each.trimStart().length))) });
    here = end;
    while (here < lines.length && !lines[here].trim() && ITEM.test(lines[here + 1] ?? "")) here += 1;
  }
  const items = entries.map(({ text, under }) => html`<li>${task(text)}${under.length ? blocks(under) : null}</li>`);
  return [number ? html`<ol start=${Number(number)}>${items}</ol>` : html`<ul>${items}</ul>`, here];
}

function task(text) {
  const box = /^\[([ xX])\]\s+(.*)$/.exec(text);
  if (!box) return inline(text);
  return html`<span class=${`task${box[1] === " " ? "" : " done"}`}><i aria-hidden="true">${box[1] === " " ? "☐" : "☑"}</i> ${inline(box[2])}</span>`;
}
