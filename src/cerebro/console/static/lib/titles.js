// What findings and cases are called, in the reader's language: titles are kept in English, in a few forms that are read
// here. What fits none of them, and every name and number, stays as it came.
import { language, t } from "./i18n.js";

const WHO = "(?<kind>service|host|process|database|queue|container|pod) (?<who>.+?)";
const FIRST = "(?<kind>Service|Host|Process|Database|Queue|Container|Pod) (?<who>.+?)";
const VERBS = ["jumped", "dropped", "rose", "fell", "has drifted up", "has drifted down", "grows steadily", "shrinks steadily"];
const FORMS = [
  [`(?<what>.+) of ${WHO} (?<verb>${VERBS.join("|")}) from (?<before>.+?) to (?<now>[^;]+)(?:; .+)?`, "title.moved"],
  [`(?<what>.+) of ${WHO} has settled at (?<now>.+)`, "title.settled"],
  [`(?<what>.+) of ${WHO} is back at (?<now>.+)`, "title.back"],
  [`${FIRST} stopped reporting (?<span>.+) ago`, "title.silent"],
  [`${FIRST} reports again`, "title.reports"],
  [`${FIRST} is gone`, "title.gone"],
  [`Lines (?<what>“.+”) of ${WHO} come more often: (?<now>.+) a minute, usually (?<before>.+)`, "title.lines_more"],
  [`Lines (?<what>“.+”) of ${WHO} come less often: (?<now>.+) a minute, usually (?<before>.+)`, "title.lines_less"],
  [`${FIRST} says something (?:new|rare): (?<what>“.+”)`, "title.says_new"],
  [`${FIRST} no longer says (?<what>“.+”)`, "title.says_no_more"],
  [`${FIRST} behaves unlike itself: (?<what>.+)`, "title.unlike"],
  [`${FIRST} behaves as usual again`, "title.as_itself"],
  [`Several measures of ${WHO} moved at once: (?<what>.+)`, "title.together"],
  [`The measures of ${WHO} are in their bands again`, "title.together_over"],
  [`(?<what>.+) of ${WHO} stands out among its (?<peers>.+) peers`, "title.peer"],
  [`(?<what>.+) of ${WHO} is like its peers again`, "title.peer_over"],
].map(([pattern, key]) => [new RegExp(`^${pattern}$`, "u"), key]);

const MORE = /^(?<first>.+) \(and (?<count>\d+) more\)$/u;

export function titled(text) {
  if (language.get() === "en" || !text) return text;
  const several = MORE.exec(text)?.groups;
  if (several) return `${titled(several.first)} ${t("title.more", several)}`;
  for (const [pattern, key] of FORMS) {
    const parts = pattern.exec(text)?.groups;
    if (!parts) continue;
    const verb = parts.verb ? t(`title.verb.${parts.verb.replaceAll(" ", "_")}`) : "";
    const told = t(key, { ...parts, kind: t(`kind.${parts.kind.toLowerCase()}`), verb });
    return told[0].toUpperCase() + told.slice(1);
  }
  return text;
}
