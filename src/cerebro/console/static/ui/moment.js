// The moment that is pointed at, by whichever picture or line of a page: the others show it too.
import { store } from "../lib/store.js";

export const pointed = store({ ms: 0, by: "" });

export const point = (ms, by) => {
  const now = pointed.get();
  if (now.ms !== ms || now.by !== by) pointed.set({ ms, by });
};
export const unpoint = (by) => pointed.get().by === by && pointed.set({ ms: 0, by: "" });
