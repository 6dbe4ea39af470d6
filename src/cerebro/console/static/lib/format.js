// Numbers and times as people read them. Everything is told in the reader's language and time zone.
import { locale, t } from "./i18n.js";

const digits = (value, count = 3) => {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const fraction = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, count - 1 - Math.floor(Math.log10(size)));
  return value.toLocaleString(locale(), { maximumFractionDigits: fraction });
};

function scaled(value, base, prefixes, suffix) {
  let size = Math.abs(value);
  let step = 0;
  while (size >= base && step < prefixes.length - 1) {
    size /= base;
    step += 1;
  }
  const unit = `${prefixes[step]}${suffix}`;
  return `${digits(Math.sign(value) * size)}${unit ? ` ${unit}` : ""}`;
}

export const count = (value) => (value == null ? "–" : Math.round(value).toLocaleString(locale()));
export const short = (value) => (value == null ? "–" : scaled(value, 1000, ["", "k", "M", "G", "T"], ""));
export const bytes = (value) => (value == null ? "–" : scaled(value, 1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi"], "B"));
export const percent = (share) => (share == null ? "–" : `${digits(share * 100)} %`);

export function seconds(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return `0 ${t("unit.s")}`;
  if (size < 1e-6) return `${digits(value * 1e9)} ${t("unit.ns")}`;
  if (size < 1e-3) return `${digits(value * 1e6)} ${t("unit.us")}`;
  if (size < 1) return `${digits(value * 1e3)} ${t("unit.ms")}`;
  if (size < 120) return `${digits(value)} ${t("unit.s")}`;
  return span(value * 1000);
}

// A stretch of time in its two largest units: "3 h 12 min".
export function span(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(total / 86400), t("unit.d")],
    [Math.floor(total / 3600) % 24, t("unit.h")],
    [Math.floor(total / 60) % 60, t("unit.min")],
    [total % 60, t("unit.s")],
  ];
  const first = parts.findIndex(([size]) => size > 0);
  if (first < 0) return `0 ${t("unit.s")}`;
  return parts
    .slice(first, first + 2)
    .filter(([size]) => size > 0)
    .map(([size, unit]) => `${size} ${unit}`)
    .join(" ");
}

const UCUM = {
  By: bytes,
  bytes,
  byte: bytes,
  KiBy: (v) => bytes(v * 1024),
  MiBy: (v) => bytes(v * 1048576),
  s: seconds,
  seconds,
  ms: (v) => seconds(v / 1e3),
  us: (v) => seconds(v / 1e6),
  ns: (v) => seconds(v / 1e9),
  min: (v) => seconds(v * 60),
  "%": (v) => `${digits(v)} %`,
  percent: (v) => `${digits(v)} %`,
  ratio: percent,
  Hz: (v) => scaled(v, 1000, ["", "k", "M", "G"], "Hz"),
  Cel: (v) => `${digits(v)} °C`,
  V: (v) => scaled(v, 1000, ["", "k"], "V"),
  W: (v) => scaled(v, 1000, ["", "k", "M"], "W"),
  "bit/s": (v) => scaled(v, 1000, ["", "k", "M", "G"], "bit/s"),
};
const SHARES = /(?:^|[._])(utili[sz]ation|ratio|fraction|share|saturation|pressure)(?:$|[._])/i;

// Whether several series of it are to be averaged: half of a disk and half of another are no whole one.
export const isShare = (metric) => SHARES.test(metric);

// How to write the values of a series, from its UCUM unit or else from its name.
export function writer(metric = "", unit = "") {
  const rate = unit.endsWith("/s") && !UCUM[unit];
  const base = rate ? unit.slice(0, -2) : unit;
  if (base === "1" || base === "") {
    if (/_bytes(_total)?$/.test(metric)) return perSecond(bytes, rate);
    if (/_seconds(_total)?$/.test(metric) && !/timestamp/.test(metric)) return perSecond(seconds, rate);
    if (/_ms$/.test(metric)) return perSecond(UCUM.ms, rate);
    if (SHARES.test(metric)) return percent;
    return perSecond(short, rate);
  }
  if (UCUM[base]) return perSecond(UCUM[base], rate);
  const noun = base.replace(/^\{(.*)\}$/, "$1");
  return (value) => (value == null ? "–" : `${short(value)} ${noun}${rate ? "/s" : ""}`);
}
const perSecond = (write, rate) => (rate ? (value) => (value == null ? "–" : `${write(value)}/s`) : write);

export const clock = (ms) => new Date(ms).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const minute = (ms) => new Date(ms).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });

export function stamp(ms) {
  const day = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Date(ms).toLocaleString(locale(), new Date(ms).getFullYear() === new Date().getFullYear() ? day : { ...day, year: "numeric" });
}

export const utc = (ms) => `${new Date(ms).toISOString().replace("T", " ").slice(0, 19)} UTC`;

// "03:40 UTC"; with its day when that is not today's.
export function utcMinute(ms) {
  const [day, time] = utc(ms).split(" ");
  return `${utc(Date.now()).startsWith(day) ? "" : `${day} `}${time.slice(0, 5)} UTC`;
}

const MONDAY_MS = Date.UTC(2024, 0, 1);
export const weekday = (number) => new Date(MONDAY_MS + number * 86_400_000).toLocaleDateString(locale(), { weekday: "short", timeZone: "UTC" });

// "5 min ago", "in 2 h"; the words come from the browser, so any language works.
export function relative(ms, now) {
  const delta = Math.round((ms - now) / 1000);
  const size = Math.abs(delta);
  if (size < 5) return t("time.now");
  const form = new Intl.RelativeTimeFormat(locale(), { style: "short", numeric: "always" });
  const steps = [
    [60, 1, "second"],
    [5400, 60, "minute"],
    [129600, 3600, "hour"],
    [Infinity, 86400, "day"],
  ];
  const [, divisor, unit] = steps.find(([bound]) => size < bound);
  return form.format(Math.round(delta / divisor), unit);
}

const roughly = (value) =>
  value < 1e4
    ? Number(value.toPrecision(2)).toLocaleString(locale())
    : value.toLocaleString(locale(), { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 2 });

// Words from elsewhere in one line, without letters that show nothing or turn others round: what is read is what is there.
export const plain = (text) => String(text).replace(/\s+/gu, " ").replace(/[\p{C}\p{DI}]/gu, "");

// The same for all words of an answer.
export function plainly(value) {
  if (typeof value === "string") return plain(value);
  if (Array.isArray(value)) return value.map(plainly);
  if (!value || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [plain(name), plainly(each)]));
}

// p-values span many orders: "1 in 20 thousand" is read at a glance, 5e-5 is not.
export function chance(p) {
  if (!(p > 0)) return t("chance.none");
  if (p >= 0.1) return percent(p);
  return t("chance.one_in", { count: roughly(1 / p) });
}
