import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { bytes, count, percent, seconds } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { Answer, Card, Empty, Glyph, Meter, PageHead } from "../ui/parts.js";

export const EngineRows = ({ engines }) => html`<ul class="rows">${engines.map(
  (one) => html`<li class="row plain"><${Glyph} level=${one.ok ? "good" : "critical"} /><span class="row-text"><span class="strong">${word("engine", one.name)}</span>${one.ok ? null : html`<span class="row-note s-critical">${one.detail || t("engine.down")}</span>`}</span>
    <span class="row-end soft">${one.latency_ms == null ? "" : seconds(one.latency_ms / 1000)}</span></li>`,
)}</ul>`;

export function Engines() {
  const engines = useApi("/engines", { every: 5 });
  const agents = useApi("/agents", { every: 15 });
  return html`<div class="page">
    <${PageHead} title=${t("nav.engines")} lead=${t("engines.lead")} />
    <${Answer} of=${engines} bones=${8}>
      ${(data) => html`<div class="stack">
        <div class="engine-grid">${items(data).map((one) => html`<${Engine} key=${one.name} one=${one} />`)}</div>
        <${Streams} streams=${data.streams} />
        ${data.disk ? html`<${Disk} disk=${data.disk} />` : null}
        <${Card} title=${t("nav.group.agents")}><${Answer} of=${agents} bones=${2}>${(list) => html`<${AgentRows} agents=${items(list)} />`}<//><//>
      </div>`}
    <//>
  </div>`;
}

const Engine = ({ one }) => html`<section class="card" aria-label=${one.name}>
  <header><${Glyph} level=${one.ok ? "good" : "critical"} /><h2>${word("engine", one.name)}</h2><span class="grow"></span><span class="aside">${one.version ?? ""}</span></header>
  <div class="card-body stack">
    <p class="soft">${word("engine.is", one.name)}</p>
    <dl class="facts">
      <dt>${t("engine.state")}</dt><dd class=${one.ok ? "s-good" : "s-critical"}>${one.ok ? t("engine.ok") : one.detail || t("engine.down")}</dd>
      ${one.latency_ms == null ? null : html`<dt>${t("engine.latency")}</dt><dd>${seconds(one.latency_ms / 1000)}</dd>`}
      ${one.byte_count == null ? null : html`<dt>${t("engine.size")}</dt><dd>${bytes(one.byte_count)}</dd>`}
    </dl>
  </div>
</section>`;

const Readers = ({ of }) => {
  const readers = Object.entries(of ?? {});
  return readers.length ? readers.map(([name, lag]) => html`<span class="reader"><span class="faint">${name}</span> ${count(lag)}</span>`) : "–";
};

function Disk({ disk }) {
  const used = 1 - disk.bytes_free / disk.byte_count;
  return html`<${Card} title=${t("engine.disk")} aside=${t("engine.disk.free", { free: bytes(disk.bytes_free), size: bytes(disk.byte_count) })}>
    <div class="card-body"><${Meter} share=${used} look=${used > 0.95 ? "critical" : used > 0.85 ? "major" : ""} label=${t("engine.disk")} /></div>
  <//>`;
}

const Streams = ({ streams }) => html`<${Card} title=${t("engine.streams")} aside=${t("engine.streams.text")}>
  ${streams.length
    ? html`<div class="table-wrap"><table class="list fold"><thead><tr><th>${t("engine.stream")}</th><th>${t("engine.full")}</th><th class="end">${t("engine.messages")}</th><th class="end">${t("engine.size")}</th><th class="end">${t("engine.lag")}</th></tr></thead>
        <tbody>${streams.map((one) => {
          const share = one.bytes_max ? one.byte_count / one.bytes_max : 0;
          return html`<tr key=${one.name}><td class="strong wide">${one.name}</td><td class="meter-cell"><${Meter} share=${share} look=${share > 0.8 ? "critical" : share > 0.5 ? "major" : ""} label=${one.name} /><span class="soft">${share > 0 && share < 0.001 ? `< ${percent(0.001)}` : percent(share)}</span></td>
            <td class="end" data-label=${t("engine.messages")}>${count(one.message_count)}</td><td class="end soft">${bytes(one.byte_count)} / ${bytes(one.bytes_max)}</td><td class="end" data-label=${t("engine.lag")}><${Readers} of=${one.readers} /></td></tr>`;
        })}</tbody></table></div>`
    : html`<${Empty} small icon="engines" title=${t("engine.no_streams")} />`}
<//>`;

export const AgentRows = ({ agents }) =>
  agents.length
    ? html`<ul class="rows">${agents.map(
        (one) => html`<li class="row plain"><${Glyph} level=${one.healthy ? "good" : "major"} /><span class="row-text"><span class="strong">${one.name}</span><span class="row-note faint">${one.purpose}</span>${one.healthy ? null : html`<span class="row-note s-major">${t("agent.not_reading")}</span>`}
          ${one.behind == null ? null : html`<span class="row-note faint">${t("agent.behind", { count: one.behind })}</span>`}</span></li>`,
      )}</ul>`
    : html`<${Empty} small icon="agents" title=${t("agents.empty")} />`;
