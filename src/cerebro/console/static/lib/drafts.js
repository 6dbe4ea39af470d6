// What someone has written and not kept yet. It outlives every way to leave a page of the console, a reload, and the end
// of a session for whoever wrote it; it ends with the tab.
import { useEffect, useReducer } from "./html.js";
import { session } from "./api.js";

const drafts = new Map(); // also where storage is forbidden or full

const place = (id) => {
  const { me } = session.get();
  return `cerebro.draft.${me?.tenant ?? ""}/${me?.name ?? ""}/${id}`;
};

function load(key) {
  if (!drafts.has(key)) drafts.set(key, stored(key));
  return drafts.get(key);
}

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

function save(key, draft) {
  drafts.set(key, draft);
  try {
    if (draft === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(draft));
  } catch {
    // it ends with a reload
  }
}

export const keepDraft = (id, draft) => save(place(id), draft);

// The draft of a text, null for none, and how to change it: to another, or by what it is at that moment. Whoever would
// close the tab over it is asked.
export function useDraft(id) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  const key = place(id);
  const draft = load(key);
  const keep = (next) => {
    save(key, typeof next === "function" ? next(load(key)) : next);
    redraw();
  };
  useEffect(() => {
    if (draft === null) return undefined;
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [draft === null]);
  return [draft, keep];
}
