// The smallest thing that can be watched: a value, and those who want to know when it changes.
import { useLayoutEffect, useReducer } from "./html.js";

export function store(initial) {
  let value = initial;
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const watch of [...watchers]) watch(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    get watched() {
      return watchers.size > 0;
    },
  };
}

export function useStore(source) {
  const [, redraw] = useReducer((count) => count + 1, 0);
  useLayoutEffect(() => {
    redraw();
    return source.watch(redraw);
  }, [source]);
  return source.get();
}

// A choice of this person on this browser. Works, forgetfully, where storage is forbidden.
export function preference(name, initial) {
  let first = initial;
  try {
    first = localStorage.getItem(`cerebro.${name}`) ?? initial;
  } catch {
    first = initial;
  }
  const kept = store(first);
  kept.watch((value) => {
    try {
      localStorage.setItem(`cerebro.${name}`, value);
    } catch {
      // forgotten when the tab closes
    }
  });
  return kept;
}
