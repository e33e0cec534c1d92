// Says two minutes before a session ends that it does, and prolongs it by a click. Without this script the page says
// at its foot when it ends; what is sent after that is kept and shown again after the login.
"use strict";
(() => {
  const box = document.getElementById("session");
  if (!box) return;
  const AHEAD = 120;
  const panel = box.querySelector("[role=alertdialog]");
  const says = document.getElementById("session-says");
  const form = box.querySelector("form");
  const stay = form.querySelector("button");
  const login = form.querySelector("a");
  // The server's clock counts: the browser's own may be wrong by hours.
  let ahead = Number(box.dataset.now) - Date.now() / 1000;
  let ends = Number(box.dataset.ends);
  let latest = Infinity;
  let timer = 0;

  const left = () => ends - (Date.now() / 1000 + ahead);

  function take(told) {
    ahead = told.now - Date.now() / 1000;
    ends = told.ends;
    latest = told.latest;
  }

  async function ask(options) {
    const answer = await fetch(box.dataset.address, { credentials: "same-origin", cache: "no-store", ...options });
    if (!answer.ok) throw new Error(String(answer.status));
    take(await answer.json());
  }

  function clock() {
    const at = new Date(ends * 1000);
    return `${String(at.getUTCHours()).padStart(2, "0")}:${String(at.getUTCMinutes()).padStart(2, "0")} UTC`;
  }

  function show() {
    const over = left() <= 0;
    const last = !over && ends >= latest;
    stay.hidden = over || last;
    login.hidden = !over;
    const line = over
      ? says.dataset.over
      : last
        ? says.dataset.last.replace("{time}", clock())
        : says.dataset.soon.replace("{time}", clock());
    if (says.textContent !== line) says.textContent = line;
    panel.hidden = false;
  }

  async function look() {
    clearTimeout(timer);
    if (left() > AHEAD) {
      panel.hidden = true;
    } else {
      // Another window may have prolonged it meanwhile. Asked with this header, nothing is prolonged.
      try {
        await ask({ headers: { "HX-Request": "true", Accept: "application/json" } });
      } catch {
        // No answer: what is known goes on to hold.
      }
      if (left() > AHEAD) panel.hidden = true;
      else show();
    }
    const wait = left() > AHEAD ? left() - AHEAD : left() > 0 ? Math.min(left() + 0.5, 20) : 30;
    timer = setTimeout(look, Math.min(Math.max(wait, 0.5), 600) * 1000);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await ask({ method: "POST", body: new FormData(form) });
    } catch {
      says.textContent = says.dataset.failed;
      return;
    }
    look();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  look();
})();
