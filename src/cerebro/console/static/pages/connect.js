import { html, useState } from "../lib/html.js";
import { may, post, useApi } from "../lib/api.js";
import { bytes, count, short } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { refine, route } from "../lib/router.js";
import { useStore } from "../lib/store.js";
import { Answer, Card, Chips, Empty, Icon, PageHead, Snippet, Time, useDeed } from "../ui/parts.js";

const WAYS = ["prometheus", "otel", "collector", "alertmanager", "events", "curl"];

const texts = (origin, key) => ({
  prometheus: `# prometheus.yml
remote_write:
  - url: ${origin}/api/v1/write
    authorization:
      type: Bearer
      credentials: ${key}
    queue_config:
      max_samples_per_send: 10000`,
  otel: `# environment of any program with an OpenTelemetry SDK
export OTEL_EXPORTER_OTLP_ENDPOINT=${origin}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_COMPRESSION=gzip
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20${key}"
export OTEL_SERVICE_NAME=checkout`,
  collector: `# OpenTelemetry collector
exporters:
  otlphttp/cerebro:
    endpoint: ${origin}
    compression: gzip
    headers:
      Authorization: "Bearer ${key}"
service:
  pipelines:
    metrics: { exporters: [otlphttp/cerebro] }
    logs:    { exporters: [otlphttp/cerebro] }
    traces:  { exporters: [otlphttp/cerebro] }`,
  alertmanager: `# alertmanager.yml
receivers:
  - name: cerebro
    webhook_configs:
      - url: ${origin}/intake/alertmanager
        send_resolved: true
        http_config:
          authorization:
            credentials: ${key}`,
  events: `# a step of your deploy pipeline
curl -i ${origin}/intake/events \\
  -H 'Authorization: Bearer ${key}' \\
  -H 'Content-Type: application/cloudevents+json' \\
  -d '{"specversion":"1.0","id":"build-4711","source":"/ci/shop","type":"deploy.finished",
       "subject":"service/checkout","data":{"version":"v42","commit":"3f2c1a"}}'`,
  curl: `curl -i ${origin}/v1/logs \\
  -H 'Authorization: Bearer ${key}' \\
  -H 'Content-Type: application/json' \\
  -d '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},
       "scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}'`,
});

export function Connect() {
  const { query: asked } = useStore(route);
  const way = WAYS.includes(asked.way) ? asked.way : WAYS[0];
  const setWay = (name) => refine({ way: name === WAYS[0] ? "" : name });
  const [key, setKey] = useState("");
  const [busy, run] = useDeed();
  const intake = useApi("/intake", { every: 5 });
  const refusals = useApi("/intake/refusals", { every: 15 });
  const make = async () => {
    const { answer } = await run(() => post("/keys", { name: `${way}-${Date.now().toString(36)}`, scopes: ["ingest"] }));
    if (answer) setKey(answer.key);
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.connect")} lead=${t("connect.lead")} />
    <div class="case-columns">
      <${Card} title=${t("connect.how")}><div class="card-body stack">
        <div class="filters"><${Chips} label=${t("connect.how")} value=${way} options=${WAYS.map((name) => [name, t(`connect.${name}`)])} onChange=${setWay} />
          ${may("operate") ? html`<button class="button" disabled=${busy} onClick=${make}><${Icon} name="keys" />${t("connect.key")}</button>` : null}</div>
        ${key ? html`<p class="soft">${t("connect.key.once")}</p>` : html`<p class="soft">${may("operate") ? t("connect.key.none") : t("connect.key.ask")}</p>`}
        <${Snippet} text=${texts(location.origin, key || "YOUR_KEY")[way]} />
        <p class="hint">${t(`connect.${way}.hint`)}</p>
      </div><//>
      <div class="stack">
        <${Card} title=${t("connect.arriving")}><${Answer} of=${intake}>${(data) => html`<${Arriving} intake=${data} />`}<//><//>
        ${items(refusals.data).length ? html`<${Refusals} refusals=${items(refusals.data)} />` : null}
      </div>
    </div>
  </div>`;
}

function Arriving({ intake }) {
  const stored = (signal) => (intake.hour[signal] ?? []).reduce((sum, slot) => sum + slot.count, 0);
  return html`<div class="table-wrap"><table class="list"><thead><tr><th></th><th class="end">${t("intake.now")}</th><th class="end">${t("intake.hour")}</th></tr></thead>
      <tbody>${Object.entries(intake.per_s).map(([signal, rate]) => html`<tr><td>${word("signal", signal)}</td><td class="end">${short(rate)}/s</td><td class="end">${short(stored(signal))}</td></tr>`)}</tbody></table></div>
    ${intake.hour.missing ? html`<p class="card-body soft">${intake.hour.missing}</p>` : null}
    <dl class="facts card-body"><dt>${t("intake.series.doors")}</dt><dd>${t("intake.series.of", { count: count(intake.series.count), most: short(intake.series.max) })}</dd></dl>
    ${intake.doors.length
      ? html`<ul class="rows topped">${intake.doors.map(
          (one) => html`<li class="row plain"><span class="row-text"><code>${one.path}</code><span class="row-note faint">${one.sender} · <${Time} ms=${one.at_ms} /> · ${bytes(one.byte_count)}</span></span>
            <span class="row-end">${t("intake.taken", { count: count(one.taken) })}${one.refused ? html`<br /><span class="s-major">${t("intake.refused_count", { count: count(one.refused) })}</span>` : null}</span></li>`,
        )}</ul>`
      : html`<${Empty} small icon="connect" title=${t("intake.nothing")}><p>${t("intake.nothing.text")}</p><//>`}`;
}

const Refusals = ({ refusals }) => html`<${Card} title=${t("intake.refused")} aside=${t("intake.refused.text")}>
  <ul class="rows">${refusals.map(
    (one) => html`<li class="row plain"><span class="row-text">${word("refusal", one.reason)}${one.metric ? html` <code>${one.metric}</code>` : null}
      <span class="row-note faint">${one.label ? t("intake.refused.label", { label: one.label, count: count(one.label_values) }) : ""} <${Time} ms=${one.last_ms} />${one.example ? html` · <code>${one.example}</code>` : null}</span></span><span class="row-end">${count(one.count)}</span></li>`,
  )}</ul>
<//>`;
