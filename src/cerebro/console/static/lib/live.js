// What happens, as it happens. The connection is made again with growing pauses, and its state is shown.
import { freshToken, heard, session } from "./api.js";
import { store } from "./store.js";

const SILENT_MS = 50_000; // the server's heart beats every 20 s: a line as silent as this one is dead
const PAUSE_MS = [500, 1000, 2000, 5000, 10_000, 20_000];

export const link = store("connecting"); // connecting | live | lost

let socket = null;
let attempts = 0;
let timer = 0;
let heardMs = 0;

export async function connect() {
  clearTimeout(timer);
  if (session.get().state !== "in" || socket) return;
  const token = await freshToken();
  if (!token) return later();
  if (socket) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`, ["cerebro.v1", `bearer.${token}`]);
  socket.onopen = () => {
    const returned = attempts > 0;
    attempts = 0;
    heardMs = Date.now();
    link.set("live");
    if (returned) heard.set({ kind: "again" }); // whatever was missed is read again
  };
  socket.onmessage = (message) => {
    heardMs = Date.now();
    link.set("live");
    try {
      heard.set(JSON.parse(message.data));
    } catch {
      link.set("lost"); // not our protocol: polling goes on
    }
  };
  socket.onclose = () => {
    socket = null;
    later();
  };
}

function later() {
  if (session.get().state !== "in") return;
  if (attempts > 0) link.set("lost");
  const pause = PAUSE_MS[Math.min(attempts, PAUSE_MS.length - 1)];
  attempts += 1;
  timer = setTimeout(connect, pause * (0.7 + 0.6 * Math.random()));
}

// A new line in place of one that may be dead without knowing it.
export function renew() {
  const old = socket;
  socket = null;
  if (old) {
    old.onclose = null;
    old.onmessage = null;
    old.close();
    attempts = Math.max(attempts, 1);
  }
  connect();
}

export function disconnect() {
  clearTimeout(timer);
  const old = socket;
  socket = null;
  attempts = 0;
  if (old) {
    old.onclose = null;
    old.close();
  }
}

session.watch(({ state }) => (state === "in" ? connect() : disconnect()));
addEventListener("online", () => {
  attempts = Math.min(attempts, 1);
  renew();
});
setInterval(() => socket && Date.now() - heardMs > SILENT_MS && renew(), 10_000);
addEventListener("offline", () => link.set("lost"));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !socket) connect();
});
