// The drill that runs, in one line: on the pages where what it brings is seen.
import { html } from "../lib/html.js";
import { useApi } from "../lib/api.js";
import { span } from "../lib/format.js";
import { t, word } from "../lib/i18n.js";
import { items } from "../lib/model.js";
import { Icon, useNow } from "./parts.js";

export const useDrills = () => useApi("/drills", { every: 20, kinds: "drill" });
export const faultTitle = (drill) => (drill.kind ? word("fault", drill.kind) === drill.kind ? drill.title : word("fault", drill.kind) : "");

// Where it stands, in words: "the fault comes in 20 s", "23 s since the fault".
export function standing(drill, now) {
  if (!drill.running) return t(drill.phase === "over" ? "drill.over" : "drill.stopped");
  if (drill.phase === "quiet") return t("drill.quiet", { span: span(Math.max(0, drill.until_ms - now)) });
  return t(drill.phase === "fault" ? "drill.since_fault" : "drill.after_fault", { span: span(Math.max(0, now - drill.fault_ms)) });
}

export function DrillStrip() {
  useNow();
  const running = items(useDrills().data).find((drill) => drill.running);
  if (!running) return null;
  return html`<a class="drill-strip" href="/drills"><${Icon} name="drills" /><b>${t("drill.runs")}</b><span class="drill-what">${faultTitle(running)}${running.entity ? ` · ${running.entity}` : ""}</span><span class="soft">${standing(running, Date.now())}</span><span class="grow"></span><span class="desk">${t("drill.watch")}</span></a>`;
}
