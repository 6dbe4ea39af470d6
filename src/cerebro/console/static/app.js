// The frame around every page: who is logged in, where we are, what is connected.
import { Fragment, html, render, useEffect, useErrorBoundary, useState } from "./lib/html.js";
import { logout, may, resume, session, useApi } from "./lib/api.js";
import { language, LANGUAGES, t } from "./lib/i18n.js";
import { bindings, useKeys } from "./lib/keys.js";
import { link, renew } from "./lib/live.js";
import { items } from "./lib/model.js";
import { go, match, route } from "./lib/router.js";
import { preference, useStore } from "./lib/store.js";
import { counted, needsPerson, OPEN_ACTIONS } from "./ui/actions.js";
import { Icon, Logo } from "./ui/icons.js";
import { Palette } from "./ui/palette.js";
import { Dialog, Empty, PageHead, Toasts } from "./ui/parts.js";
import { PolicyStrip } from "./ui/policy.js";
import { Actions } from "./pages/actions.js";
import { AgentPage } from "./pages/agent.js";
import { Audit } from "./pages/audit.js";
import { Budget } from "./pages/budget.js";
import { CasePage } from "./pages/case.js";
import { Cases } from "./pages/cases.js";
import { Changes } from "./pages/changes.js";
import { Correlation } from "./pages/correlation.js";
import { Connect } from "./pages/connect.js";
import { Engines } from "./pages/engines.js";
import { Drills } from "./pages/drills.js";
import { EntityPage } from "./pages/entity.js";
import { Entities } from "./pages/entities.js";
import { FindingPage } from "./pages/finding.js";
import { Findings } from "./pages/findings.js";
import { Forecast } from "./pages/forecast.js";
import { Keys } from "./pages/keys.js";
import { Login } from "./pages/login.js";
import { Overview } from "./pages/overview.js";
import { Patterns } from "./pages/patterns.js";
import { NewPlaybook, PlaybookPage } from "./pages/playbook.js";
import { Autonomy, Playbooks } from "./pages/playbooks.js";
import { PostMortemPage } from "./pages/postmortem.js";
import { Series } from "./pages/series.js";
import { Silences } from "./pages/silences.js";
import { Sql } from "./pages/sql.js";
import { Topology } from "./pages/topology.js";
import { PasswordDialog, Users } from "./pages/users.js";

const PAGES = [
  { path: "/", page: Overview, name: "overview", keys: "g o", group: "watch" },
  { path: "/cases", page: Cases, name: "cases", keys: "g c", group: "watch" },
  { path: "/cases/:id", page: CasePage, under: "cases" },
  { path: "/cases/:id/post-mortem", page: PostMortemPage, under: "cases" },
  { path: "/actions", page: Actions, name: "actions", keys: "g n", group: "watch" },
  { path: "/findings", page: Findings, name: "findings", keys: "g f", group: "watch" },
  { path: "/findings/:id", page: FindingPage, under: "findings" },
  { path: "/entities", page: Entities, name: "entities", keys: "g e", group: "watch" },
  { path: "/entities/:kind/:name*", page: EntityPage, under: "entities" },
  { path: "/topology", page: Topology, name: "topology", keys: "g t", group: "watch" },
  { path: "/changes", page: Changes, name: "changes", keys: "g g", group: "watch" },
  { path: "/drills", page: Drills, name: "drills", keys: "g x", group: "watch" },
  { path: "/series", page: Series, name: "series", keys: "g s", group: "explore" },
  { path: "/patterns", page: Patterns, name: "patterns", keys: "g l", group: "explore" },
  { path: "/forecast", page: Forecast, name: "forecast", keys: "g w", group: "explore" },
  { path: "/sql", page: Sql, name: "sql", keys: "g q", group: "explore", needs: "operate" },
  { path: "/budget", page: Budget, name: "budget", keys: "g b", group: "keep" },
  { path: "/playbooks", page: Playbooks, name: "playbooks", keys: "g p", group: "keep" },
  { path: "/playbooks/new", page: NewPlaybook, under: "playbooks" },
  { path: "/playbooks/:name", page: PlaybookPage, under: "playbooks" },
  { path: "/autonomy", page: Autonomy, name: "autonomy", keys: "g y", group: "keep" },
  { path: "/correlation", page: Correlation, name: "correlation", keys: "g r", group: "keep" },
  { path: "/silences", page: Silences, name: "silences", keys: "g i", group: "keep" },
  { path: "/engines", page: Engines, name: "engines", keys: "g h", group: "keep" },
  { path: "/connect", page: Connect, name: "connect", keys: "g d", group: "keep" },
  { path: "/agents/:path*", page: AgentPage, under: "agents" },
  { path: "/users", page: Users, name: "users", keys: "g u", group: "admin", needs: "admin" },
  { path: "/keys", page: Keys, name: "keys", keys: "g k", group: "admin", needs: "operate" },
  { path: "/audit", page: Audit, name: "audit", keys: "g a", group: "admin", needs: "admin" },
];
const GROUPS = ["watch", "explore", "keep", "admin"];
const TABS = ["overview", "cases", "entities", "series"];

