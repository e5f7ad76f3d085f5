// What works better with a script: the page follows the router by itself, says when it cannot, and
// the silence form shows what it would hold back while one types. Without it everything still works.
"use strict";

const EVERY = 5000;
const STALE_AFTER = 15000;

const state = { tag: null, seen: Date.now(), stale: false };
const byId = (id, root = document) => root.getElementById(id);

function clock(time) {
  return new Date(time).toLocaleTimeString();
}

function say(stale) {
  const status = byId("status");
  const text = stale
    ? "Stale since " + clock(state.seen) + ": vigie does not answer"
    : "live";
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("stale", stale);
  document.body.classList.toggle("stale", stale);
  if (stale && !state.stale) document.title = "(?) " + document.title;
  state.stale = stale;
}

// Somebody is typing, choosing or selecting text there: nothing may move under the pointer.
function isBusy(part) {
  const active = document.activeElement;
  const selection = document.getSelection();
  return (part.contains(active) && active.matches("input, textarea, button"))
    || (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
}

function adopt(fresh) {
  const live = byId("live");
  if (isBusy(live)) return false;
  const focused = document.activeElement && live.contains(document.activeElement)
    ? document.activeElement.getAttribute("href") : null;
  document.title = fresh.title;
  for (const id of ["summary", "live"]) {
    byId(id).replaceChildren(...document.adoptNode(byId(id, fresh)).childNodes);
  }
  document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
  if (focused) {
    const again = live.querySelector('a[href="' + CSS.escape(focused) + '"]');
    if (again) again.focus({ preventScroll: true });
  }
  return true;
}

async function refresh() {
  const headers = state.tag && !state.stale ? { "If-None-Match": state.tag } : {};
  try {
    const response = await fetch(location.href, {
      headers, cache: "no-store", signal: AbortSignal.timeout(10000),
    });
    if (response.status === 200) {
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      if (adopt(fresh)) state.tag = response.headers.get("ETag");
    } else if (response.status !== 304) {
      throw new Error("status " + response.status);
    }
    state.seen = Date.now();
    say(false);
  } catch {
    if (Date.now() - state.seen >= STALE_AFTER) say(true);
  }
}

function follow() {
  say(false);
  const tick = async () => {
    if (!document.hidden) await refresh();
    setTimeout(tick, EVERY);
  };
  setTimeout(tick, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
}

// The same preview as the button's, while one types.
function preview(form) {
  let timer;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const query = new URLSearchParams({ filter: form.elements.filter.value });
      try {
        const response = await fetch("/silences/new?" + query, { cache: "no-store" });
        const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
        const part = byId("affected", fresh);
        if (response.ok && part) {
          byId("affected").replaceChildren(...document.adoptNode(part).childNodes);
        }
      } catch {
        // The preview stays as it is; sending the form says what is wrong.
      }
    }, 250);
  });
  remember(form.elements.created_by);
}

// Whoever made the last silence from here makes the next one.
function remember(field) {
  try {
    field.value ||= localStorage.getItem("vigie.created_by") || "";
    field.form.addEventListener("submit", () => localStorage.setItem("vigie.created_by", field.value));
  } catch {
    // Storage may be forbidden; then one types one's name.
  }
}

// Links that Alertmanager's templates write: #/alerts?receiver=x, #/silences/new?filter={..}.
function place(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const pages = { "/alerts": "/", "/silences": "/silences", "/silences/new": "/silences/new" };
  const silence = /^\/silences\/([-0-9a-f]{36})$/.exec(path);
  if (silence) return "/silence/" + silence[1];
  return path in pages ? pages[path] + (query && "?" + query) : null;
}

document.addEventListener("keydown", (event) => {
  const box = byId("filter");
  const typing = event.target.matches("input, textarea");
  if (event.key === "/" && box && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

const wanted = place(location.hash);
if (wanted) location.replace(wanted);
if ("live" in document.body.dataset) follow();
const form = document.querySelector(".silence-form");
if (form) preview(form);
