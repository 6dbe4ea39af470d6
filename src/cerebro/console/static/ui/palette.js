// Everything by name: pages, deeds, entities, cases.
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { t, word } from "../lib/i18n.js";
import { entity, entityHref, items } from "../lib/model.js";
import { go } from "../lib/router.js";
import { Dialog, Glyph, Icon } from "./parts.js";

const SHOWN_MAX = 40;

// Every letter of the question in order; letters that begin a word or follow each other weigh more.
export function closeness(question, text) {
  if (!question) return 1;
  const [asked, given] = [question.toLowerCase(), text.toLowerCase()];
  const whole = given.indexOf(asked);
  if (whole >= 0) return 1000 - whole - given.length / 100;
  let place = -1;
  let score = 0;
  for (const letter of asked) {
    const next = given.indexOf(letter, place + 1);
    if (next < 0) return 0;
    score += next === place + 1 ? 3 : /[\s/_.:-]/.test(given[next - 1] ?? " ") ? 2 : 0.5;
    place = next;
  }
  return score;
}

export function Palette({ pages, deeds, onClose }) {
  const [question, setQuestion] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useRef(null);
  const entities = useApi("/entities?limit=500", { every: 120 });
  const cases = useApi("/cases?limit=50", { every: 60 });
  const all = useMemo(
    () => [
      ...items(cases.data).map((one) => ({ text: one.title, aside: t("palette.case"), glyph: one.severity, act: () => go(`/cases/${one.id}`) })),
      ...pages.map((page) => ({ text: t(`nav.${page.name}`), aside: page.keys, icon: page.name, act: () => go(page.path), early: true })),
      ...deeds.map(([text, act]) => ({ text, aside: "", icon: "play", act, early: true })),
      ...items(entities.data).map((one) => ({ text: entity(one).name, aside: word("kind", entity(one).kind), icon: "entities", act: () => go(entityHref(one)) })),
    ],
    [entities.data, cases.data, pages],
  );
  const found = useMemo(
    () =>
      (question ? all : all.filter((one) => one.early || one.glyph))
        .map((one) => ({ ...one, weight: closeness(question, one.text) }))
        .filter((one) => one.weight > 0)
        .sort((a, b) => b.weight - a.weight)
        .slice(0, SHOWN_MAX),
    [all, question],
  );
  useEffect(() => setChosen(0), [question]);
  useEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen]);
  const take = (one) => {
    onClose();
    one?.act();
  };
  const steer = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setChosen((now) => Math.max(0, Math.min(found.length - 1, now + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(found[chosen]);
    }
  };
  return html`<${Dialog} title=${t("keys.palette")} look="palette" onClose=${onClose}>
    <div class="ask"><${Icon} name="search" />
      <input type="text" role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant=${`found-${chosen}`} aria-label=${t("palette.ask")} placeholder=${t("palette.ask")}
        autocomplete="off" spellcheck="false" value=${question} onInput=${(event) => setQuestion(event.target.value)} onKeyDown=${steer} autofocus /></div>
    <ul id="found" role="listbox" ref=${list}>
      ${found.map(
        (one, index) => html`<li id=${`found-${index}`} role="option" aria-selected=${String(index === chosen)} onMouseMove=${() => setChosen(index)} onClick=${() => take(one)}>
          ${one.glyph ? html`<${Glyph} level=${["", "notice", "minor", "major", "critical"][one.glyph] ?? one.glyph} />` : html`<${Icon} name=${one.icon} />`}
          <span class="what">${one.text}</span><span class="aside">${one.aside}</span>
        </li>`,
      )}
    </ul>
    ${found.length ? null : html`<p class="empty small">${t("palette.nothing")}</p>`}
  <//>`;
}
