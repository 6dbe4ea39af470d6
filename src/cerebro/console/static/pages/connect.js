import { html, useState } from "../lib/html.js";
import { may, post, useApi } from "../lib/api.js";
import { count, seconds, short } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { Answer, Card, Chips, Empty, Icon, PageHead, Snippet, useDeed } from "../ui/parts.js";

const WAYS = ["prometheus", "otel", "collector", "curl"];

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
  curl: `curl -i ${origin}/v1/logs \\
  -H 'Authorization: Bearer ${key}' \\
  -H 'Content-Type: application/json' \\
  -d '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},
       "scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}'`,
});

export function Connect() {
  const [way, setWay] = useState("prometheus");
  const [key, setKey] = useState("");
  const [busy, run] = useDeed();
  const intake = useApi("/intake", { every: 5 });
  const make = async () => {
    const { answer } = await run(() => post("/keys", { name: `${way}-${Date.now().toString(36)}`, scopes: ["ingest"] }));
    if (answer) setKey(answer.key);
  };
  return html`<div class="page">
    <${PageHead} title=${t("nav.connect")} lead=${t("connect.lead")} />
    <div class="case-columns">
      <${Card} title=${t("connect.how")}><div class="card-body stack">
        <div class="filters"><${Chips} label=${t("connect.how")} value=${way} options=${WAYS.map((name) => [name, t(`connect.${name}`)])} onChange=${setWay} />
          ${may("admin") ? html`<button class="button" disabled=${busy} onClick=${make}><${Icon} name="keys" />${t("connect.key")}</button>` : null}</div>
        ${key ? html`<p class="soft">${t("connect.key.once")}</p>` : html`<p class="soft">${may("admin") ? t("connect.key.none") : t("connect.key.ask")}</p>`}
        <${Snippet} text=${texts(location.origin, key || "YOUR_KEY")[way]} />
        <p class="hint">${t(`connect.${way}.hint`)}</p>
      </div><//>
      <${Card} title=${t("connect.arriving")}><${Answer} of=${intake}>${(data) => html`<${Arriving} intake=${data} />`}<//><//>
    </div>
  </div>`;
}

function Arriving({ intake }) {
  const doors = items(intake.doors ?? intake);
  const refused = intake.refused ?? [];
  return html`<dl class="facts card-body">
      <dt>${t("intake.samples_per_s")}</dt><dd>${short(intake.samples_per_s ?? 0)}</dd>
      <dt>${t("intake.series")}</dt><dd>${count(intake.series_count ?? 0)}</dd>
      <dt>${t("intake.lag")}</dt><dd>${intake.lag_s == null ? "–" : seconds(intake.lag_s)}</dd>
    </dl>
    ${doors.length
      ? html`<div class="table-wrap"><table class="list"><thead><tr><th>${t("intake.door")}</th><th class="end">${t("intake.accepted")}</th><th class="end">${t("intake.refused")}</th></tr></thead>
          <tbody>${doors.map((one) => html`<tr><td>${one.door ?? one.name}</td><td class="end">${short(one.accepted ?? one.accepted_count ?? 0)}</td><td class="end">${short(one.refused ?? one.refused_count ?? 0)}</td></tr>`)}</tbody></table></div>`
      : null}
    ${refused.length
      ? html`<ul class="rows">${refused.map((one) => html`<li class="row plain"><span class="row-text">${one.reason}<span class="row-note faint">${[one.metric, one.label].filter(Boolean).join(" · ")}</span></span><span class="row-end">${short(one.count)}</span></li>`)}</ul>`
      : doors.length
        ? null
        : html`<${Empty} small icon="connect" title=${t("intake.nothing")} />`}`;
}
