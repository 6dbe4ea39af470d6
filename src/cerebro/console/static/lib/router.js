// Addresses: every page, filter and selection has one, so that any view can be sent to a colleague.
import { store } from "./store.js";

const read = () => ({ path: location.pathname, query: Object.fromEntries(new URLSearchParams(location.search)) });
export const route = store(read());

export function go(address, { replace = false } = {}) {
  const target = new URL(address, location.origin);
  if (target.origin !== location.origin) return;
  const same = target.pathname === location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", target.pathname + target.search);
  route.set(read());
  if (!same) {
    document.getElementById("main")?.scrollTo(0, 0);
    scrollTo(0, 0);
  }
}

// Change some of the query and stay where we are; an empty value takes the name away.
export function refine(changes) {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === "" || value == null || value === false) next.delete(name);
    else next.set(name, String(value));
  }
  const text = next.toString();
  go(location.pathname + (text ? `?${text}` : ""), { replace: true });
}

addEventListener("popstate", () => route.set(read()));

document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || anchor.target || anchor.hasAttribute("download")) return;
  const address = new URL(anchor.href, location.origin);
  if (address.origin !== location.origin || address.hash || /^\/(api|v1|intake|openapi|metrics|health|ready|docs)\b/.test(address.pathname)) return;
  event.preventDefault();
  go(address.pathname + address.search);
});

// "/cases/:id" against "/cases/42" gives { id: "42" }; ":rest*" takes slashes too.
export function match(pattern, path) {
  const names = [];
  const source = pattern.replace(/:(\w+)(\*?)/g, (_, name, star) => {
    names.push(name);
    return star ? "(.+)" : "([^/]+)";
  });
  const hit = new RegExp(`^${source}/?$`).exec(path);
  if (!hit) return null;
  try {
    return Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(hit[index + 1])]));
  } catch {
    return null; // a broken escape in the address
  }
}