export const theme = preference("theme", document.documentElement.dataset.theme);
theme.watch((value) => (document.documentElement.dataset.theme = value));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  if (!hasChosenTheme()) document.documentElement.dataset.theme = event.matches ? "dark" : "light";
});
function hasChosenTheme() {
  try {
    return localStorage.getItem("cerebro.theme") !== null;
  } catch {
    return false;
  }
}
const turnTheme = () => theme.set(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
const turnLanguage = () => language.set(Object.keys(LANGUAGES).find((code) => code !== language.get()));

function find(path) {
  for (const entry of PAGES) {
    const parameters = match(entry.path, path);
    if (parameters) return { entry, parameters };
  }
  return { entry: { page: Missing }, parameters: {} };
}

const Missing = () => html`<div class="page"><${PageHead} title=${t("missing.title")} />
  <${Empty} icon="search" title=${t("missing.text")}><p><a class="button" href="/">${t("missing.back")}</a></p><//></div>`;

function Guarded({ entry, parameters }) {
  const [error, reset] = useErrorBoundary((fault) => console.error(fault));
  if (error) {
    return html`<div class="page"><${PageHead} title=${t("broken.title")} />
      <${Empty} icon="warning" title=${t("broken.text")}>
        <p class="mono faint">${String(error.message)}</p>
        <p><button class="button" onClick=${reset}>${t("do.retry")}</button></p>
      <//></div>`;
  }
  if (entry.needs && !may(entry.needs)) {
    return html`<div class="page"><${PageHead} title=${t(`nav.${entry.name}`)} />
      <${Empty} icon="keys" title=${t("forbidden.title")}><p>${t("forbidden.text", { permission: entry.needs })}</p><//></div>`;
  }
  return html`<${entry.page} ...${parameters} />`;
}

function Navigation({ open, onNavigate }) {
  const { path } = useStore(route);
  const current = find(path).entry;
  const overview = useApi("/overview", { every: 30, kinds: "case" });
  const agents = useApi("/agents", { every: 300 });
  const actions = useApi(OPEN_ACTIONS, { every: 30, kinds: "action case" });
  const waits = items(actions.data).filter(needsPerson).length;
  const openCount = Object.values(overview.data?.open_cases ?? {}).reduce((sum, count) => sum + count, 0);
  const shown = PAGES.filter((page) => page.name && (!page.needs || may(page.needs)));
  const agentPages = items(agents.data).flatMap((agent) => (agent.pages ?? []).map((page) => ({ ...page, agent: agent.name })));
  return html`<nav class=${`side${open ? " open" : ""}`} aria-label=${t("nav.label")} onClick=${(event) => event.target.closest("a") && onNavigate()}>
    <a class="brand" href="/"><${Logo} />Cerebro</a>
    ${GROUPS.map((group) => {
      const pages = shown.filter((page) => page.group === group);
      if (!pages.length) return null;
      return html`<${Fragment} key=${group}>
        ${group === "watch" ? null : html`<div class="side-group">${t(`nav.group.${group}`)}</div>`}
        ${pages.map(
          (page) => html`<a class="nav" href=${page.path} title=${page.keys} aria-current=${page === current || current.under === page.name ? "page" : undefined}>
            <${Icon} name=${page.name} />${t(`nav.${page.name}`)}
            ${page.name === "actions" && waits ? html`<span class="tally hot" aria-label=${t("nav.waiting_count", { count: waits, shown: counted(waits, actions.data) })}>${counted(waits, actions.data)}</span>` : null}
            ${page.name === "cases" && openCount ? html`<span class="tally hot" aria-label=${t("nav.open_count", { count: openCount })}>${openCount}</span>` : null}
          </a>`,
        )}
        ${group === "explore" && agentPages.length
          ? html`<div class="side-group">${t("nav.group.agents")}</div>
              ${agentPages.map((page) => html`<a class="nav" href=${`/agents/${page.path}`} aria-current=${path === `/agents/${page.path}` ? "page" : undefined}><${Icon} name="agents" />${page.title}</a>`)}`
          : null}
      <//>`;
    })}
  </nav>`;
}

function LinkState() {
  const state = useStore(link);
  return html`<span class="link-state" role="status" title=${t(`link.${state}.title`)}><i class=${`dot ${state}`}></i><span class="link-text">${t(`link.${state}`)}</span></span>`;
}

function Menu({ onPassword }) {
  const [open, setOpen] = useState(false);
  const { me } = useStore(session);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event) => event.type === "keydown" && event.key !== "Escape" ? undefined : setOpen(false);
    document.addEventListener("click", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("click", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);
  return html`<div class="menu-wrap">
    <button class="button bare square" aria-haspopup="menu" aria-expanded=${String(open)} aria-label=${t("menu.label")} onClick=${(event) => {
      event.stopPropagation();
      setOpen(!open);
    }}><${Icon} name="user" /></button>
    ${open
      ? html`<div class="menu" role="menu">
          <div class="who"><p class="strong">${me?.name}</p><p class="faint">${me?.tenant ? t("menu.tenant", { tenant: me.tenant }) : ""}</p></div>
          <button role="menuitem" onClick=${turnTheme}><${Icon} name="sun" /><span class="grow">${t("menu.theme")}</span><kbd>\\</kbd></button>
          <button role="menuitem" onClick=${turnLanguage}><${Icon} name="language" /><span class="grow">${Object.entries(LANGUAGES).find(([code]) => code !== language.get())[1]}</span></button>
          ${me?.kind === "user" ? html`<button role="menuitem" onClick=${onPassword}><${Icon} name="keys" /><span class="grow">${t("menu.password")}</span></button>` : null}
          <button role="menuitem" onClick=${logout}><${Icon} name="exit" /><span class="grow">${t("menu.logout")}</span></button>
        </div>`
      : null}
  </div>`;
}

function Help({ onClose }) {
  const bound = useStore(bindings);
  const groups = [...new Set(bound.map((one) => one.group))];
  return html`<${Dialog} title=${t("help.title")} look="wide" onClose=${onClose}>
    <div class="help">
      ${groups.map(
        (group) => html`<section><h3>${group}</h3><ul>
          ${bound
            .filter((one) => one.group === group && one.text)
            .map((one) => html`<li><span>${one.text}</span><span class="keys">${one.keys.split(" ").map((key) => html`<kbd>${key.replace("ctrl+", "Ctrl ")}</kbd>`)}</span></li>`)}
        </ul></section>`,
      )}
    </div>
    <p class="hint">${t("help.hint")}</p>
  <//>`;
}

