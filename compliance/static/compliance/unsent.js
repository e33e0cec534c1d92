// Saves long forms while they are written, and asks before a page is left whose text nobody has.
// A form with data-keeps is saved; its value is the page on which it is to stand again. Other forms only ask.
"use strict";
(() => {
  // What it says stands in the page, in the language of the page.
  const { address, kept: saidKept, notKept: saidNotKept } = document.currentScript.dataset;
  const WAIT = 2000;
  const unsaved = new Set();
  const timers = new Map();
  const underway = new Map();
  const skipped = "input[type=hidden], input[type=submit], button";

  const counts = (form) => form.matches("form[method=post]") && !form.closest("#session");

  function said(form) {
    let line = form.querySelector(":scope > .kept-says, :scope .actions + .kept-says");
    if (!line) {
      line = document.createElement("p");
      line.className = "small quiet kept-says";
      line.setAttribute("role", "status");
      const actions = form.querySelector(".actions");
      if (actions) actions.after(line);
      else form.append(line);
    }
    return line;
  }

  async function save(form) {
    underway.get(form)?.abort();
    const control = new AbortController();
    underway.set(form, control);
    const data = new FormData();
    for (const [name, value] of new FormData(form)) {
      if (typeof value === "string") data.append(name, value);
      else if (value.name) data.append("kept-file", value.name);
    }
    for (const box of form.querySelectorAll("input[type=password]")) data.delete(box.name);
    const target = new URL(form.getAttribute("action") || location.pathname, location.href).pathname;
    data.append("kept-page", form.dataset.keeps || location.pathname);
    data.append("kept-target", form.dataset.keepsAs ? `${target}#${form.dataset.keepsAs}` : target);
    try {
      const answer = await fetch(address, { method: "POST", body: data, credentials: "same-origin", signal: control.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const { kept, at } = await answer.json();
      unsaved.delete(form);
      if (!form.elements.namedItem("kept")) {
        const box = document.createElement("input");
        box.type = "hidden";
        box.name = "kept";
        form.append(box);
      }
      form.elements.namedItem("kept").value = kept;
      said(form).textContent = saidKept.replace("{time}", `${at} UTC`);
    } catch (error) {
      if (error.name !== "AbortError") said(form).textContent = saidNotKept;
    }
  }

  function changed(event) {
    const form = event.target.form;
    if (!form || !counts(form) || event.target.matches(skipped)) return;
    unsaved.add(form);
    if (form.dataset.keeps === undefined) return;
    clearTimeout(timers.get(form));
    timers.set(form, setTimeout(save, WAIT, form));
  }

  document.addEventListener("input", changed);
  document.addEventListener("change", changed);
  for (const form of document.querySelectorAll("form[data-keeps][data-unsent]")) save(form);
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || !counts(event.target)) return;
    clearTimeout(timers.get(event.target));
    underway.get(event.target)?.abort();
    unsaved.delete(event.target);
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved.size) event.preventDefault();
  });
})();
