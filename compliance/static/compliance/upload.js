// Sends the file in parts and shows how far it is. Without this script the form sends it in one piece.
"use strict";
(() => {
  const form = document.getElementById("upload");
  const progress = document.getElementById("upload-progress");
  const bar = document.getElementById("upload-bar");
  const said = document.getElementById("upload-said");
  const trouble = document.getElementById("upload-error");
  const button = form.querySelector("button[type=submit]");
  const token = form.elements.csrfmiddlewaretoken.value;
  const PATIENCE = [500, 2000, 5000];
  const HEADERS = { "X-CSRFToken": token, Accept: "application/json" };

  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const size = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;

  async function ask(address, options) {
    const answer = await fetch(address, { ...options, headers: HEADERS, credentials: "same-origin" });
    const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
    const told = isJson ? await answer.json() : { error: said.dataset.answered.replace("{status}", answer.status) };
    return { status: answer.status, ...told };
  }

  async function send(file) {
    const announced = new FormData();
    announced.append("team", form.elements.team.value);
    announced.append("name", form.elements.name.value);
    announced.append("file_name", file.name);
    announced.append("size", String(file.size));
    const begun = await ask(form.dataset.announce, { method: "POST", body: announced });
    if (begun.error) throw new Error(begun.error);
    progress.hidden = false;
    bar.max = file.size;
    let received = 0;
    let failures = 0;
    for (;;) {
      bar.value = received;
      said.textContent = said.dataset.sent.replace("{sent}", size(received)).replace("{all}", size(file.size));
      let told;
      try {
        const part = file.slice(received, received + begun.bytes);
        told = await ask(`${begun.part}?offset=${received}`, { method: "POST", body: part });
        if (told.busy) throw new Error(told.error);
        failures = 0;
      } catch (error) {
        if (failures >= PATIENCE.length) throw new Error(said.dataset.lost.replace("{why}", error.message));
        await wait(PATIENCE[failures]);
        failures += 1;
        // What the server has decides where to go on.
        told = await ask(begun.part, { method: "GET" }).catch(() => ({ received, next: "" }));
      }
      if (told.error) throw new Error(told.error);
      if (told.next) return told.next;
      received = told.received;
    }
  }

  form.addEventListener("submit", (event) => {
    const file = form.elements.file.files[0];
    if (!file) return;
    event.preventDefault();
    button.disabled = true;
    trouble.hidden = true;
    send(file).then(
      (next) => window.location.assign(next),
      (error) => {
        trouble.textContent = `! ${error.message}`;
        trouble.hidden = false;
        progress.hidden = true;
        button.disabled = false;
      },
    );
  });
})();