function Frame() {
  const { path } = useStore(route);
  const [menu, setMenu] = useState(false);
  const [over, setOver] = useState("");
  const state = useStore(link);
  const { entry, parameters } = find(path);
  // A dialog tells of its end late: by then another may be open.
  const shut = (which) => () => setOver((now) => (now === which ? "" : now));
  const pages = PAGES.filter((page) => page.name && (!page.needs || may(page.needs)));
  useKeys(t("keys.go"), pages.map((page) => [page.keys, t(`nav.${page.name}`), () => go(page.path)]));
  useKeys(t("keys.anywhere"), [
    ["ctrl+k", t("keys.palette"), () => setOver(over === "palette" ? "" : "palette")],
    ["/", t("keys.search"), () => (document.querySelector("main .search") ?? { focus: () => setOver("palette") }).focus()],
    ["?", t("keys.help"), () => setOver("help")],
    ["\\", t("menu.theme"), turnTheme],
    ["escape", "", (event) => event.target.blur?.()],
  ]);
  useEffect(() => setMenu(false), [path]);
  return html`<div class="frame">
    <a class="skip" href="#main">${t("nav.skip")}</a>
    <${Navigation} open=${menu} onNavigate=${() => setMenu(false)} />
    <header class="bar">
      <button class="finder" onClick=${() => setOver("palette")}><${Icon} name="search" /><span>${t("palette.ask")}</span><kbd>Ctrl K</kbd></button>
      <span class="grow"></span>
      <${LinkState} />
      <button class="button bare square" aria-label=${t("menu.theme")} title=${t("menu.theme")} onClick=${turnTheme}><${Icon} name="sun" /></button>
      <button class="button bare square desk" aria-label=${t("keys.help")} title=${t("keys.help")} onClick=${() => setOver("help")}><kbd>?</kbd></button>
      <${Menu} onPassword=${() => setOver("password")} />
    </header>
    <main id="main" tabindex="-1">
      ${state === "lost" ? html`<div class="lost page" role="status"><${Icon} name="warning" /><span>${t("link.lost.text")}</span><span class="grow"></span><button class="button small" onClick=${renew}>${t("do.retry")}</button></div>` : null}
      <${PolicyStrip} />
      <${Guarded} key=${entry.path + (entry.under ? path : "")} entry=${entry} parameters=${parameters} />
    </main>
    <nav class="tabs" aria-label=${t("nav.short")}>
      ${TABS.map((name) => {
        const page = PAGES.find((one) => one.name === name);
        return html`<a href=${page.path} aria-current=${page === entry || entry.under === name ? "page" : undefined}><${Icon} name=${name} />${t(`nav.${name}`)}</a>`;
      })}
      <button aria-expanded=${String(menu)} onClick=${() => setMenu(!menu)}><${Icon} name=${menu ? "close" : "more"} />${t("nav.more")}</button>
    </nav>
    ${over === "palette" ? html`<${Palette} pages=${pages} deeds=${[[t("menu.theme"), turnTheme], [t("menu.language"), turnLanguage], [t("keys.help"), () => setOver("help")], [t("menu.password"), () => setOver("password")], [t("menu.logout"), logout]]} onClose=${shut("palette")} />` : null}
    ${over === "password" ? html`<${PasswordDialog} onClose=${shut("password")} />` : null}
    ${over === "help" ? html`<${Help} onClose=${shut("help")} />` : null}
    <${Toasts} />
  </div>`;
}

function App() {
  const { state } = useStore(session);
  useStore(language); // every text is drawn anew in the other language
  if (state === "unknown") return html`<div class="splash" aria-busy="true"></div>`;
  return state === "in" ? html`<${Frame} />` : html`<${Login} onTheme=${turnTheme} onLanguage=${turnLanguage} />`;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
resume();
