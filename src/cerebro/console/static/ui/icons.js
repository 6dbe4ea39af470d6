// Drawn for Cerebro on a 16-unit grid, 1.5 units of stroke.
import { html } from "../lib/html.js";

const PATHS = {
  overview: "M2 8h2.5l1.7-4.5L9 12.5 10.8 8H14",
  cases: "M8 1.8 14.6 13.5H1.4zM8 6.3v3.4M8 11.6v.1",
  findings: "M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM10.5 10.5 14 14M5 7h1l1-1.7 1 3L8.6 7",
  entities: "M2.5 2.5h4.2v4.2H2.5zM9.3 2.5h4.2v4.2H9.3zM2.5 9.3h4.2v4.2H2.5zM9.3 9.3h4.2v4.2H9.3z",
  topology: "M8 4.6a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM3.6 14.5a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM12.4 14.5a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.4zM7.2 4.5 4.4 11.2M8.8 4.5l2.8 6.7M5.3 12.8h5.4",
  series: "M1.8 1.8v12.4h12.4M4.3 10.3l2.6-3.4 2.4 2 4-5.4",
  sql: "M2 3.5h12v9H2zM4.5 6.3 6.3 8 4.5 9.7M8 9.8h3.5",
  budget: "M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4zM8 1.8V8l4.4 4.4",
  silences: "M6.2 13a2 2 0 0 0 3.6 0M3.2 10.8c1-1 1.3-2.2 1.3-4.2a3.5 3.5 0 0 1 5-3.1M11.4 6c.1 2.500.4 3.700 1.4 4.800H6M2 2l12 12",
  engines: "M2.2 2.500h11.600v4.400H2.200zM2.200 9.100h11.600v4.400H2.200zM4.700 4.700h.1M4.700 11.300h.1M8 4.700h3.300M8 11.300h3.300",
  connect: "M8 10V1.800M4.800 5 8 1.800 11.200 5M2 10.500v3h12v-3",
  users: "M6 7.500A2.700 2.700 0 1 0 6 2.100a2.700 2.700 0 0 0 0 5.400zM1.300 13.800c.3-2.600 2.200-4 4.700-4s4.400 1.400 4.700 4M10.800 2.400a2.600 2.600 0 0 1 0 4.800M12.300 10c1.400.6 2.200 1.900 2.400 3.800",
  keys: "M5.400 13.600a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400zM7.700 8.200 14 2M11.200 4.800l2 2M9.400 6.600l1.300 1.300",
  audit: "M3.500 1.800h6.200l2.800 2.800v9.600h-9zM5.800 7.300h4.400M5.800 9.700h4.400M5.800 12h2.600",
  agents: "M4 5h8v7.500H4zM8 5V2.300M6.300 8.200v.6M9.700 8.200v.6M1.800 8v2.500M14.200 8v2.500",
  search: "M7 12.200A5.200 5.200 0 1 0 7 1.800a5.200 5.200 0 0 0 0 10.400zM10.800 10.800 14.200 14.200",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1.100 1.100M11.900 11.900 13 13M3 13l1.100-1.100M11.900 4.100 13 3",
  moon: "M13.600 9.600A6 6 0 1 1 6.400 2.400a4.800 4.800 0 0 0 7.200 7.200z",
  language: "M8 14.200A6.200 6.200 0 1 0 8 1.800a6.200 6.200 0 0 0 0 12.400zM1.800 8h12.400M8 1.800c2 2 2.600 4 2.600 6.200S10 12.200 8 14.200M8 1.800C6 3.800 5.400 5.800 5.400 8S6 12.200 8 14.200",
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.500 14.200c.4-3 2.600-4.400 5.500-4.400s5.100 1.400 5.500 4.400",
  exit: "M6.500 2.200H2.800v11.600h3.700M10.500 5l3 3-3 3M13.200 8H6.300",
  more: "M3 4h10M3 8h10M3 12h10",
  close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  check: "M2.800 8.500 6.200 12l7-7.800",
  copy: "M5.500 5.500h8v8h-8zM3 10.500h-.500v-8h8V3",
  link: "M6.700 9.300l2.600-2.600M5.500 7 3.700 8.800a2.500 2.500 0 0 0 3.500 3.500L9 10.500M10.500 9l1.800-1.800a2.500 2.500 0 0 0-3.500-3.500L7 5.500",
  comment: "M2 2.800h12v8.400H7.500L4.300 14v-2.800H2z",
  clock: "M8 14.200A6.200 6.200 0 1 0 8 1.800a6.200 6.200 0 0 0 0 12.400zM8 4.500V8l2.500 1.800",
  retry: "M13.500 8a5.500 5.500 0 1 1-1.600-3.900L13.500 5.700M13.500 2.200v3.500H10",
  plus: "M8 2.500v11M2.500 8h11",
  calm: "M8 14.200A6.200 6.200 0 1 0 8 1.800a6.200 6.200 0 0 0 0 12.400zM5.300 8.300l1.900 1.900 3.600-4",
  warning: "M8 1.800 14.600 13.500H1.400zM8 6.300v3.400M8 11.600v.1",
  play: "M4.500 2.500v11l9-5.500z",
  actions: "M8.8 1.8 3.500 9h4l-.6 5.200L12.500 7h-4.200z",
  autonomy: "M8 1.8l5.500 2v4c0 3.400-2.300 5.600-5.500 6.500C4.800 13.400 2.500 11.200 2.500 7.800v-4zM5.600 8l1.700 1.700 3.200-3.400",
  playbooks: "M3 2.500h4.200c.5 0 .8.300.8.800v10.200c0-.600-.400-1-1-1H3zM13 2.500H8.800c-.5 0-.8.300-.8.800v10.200c0-.600.400-1 1-1h4z",
  patterns: "M2.500 3.500h7M2.500 6.500h11M2.500 9.500h5M2.500 12.500h9",
  forecast: "M1.500 11.500l4-4 3 2 2-3M10.500 6.500l4-4M11.500 2.500h3v3",
  changes: "M2 8h3.500M10.500 8H14M8 5.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z",
  correlation: "M5.5 11.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM10.500 11.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  drills: "M6.5 1.800h3v3.400l3 1.800v6.200h-9V7l3-1.800zM8 8v2.800M8 12.200v.1",
  arrow: "M3 8h9.500M8.800 4.300 12.500 8l-3.700 3.700",
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
  <path d=${PATHS[name] ?? PATHS.more} />
</svg>`;

export const Logo = () => html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true" fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round">
  <path d="M26 8.200A12.500 12.500 0 1 0 26 23.800" stroke-width="3" />
  <path d="M9 16h4l2.600-6 4.200 12 2.700-6H30" stroke="var(--accent)" stroke-width="2.800" />
</svg>`;

// A shape of its own for each severity: told apart without colour.
const SHAPES = {
  critical: html`<path d="M4.700.8h4.600l3.900 3.900v4.600l-3.900 3.900H4.700L.8 9.300V4.700z" fill="currentColor" /><path d="M7 3.600v4M7 9.900v.3" stroke="var(--surface)" stroke-width="1.700" stroke-linecap="round" />`,
  major: html`<path d="M7 1.300 13.300 12.500H.7z" fill="currentColor" stroke="currentColor" stroke-width="1" stroke-linejoin="round" />`,
  minor: html`<path d="M7 .9 13.100 7 7 13.100.9 7z" fill="currentColor" />`,
  notice: html`<circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" stroke-width="2" />`,
  good: html`<path d="M2.500 7.500 5.700 10.600 11.700 3.800" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" />`,
  unknown: html`<circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" stroke-width="1.500" stroke-dasharray="2.500 2.200" />`,
};

export const Glyph = ({ level }) => html`<svg class=${`glyph s-${SHAPES[level] ? level : "unknown"}`} viewBox="0 0 14 14" aria-hidden="true">${SHAPES[level] ?? SHAPES.unknown}</svg>`;
