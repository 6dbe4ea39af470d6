// The API's shapes as the screens want them; the only module that knows both.
export const SEVERITIES = ["", "notice", "minor", "major", "critical"];
export const LIVE_STATES = ["open", "investigating", "acting", "verifying", "escalated"];
export const STATES = [...LIVE_STATES, "resolved", "closed"];

// 4 or "critical" -> "critical"
export const severity = (value) => (typeof value === "number" ? (SEVERITIES[value] ?? "") : String(value ?? "").toLowerCase());
export const rank = (value) => (typeof value === "number" ? value : Math.max(0, SEVERITIES.indexOf(severity(value))));

// { kind, name } or "host/web-7" -> { kind, name, text }
export function entity(value) {
  if (!value) return { kind: "", name: "", text: "" };
  if (typeof value === "string") {
    const cut = value.indexOf("/");
    return cut < 0 ? { kind: "", name: value, text: value } : { kind: value.slice(0, cut), name: value.slice(cut + 1), text: value };
  }
  const key = value.key ?? value.entity ?? value;
  return typeof key === "string" ? entity(key) : { kind: key.kind ?? "", name: key.name ?? "", text: `${key.kind}/${key.name}` };
}

export const entityHref = (value) => {
  const { kind, name } = entity(value);
  return `/entities/${encodeURIComponent(kind)}/${encodeURIComponent(name)}`;
};

export const live = (one) => LIVE_STATES.includes(one.state);
export const items = (answer) => (Array.isArray(answer) ? answer : (answer?.items ?? []));
