// A text written by lines: YAML of playbooks and of rules.
import { html, useMemo, useRef } from "../lib/html.js";

const LINE_PX = 18; // as in the style

// A text with its line numbers; lines with a fault are marked.
export function Lined({ box, text, onInput, faults = [], label, readOnly = false }) {
  const gutter = useRef(null);
  const lines = useMemo(() => text.split("\n").length, [text]);
  const bad = new Map(faults.map((each) => [each.line, each.text]));
  return html`<div class="lined">
    <ol class="gutter" ref=${gutter} aria-hidden="true">${Array.from({ length: lines }, (_, index) => html`<li class=${bad.has(index + 1) ? "bad" : ""} title=${bad.get(index + 1)}>${index + 1}</li>`)}</ol>
    <textarea class="input code" ref=${box} spellcheck="false" wrap="off" value=${text} aria-label=${label} readonly=${readOnly} aria-invalid=${String(faults.length > 0)} onInput=${(event) => onInput(event.target.value)}
      onScroll=${(event) => gutter.current && (gutter.current.scrollTop = event.target.scrollTop)} onKeyDown=${indent}></textarea>
  </div>`;
}

// Enter keeps the indentation of the line; Tab is left to those who walk the page by it.
function indent(event) {
  if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
  const { value, selectionStart: at } = event.target;
  const lead = /^[ -]*/.exec(value.slice(value.lastIndexOf("\n", at - 1) + 1, at))[0].replaceAll("-", " ");
  if (!lead) return;
  event.preventDefault();
  event.target.setRangeText(`\n${lead}`, at, event.target.selectionEnd, "end");
  event.target.dispatchEvent(new Event("input", { bubbles: true }));
}

// Bring a line into sight, and select it.
export function jumpTo(area, line) {
  const lines = area.value.split("\n");
  const from = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  area.focus();
  area.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
  area.scrollTop = Math.max(0, (line - 6) * LINE_PX);
}
