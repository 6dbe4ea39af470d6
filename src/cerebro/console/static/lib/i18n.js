// Texts by key, in the language of the reader.
import en from "../i18n/en.js";
import ru from "../i18n/ru.js";
import { preference } from "./store.js";

const TEXTS = { en, ru };
export const LANGUAGES = { en: "English", ru: "Русский" };
export const language = preference("language", document.documentElement.lang === "ru" ? "ru" : "en");

if (!TEXTS[language.get()]) language.set("en");
const follow = (value) => (document.documentElement.lang = value);
follow(language.get());
language.watch(follow);

export const locale = () => (language.get() === "ru" ? "ru-RU" : "en-GB");

// t("case.seen_by", { who: "anna" }) fills {who}; a text of forms is chosen by {count}.
export function t(key, values = {}) {
  const text = TEXTS[language.get()][key] ?? en[key];
  if (text === undefined) return key;
  const form = typeof text === "string" ? text : (text[new Intl.PluralRules(language.get()).select(values.count ?? 0)] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// The word for a value of an enumeration, or the value itself when it is new to this console.
export function word(group, value) {
  const key = `${group}.${value}`;
  return TEXTS[language.get()][key] ?? en[key] ?? String(value ?? "");
}
