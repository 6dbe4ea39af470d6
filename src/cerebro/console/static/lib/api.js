// The only road to the server: the public REST API, with an access token that lives in memory only.
import { useEffect } from "./html.js";
import { preference, store, useStore } from "./store.js";

const ROOT = "/api/v1";
const TIMEOUT_MS = 30_000;
const OWN_PAGE = { "x-cerebro-console": "1" }; // another site cannot send it, so its cookie is worth nothing there

// { state: "unknown" | "out" | "in", me }
export const session = store({ state: "unknown", me: null });

let token = "";
let expiresMs = 0;
let refreshing = null;

// Whether this browser was logged in when it was last here: without that, a refresh could only be refused.
const here = preference("here", "");

// What went wrong, in the server's own words: an RFC 9457 problem document.
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.code = body.code || "";
    this.detail = body.detail || body.title || "";
    this.mend = body.mend || "";
    this.errors = body.errors || [];
  }
}

async function send(method, path, { body, headers = {}, signal } = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(path, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { code: error.name === "TimeoutError" ? "timeout" : "unreachable" });
  }
}

async function read(response) {
  if (response.status === 204) return null;
  const kind = response.headers.get("content-type") || "";
  const body = await whole(kind.includes("json") ? response.json() : response.text());
  if (response.ok) return body;
  throw new Problem(response.status, typeof body === "object" && body ? body : {});
}

// A body that breaks off is no answer.
const whole = (body) =>
  body.catch((error) => {
    throw new Problem(0, { code: error.name === "TimeoutError" ? "timeout" : "unreachable" });
  });

function take(grant) {
  token = grant.access_token;
  here.set("yes");
  expiresMs = Math.max(Date.now() + 10_000, grant.expires_ms - 30_000);
}

export async function login(name, password) {
  take(await read(await send("POST", `${ROOT}/login`, { body: { login: name, password }, headers: OWN_PAGE })));
  session.set({ state: "in", me: await get("/me") });
}

// Every other login of this person ends; this one goes on with a new token.
export async function changePassword(password, next) {
  await freshToken();
  const headers = { ...OWN_PAGE, authorization: `Bearer ${token}` };
  take(await read(await send("POST", `${ROOT}/me/password`, { body: { password, new_password: next }, headers })));
}

export async function logout() {
  try {
    await read(await send("POST", `${ROOT}/logout`, { headers: { ...OWN_PAGE, authorization: `Bearer ${token}` } }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
  leave();
}

function leave() {
  here.set("");
  token = "";
  expiresMs = 0;
  for (const resource of resources.values()) resource.stop();
  resources.clear();
  session.set({ state: "out", me: null });
}

// One refresh at a time, whoever asks. The refresh token is an HttpOnly cookie that no script can read.
function refresh() {
  refreshing ??= (async () => {
    try {
      const response = await send("POST", `${ROOT}/token/refresh`, { headers: OWN_PAGE });
      if (response.status === 401 || response.status === 403) return "refused";
      if (!response.ok) return "unreachable";
      take(await read(response));
      return "granted";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return "unreachable";
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

// A token that is good now; an empty one when the server wants a login.
export async function freshToken() {
  if (!token || Date.now() > expiresMs) {
    const outcome = await refresh();
    if (outcome === "refused") leave();
    if (outcome !== "granted") return "";
  }
  return token;
}

export async function resume() {
  if (!here.get()) return session.set({ state: "out", me: null });
  const outcome = await refresh();
  if (outcome !== "granted") return session.set({ state: "out", me: null, unreachable: outcome === "unreachable" });
  try {
    session.set({ state: "in", me: await get("/me") });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    session.set({ state: "out", me: null, unreachable: error.status === 0 });
  }
}

async function reach(method, path, body, signal) {
  if (!token || Date.now() > expiresMs) await freshToken();
  const ask = () => send(method, ROOT + path, { body, signal, headers: token ? { authorization: `Bearer ${token}` } : {} });
  let response = await ask();
  if (response.status === 401 && session.get().state === "in") {
    const outcome = await refresh();
    if (outcome === "refused") leave();
    if (outcome === "granted") response = await ask();
  }
  return response;
}

const call = async (...asked) => read(await reach(...asked));

// A file as it is sent, for people to keep.
export async function file(path) {
  const response = await reach("GET", path);
  return response.ok ? whole(response.blob()) : read(response);
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body = {}) => call("PUT", path, body);
export const patch = (path, body = {}) => call("PATCH", path, body);
export const remove = (path) => call("DELETE", path);
export const may = (permission) => (session.get().me?.permissions ?? []).includes(permission);

export const query = (values) => {
  const pairs = Object.entries(values).filter(([, value]) => value !== "" && value != null && value !== false);
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
};

// --- answers that are shared, kept while someone looks, and read again when they change ---------------------------

const resources = new Map();
const KEPT_MAX = 80;

function resource(path) {
  const known = resources.get(path);
  if (known) return known;
  const state = store({ data: undefined, error: null, loading: false, atMs: 0 });
  let running = null;
  let again = false;
  const made = {
    path,
    state,
    looks: new Map(), // look -> seconds between two reads
    timer: 0,
    load() {
      if (running) {
        again = true;
        return;
      }
      const abort = new AbortController();
      running = abort;
      state.set({ ...state.get(), loading: true });
      get(path, abort.signal)
        .then(
          (data) => state.set({ data, error: null, loading: false, atMs: Date.now() }),
          (error) => {
            if (abort.signal.aborted) return;
            if (!(error instanceof Problem)) throw error;
            state.set({ ...state.get(), error, loading: false });
          },
        )
        .finally(() => {
          running = null;
          made.plan();
          if (again) {
            again = false;
            made.soon();
          }
        });
    },
    soon() {
      clearTimeout(made.timer);
      made.timer = setTimeout(made.load, 250);
    },
    plan() {
      clearTimeout(made.timer);
      const every = Math.min(...made.looks.values(), Infinity);
      if (made.looks.size && Number.isFinite(every)) {
        made.timer = setTimeout(() => (document.hidden ? made.plan() : made.load()), every * 1000);
      }
    },
    stop() {
      clearTimeout(made.timer);
      running?.abort();
    },
  };
  resources.set(path, made);
  for (const [key, old] of resources) {
    if (resources.size <= KEPT_MAX) break;
    if (!old.looks.size && old !== made) {
      old.stop();
      resources.delete(key);
    }
  }
  return made;
}

const NOTHING = store({ data: undefined, error: null, loading: false, atMs: 0 });

// The answer to GET `path` (nothing while `path` is empty), read again every `every` seconds and
// whenever a live event of one of `kinds` arrives: { data, error, loading, atMs, reload }.
export function useApi(path, { every = 30, kinds = "" } = {}) {
  const shared = path ? resource(path) : null;
  const state = useStore(shared ? shared.state : NOTHING);
  useEffect(() => {
    if (!shared) return undefined;
    const look = {};
    shared.looks.set(look, every);
    if (Date.now() - shared.state.get().atMs > 2000) shared.load();
    else shared.plan();
    const wanted = kinds ? kinds.split(" ") : [];
    const deaf = heard.watch((event) => event && (wanted.includes(event.kind) || event.kind === "again") && shared.soon());
    return () => {
      deaf();
      shared.looks.delete(look);
      shared.plan();
    };
  }, [shared, every, kinds]);
  return { ...state, reload: shared ? shared.load : () => {} };
}

// The last live event; `live.js` sets it.
export const heard = store(null);
