// Keys: one list of what is bound now, which the help shows. Later bindings win over earlier ones.
import { useEffect, useRef } from "./html.js";
import { store } from "./store.js";

export const bindings = store([]); // [{ keys: "g o", text, act, group }]
const CHORD_MS = 1200;
let begun = "";
let begunMs = 0;

const typing = (target) => target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);

// A letter of another alphabet is the one that a Latin layout has on its key: "ф" is "a", and "A" with Shift.
function letter(event) {
  const latin = event.key > "\x7f" && /^Key([A-Z])$/.exec(event.code)?.[1];
  if (!latin) return event.key;
  return event.shiftKey ? latin : latin.toLowerCase();
}

function name(event) {
  const key = event.key === " " ? "space" : event.key.length === 1 ? letter(event) : event.key.toLowerCase();
  return (event.ctrlKey || event.metaKey ? "ctrl+" : "") + key;
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.isComposing || ["Shift", "Control", "Meta"].includes(event.key)) return;
  const key = name(event);
  if (typing(event.target) && key !== "escape" && !key.startsWith("ctrl+")) return;
  if (document.querySelector("dialog[open]") && key !== "ctrl+k") return;
  if (key === "enter" && event.target.closest("a, button, summary")) return;
  const now = Date.now();
  const chord = begun && now - begunMs < CHORD_MS ? `${begun} ${key}` : key;
  begun = "";
  const bound = bindings.get();
  const hit = bound.findLast((one) => one.keys === chord) ?? bound.findLast((one) => one.keys === key);
  if (hit) {
    event.preventDefault();
    hit.act(event);
  } else if (bound.some((one) => one.keys.startsWith(`${key} `))) {
    begun = key;
    begunMs = now;
  }
});

// useKeys("group", [["a", "Acknowledge", act], ...]): bound while the component is on the page.
export function useKeys(group, list) {
  const latest = useRef(list);
  latest.current = list;
  const shape = list.map(([keys, text]) => `${keys}\0${text}`).join("\n");
  useEffect(() => {
    const mine = latest.current.map(([keys, text], index) => ({ keys, text, group, act: (event) => latest.current[index]?.[2](event) }));
    bindings.set([...bindings.get(), ...mine]);
    return () => bindings.set(bindings.get().filter((one) => !mine.includes(one)));
  }, [group, shape]);
}
